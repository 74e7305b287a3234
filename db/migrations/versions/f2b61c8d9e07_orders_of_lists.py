"""Indexes of the orders of lists: names in the order of their folds, moments that may be null, and orders that are new;
statistics of the texts that are searched

Revision ID: f2b61c8d9e07
Revises: e6a03d7c81f5
"""
import sqlalchemy as sa
from alembic import op

revision = 'f2b61c8d9e07'
down_revision = 'e6a03d7c81f5'
branch_labels = None
depends_on = None

LIVE = sa.text("deleted_at IS NULL")
REPLACED = (
    ('sites', 'ix_sites_name_id', 'ix_sites_by_name', ["coalesce(name_folded, '')", 'id'], True),
    ('projects', 'ix_projects_name_id', 'ix_projects_by_name', ["coalesce(name_folded, '')", 'id'], True),
    ('projects', 'ix_projects_site_id_name_id', 'ix_projects_site_id_by_name', ['site_id', "coalesce(name_folded, '')", 'id'], True),
    ('participant_groups', 'ix_participant_groups_name_id', 'ix_participant_groups_by_name', ["coalesce(name_folded, '')", 'id'], True),
    ('participant_groups', 'ix_participant_groups_project_id_name_id', 'ix_participant_groups_project_id_by_name', ['project_id', "coalesce(name_folded, '')", 'id'], True),
    ('participants', 'ix_participants_name_id', 'ix_participants_by_name', ["coalesce(name_folded, '')", 'id'], True),
    ('participants', 'ix_participants_project_id_name_id', 'ix_participants_project_id_by_name', ['project_id', "coalesce(name_folded, '')", 'id'], True),
    ('participants', 'ix_participants_group_id_name_id', 'ix_participants_group_id_by_name', ['group_id', "coalesce(name_folded, '')", 'id'], True),
    ('user_groups', 'ix_user_groups_name_id', 'ix_user_groups_by_name', ["coalesce(name_folded, '')", 'id'], True),
    ('roles', 'ix_roles_site_id_name_id', 'ix_roles_site_id_by_name', ['site_id', "coalesce(name_folded, '')", 'id'], False),
    ('roles', 'ix_roles_project_id_name_id', 'ix_roles_project_id_by_name', ['project_id', "coalesce(name_folded, '')", 'id'], False),
    ('roles', 'ix_roles_service_id_name_id', 'ix_roles_service_id_by_name', ['service_id', "coalesce(name_folded, '')", 'id'], False),
    ('roles', 'ix_roles_name_id', 'ix_roles_by_name', ["coalesce(name_folded, '')", 'id'], False),
    ('device_types', 'ix_device_types_name_id', 'ix_device_types_by_name', ["coalesce(name_folded, '')", 'id'], False),
    ('device_subtypes', 'ix_device_subtypes_type_id_name_id', 'ix_device_subtypes_type_id_by_name', ['type_id', "coalesce(name_folded, '')", 'id'], False),
    ('device_subtypes', 'ix_device_subtypes_name_id', 'ix_device_subtypes_by_name', ["coalesce(name_folded, '')", 'id'], False),
    ('devices', 'ix_devices_name_id', 'ix_devices_by_name', ["coalesce(name_folded, '')", 'id'], True),
    ('devices', 'ix_devices_type_id_name_id', 'ix_devices_type_id_by_name', ['type_id', "coalesce(name_folded, '')", 'id'], True),
    ('devices', 'ix_devices_subtype_id_name_id', 'ix_devices_subtype_id_by_name', ['subtype_id', "coalesce(name_folded, '')", 'id'], True),
    ('services', 'ix_services_name_id', 'ix_services_by_name', ["coalesce(name_folded, '')", 'id'], True),
    ('leaderboards', 'ix_leaderboards_label_id', 'ix_leaderboards_by_label', ["coalesce(label_folded, '')", 'id'], False),
    ('leaderboards', 'ix_leaderboards_challenge_id_label_id', 'ix_leaderboards_challenge_id_by_label', ['challenge_id', "coalesce(label_folded, '')", 'id'], False),
    ('specs', 'ix_specs_canonical_name_id', 'ix_specs_by_canonical_name', ["coalesce(canonical_name_folded, '')", 'id'], True),
    ('specs', 'ix_specs_user_id_canonical_name_id', 'ix_specs_user_id_by_canonical_name', ['user_id', "coalesce(canonical_name_folded, '')", 'id'], True),
    ('clusters', 'ix_clusters_name_id', 'ix_clusters_by_name', ["coalesce(name_folded, '')", 'id'], True),
    ('session_types', 'ix_session_types_name_id', 'ix_session_types_by_name', ["coalesce(name_folded, '')", 'id'], True),
    ('simulations', 'ix_simulations_title_id', 'ix_simulations_by_title', ["coalesce(title_folded, '')", 'id'], True),
    ('estimators', 'ix_estimators_simulation_id_name_id', 'ix_estimators_simulation_id_by_name', ['simulation_id', "coalesce(name_folded, '')", 'id'], False),
    ('notification_templates', 'ix_notification_templates_key_id', 'ix_notification_templates_by_key', ["coalesce(key_folded, '')", 'id'], False),
)
ADDED = (
    ('projects', 'ix_projects_created_at_id', ['created_at', 'id'], True),
    ('projects', 'ix_projects_site_id_created_at_id', ['site_id', 'created_at', 'id'], True),
    ('participants', 'ix_participants_created_at_id', ['created_at', 'id'], True),
    ('participants', 'ix_participants_project_id_created_at_id', ['project_id', 'created_at', 'id'], True),
    ('sessions', 'ix_sessions_by_name', ["coalesce(name_folded, '')", 'id'], True),
    ('session_events', 'ix_session_events_occurred_at_id', ['occurred_at', 'id'], True),
    ('simulations', 'ix_simulations_project_id_by_title', ['project_id', "coalesce(title_folded, '')", 'id'], True),
    ('simulations', 'ix_simulations_user_id_by_title', ['user_id', "coalesce(title_folded, '')", 'id'], True),
    ('jobs', 'ix_jobs_by_title', ["coalesce(title_folded, '')", 'id'], False),
    ('jobs', 'ix_jobs_ended_at', ["coalesce(ended_at, '9999-12-31T00:00:00.000000Z')", 'id'], False),
    ('challenges', 'ix_challenges_by_label', ["coalesce(label_folded, '')", 'id'], False),
)

SEARCHED = (
    ('clusters', 'name'),
    ('device_types', 'name'),
    ('services', 'name'),
    ('session_types', 'name'),
    ('sites', 'name'),
    ('users', 'username'),
    ('users', 'email'),
    ('users', 'first_name'),
    ('users', 'last_name'),
    ('challenges', 'label'),
    ('device_subtypes', 'name'),
    ('projects', 'name'),
    ('specs', 'canonical_name'),
    ('user_groups', 'name'),
    ('devices', 'name'),
    ('leaderboards', 'label'),
    ('notification_templates', 'key'),
    ('participant_groups', 'name'),
    ('roles', 'name'),
    ('sessions', 'name'),
    ('participants', 'name'),
    ('participants', 'username'),
    ('participants', 'email'),
    ('simulations', 'title'),
    ('credentials', 'label'),
    ('estimators', 'name'),
    ('jobs', 'key'),
    ('jobs', 'title'),
)
"""Texts that are searched: PostgreSQL is to know how common parts of them are."""


def upgrade() -> None:
    for table, old, name, columns, live in REPLACED:
        op.drop_index(old, table_name=table)
        _create(name, table, columns, live)
    for table, name, columns, live in ADDED:
        _create(name, table, columns, live)
    if op.get_context().dialect.name == "postgresql":
        for table, column in SEARCHED:
            text = f"(coalesce({column}_folded, lower({column})))"
            op.execute(f"CREATE STATISTICS fold_{table}_{column} ON {text} FROM {table}")
        for table in sorted({table for table, _ in SEARCHED}):
            op.execute(f"ANALYZE {table}")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table, column in SEARCHED:
            op.execute(f"DROP STATISTICS fold_{table}_{column}")
    for table, name, _, _ in ADDED:
        op.drop_index(name, table_name=table)
    for table, old, name, columns, live in REPLACED:
        op.drop_index(name, table_name=table)
        _create(old, table, [_plain(column) for column in columns], live)


def _create(name: str, table: str, columns: list[str], live: bool) -> None:
    where = LIVE if live else None
    keys = [sa.text(column) if "(" in column else column for column in columns]
    op.create_index(name, table, keys, sqlite_where=where, postgresql_where=where)


def _plain(column: str) -> str:
    """The column whose fold a key is."""
    return column.removeprefix("coalesce(").removesuffix("_folded, '')")
