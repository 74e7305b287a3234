"""JSON values of any kind are text on SQLite; addresses have their domains as DNS has them

Revision ID: e6a03d7c81f5
Revises: 9a7c31f0e582
"""
import math

import sqlalchemy as sa
from alembic import op
from email_validator import EmailNotValidError, validate_email

import db.types
from db.searching.folding import fold

revision = 'e6a03d7c81f5'
down_revision = '9a7c31f0e582'
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == 'sqlite':
        for table, column in (('preferences', 'value'), ('service_configs', 'config')):
            # A column that is called JSON made numbers of them; as texts, SQLite would round them to 15 digits.
            numbers = f"SELECT id, {column} FROM {table} WHERE typeof({column}) = 'real'"  # noqa: S608
            held = connection.exec_driver_sql(numbers).all()
            with op.batch_alter_table(table) as batch_op:
                batch_op.alter_column(column, existing_type=sa.JSON(), type_=db.types.Value(), existing_nullable=False)
            for key, number in held:
                text = repr(number) if math.isfinite(number) else 'null'
                connection.exec_driver_sql(f'UPDATE {table} SET {column} = ? WHERE id = ?', (text, key))  # noqa: S608
    for name in ('users', 'participants'):
        table = sa.table(name, sa.column('id', db.types.Key()), sa.column('email', sa.String()), sa.column('email_folded'))
        held = [(key, email) for key, email in connection.execute(sa.select(table.c.id, table.c.email)) if email]
        taken = {email for _, email in held}
        for key, email in held:
            known = _canonical(email)
            if known != email and known not in taken:
                connection.execute(sa.update(table).where(table.c.id == key).values(email=known, email_folded=fold(known)))
                taken.add(known)


def _canonical(email: str) -> str:
    """The address with its domain in ASCII; one that can't be mailed as it is."""
    if email.isascii():
        return email
    try:
        return str(validate_email(email, allow_smtputf8=False, check_deliverability=False).ascii_email).lower()
    except EmailNotValidError:
        return email


def downgrade() -> None:
    raise NotImplementedError("restore a copy of the database made before")
