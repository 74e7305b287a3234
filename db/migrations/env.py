"""Alembic's environment: it uses the connection that it is given."""

from alembic import context

from db.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    render_item=lambda kind, item, _: (
        f"db.types.{item!r}" if kind == "type" and type(item).__module__ == "db.types" else False
    ),
)

with context.begin_transaction():
    context.run_migrations()
