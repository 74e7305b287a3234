"""Indexes of live rows only, so that a list and its count need nothing but the index; numbers stored as they are read

Revision ID: 8c1d2e7a5b90
Revises: 49f060774026
"""
import sqlalchemy as sa
from alembic import op

revision = '8c1d2e7a5b90'
down_revision = '49f060774026'
branch_labels = None
depends_on = None

LIVE = sa.text("deleted_at IS NULL")
LISTS = (
    ('projects', 'ix_projects_name_id', ['name', 'id']),
    ('projects', 'ix_projects_site_id_name_id', ['site_id', 'name', 'id']),
    ('session_events', 'ix_session_events_session_id_occurred_at_id', ['session_id', 'occurred_at', 'id']),
    ('session_types', 'ix_session_types_name_id', ['name', 'id']),
    ('sessions', 'ix_sessions_creator_id', ['creator_id']),
    ('sessions', 'ix_sessions_project_id_starts_at_id', ['project_id', 'starts_at', 'id']),
    ('sessions', 'ix_sessions_starts_at_id', ['starts_at', 'id']),
    ('sessions', 'ix_sessions_type_id_starts_at_id', ['type_id', 'starts_at', 'id']),
    ('simulations', 'ix_simulations_created_at_id', ['created_at', 'id']),
    ('simulations', 'ix_simulations_project_id_created_at_id', ['project_id', 'created_at', 'id']),
    ('simulations', 'ix_simulations_session_id_created_at_id', ['session_id', 'created_at', 'id']),
    ('simulations', 'ix_simulations_title_id', ['title', 'id']),
    ('simulations', 'ix_simulations_user_id_created_at_id', ['user_id', 'created_at', 'id']),
    ('sites', 'ix_sites_name_id', ['name', 'id']),
    ('spec_versions', 'ix_spec_versions_spec_id_updated_at_id', ['spec_id', 'updated_at', 'id']),
    ('specs', 'ix_specs_canonical_name_id', ['canonical_name', 'id']),
    ('specs', 'ix_specs_user_id_canonical_name_id', ['user_id', 'canonical_name', 'id']),
    ('users', 'ix_users_created_at_id', ['created_at', 'id']),
)


def upgrade() -> None:
    for table, name, columns in LISTS:
        op.drop_index(name, table_name=table)
        op.create_index(name, table, columns, sqlite_where=LIVE, postgresql_where=LIVE)
    if op.get_context().dialect.name == "postgresql":
        # Uncompressed: most of the time of reading numbers went into decompressing them.
        for column in ("data_values", "axis1_values", "axis2_values"):
            op.execute(f"ALTER TABLE pages ALTER COLUMN {column} SET STORAGE EXTERNAL")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for column in ("data_values", "axis1_values", "axis2_values"):
            op.execute(f"ALTER TABLE pages ALTER COLUMN {column} SET STORAGE EXTENDED")
    for table, name, columns in LISTS:
        op.drop_index(name, table_name=table)
        op.create_index(name, table, columns)
