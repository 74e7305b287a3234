"""What migrations of SQLite share: its tables are described by their text."""

import sqlalchemy as sa
from alembic import op


def rewrite(table: str, *replaced: tuple[str, str]) -> None:
    """Replace parts of a table's description, such as constraints that all stored rows meet; no row is touched."""
    bind = op.get_bind()
    version = bind.exec_driver_sql("PRAGMA schema_version").scalar_one()
    bind.exec_driver_sql("PRAGMA writable_schema=ON")
    for before, after in replaced:
        text = "UPDATE sqlite_master SET sql = replace(sql, :before, :after) WHERE type = 'table' AND name = :table"
        bind.execute(sa.text(text), {"before": before, "after": after, "table": table})
    bind.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    bind.exec_driver_sql("PRAGMA writable_schema=OFF")
