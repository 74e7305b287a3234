"""accounts and organisation

Revision ID: 9064098be082
Revises: 8c1d2e7a5b90
"""
from alembic import op
import sqlalchemy as sa
import db.types
from uuid_utils.compat import uuid7

from db.types import now

revision = '9064098be082'
down_revision = '8c1d2e7a5b90'
branch_labels = None
depends_on = None


MADE = (
    'participant_devices', 'service_configs', 'session_members', 'role_grants', 'site_devices', 'project_devices',
    'participants', 'roles', 'project_services', 'participant_groups', 'notification_templates', 'devices',
    'user_group_members', 'site_services', 'preferences', 'notifications', 'device_subtypes', 'user_groups', 'services',
    'server_settings', 'device_types',
)


def _clear_remains() -> None:
    """Earlier versions left these tables, empty, on SQLite when this migration failed, which then failed for good."""
    bind = op.get_bind()
    there = set(sa.inspect(bind).get_table_names())
    for table in MADE:
        if table in there and bind.execute(sa.select(sa.literal(1)).select_from(sa.table(table)).limit(1)).first() is None:
            op.drop_table(table)


def upgrade() -> None:
    if op.get_context().dialect.name == 'sqlite':
        _clear_remains()
    op.create_table('device_types',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('key', sa.String(length=100), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_device_types')),
    sa.UniqueConstraint('key', name=op.f('uq_device_types_key'))
    )
    with op.batch_alter_table('device_types', schema=None) as batch_op:
        batch_op.create_index('ix_device_types_name_id', ['name', 'id'], unique=False)

    op.create_table('server_settings',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('value', sa.Text(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_server_settings')),
    sa.UniqueConstraint('name', name=op.f('uq_server_settings_name'))
    )
    op.create_table('services',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('key', sa.String(length=100), nullable=False),
    sa.Column('hostname', sa.String(length=255), nullable=False),
    sa.Column('port', sa.Integer(), nullable=False),
    sa.Column('endpoint', sa.String(length=255), nullable=False),
    sa.Column('client_endpoint', sa.String(length=255), nullable=False),
    sa.Column('endpoint_user', sa.String(length=255), nullable=True),
    sa.Column('endpoint_participant', sa.String(length=255), nullable=True),
    sa.Column('endpoint_device', sa.String(length=255), nullable=True),
    sa.Column('enabled', sa.Boolean(), nullable=False),
    sa.Column('system', sa.Boolean(), nullable=False),
    sa.Column('editable_config', sa.Boolean(), nullable=False),
    sa.Column('config_schema', sa.JSON(), nullable=False),
    sa.Column('has_assets', sa.Boolean(), nullable=False),
    sa.Column('has_tests', sa.Boolean(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_services'))
    )
    with op.batch_alter_table('services', schema=None) as batch_op:
        batch_op.create_index('ix_services_name_id', ['name', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('uq_services_key', ['key'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))

    op.create_table('user_groups',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_user_groups'))
    )
    with op.batch_alter_table('user_groups', schema=None) as batch_op:
        batch_op.create_index('ix_user_groups_name_id', ['name', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))

    op.create_table('device_subtypes',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('type_id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['type_id'], ['device_types.id'], name=op.f('fk_device_subtypes_type_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_device_subtypes'))
    )
    with op.batch_alter_table('device_subtypes', schema=None) as batch_op:
        batch_op.create_index('ix_device_subtypes_name_id', ['name', 'id'], unique=False)
        batch_op.create_index('ix_device_subtypes_type_id_name_id', ['type_id', 'name', 'id'], unique=False)

    op.create_table('notifications',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('channel', sa.Enum('EMAIL', 'CHAT', name='channel', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('template_key', sa.String(length=100), nullable=True),
    sa.Column('user_id', db.types.Key(), nullable=True),
    sa.Column('recipient', sa.String(length=254), nullable=False),
    sa.Column('subject', sa.String(length=255), nullable=True),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('html', sa.Text(), nullable=True),
    sa.Column('headers', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('state', sa.Enum('PENDING', 'SENT', 'FAILED', name='notificationstate', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('due_at', db.types.Instant(), nullable=False),
    sa.Column('lease_until', db.types.Instant(), nullable=True),
    sa.Column('sent_at', db.types.Instant(), nullable=True),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_notifications_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notifications'))
    )
    with op.batch_alter_table('notifications', schema=None) as batch_op:
        batch_op.create_index('ix_notifications_created_at_id', ['created_at', 'id'], unique=False)
        batch_op.create_index('ix_notifications_due_at', ['due_at'], unique=False, sqlite_where=sa.text("state = 'PENDING'"), postgresql_where=sa.text("state = 'PENDING'"))
        batch_op.create_index('ix_notifications_user_id_created_at_id', ['user_id', 'created_at', 'id'], unique=False)

    op.create_table('preferences',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('user_id', db.types.Key(), nullable=False),
    sa.Column('app_tag', sa.String(length=100), nullable=False),
    sa.Column('value', sa.JSON(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_preferences_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_preferences')),
    sa.UniqueConstraint('user_id', 'app_tag', name=op.f('uq_preferences_user_id_app_tag'))
    )
    op.create_table('site_services',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('site_id', db.types.Key(), nullable=False),
    sa.Column('service_id', db.types.Key(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['service_id'], ['services.id'], name=op.f('fk_site_services_service_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['site_id'], ['sites.id'], name=op.f('fk_site_services_site_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_site_services')),
    sa.UniqueConstraint('site_id', 'service_id', name=op.f('uq_site_services_site_id_service_id'))
    )
    with op.batch_alter_table('site_services', schema=None) as batch_op:
        batch_op.create_index('ix_site_services_service_id_site_id', ['service_id', 'site_id'], unique=False)

    op.create_table('user_group_members',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('user_group_id', db.types.Key(), nullable=False),
    sa.Column('user_id', db.types.Key(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['user_group_id'], ['user_groups.id'], name=op.f('fk_user_group_members_user_group_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_user_group_members_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_user_group_members')),
    sa.UniqueConstraint('user_group_id', 'user_id', name=op.f('uq_user_group_members_user_group_id_user_id'))
    )
    with op.batch_alter_table('user_group_members', schema=None) as batch_op:
        batch_op.create_index('ix_user_group_members_user_id_user_group_id', ['user_id', 'user_group_id'], unique=False)

    op.create_table('devices',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('type_id', db.types.Key(), nullable=False),
    sa.Column('subtype_id', db.types.Key(), nullable=True),
    sa.Column('enabled', sa.Boolean(), nullable=False),
    sa.Column('onlineable', sa.Boolean(), nullable=False),
    sa.Column('config', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('infos', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('notes', sa.Text(), nullable=True),
    sa.Column('status', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('last_online_at', db.types.Instant(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.ForeignKeyConstraint(['subtype_id'], ['device_subtypes.id'], name=op.f('fk_devices_subtype_id'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['type_id'], ['device_types.id'], name=op.f('fk_devices_type_id'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_devices'))
    )
    with op.batch_alter_table('devices', schema=None) as batch_op:
        batch_op.create_index('ix_devices_name_id', ['name', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('ix_devices_subtype_id_name_id', ['subtype_id', 'name', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('ix_devices_type_id_name_id', ['type_id', 'name', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))

    op.create_table('notification_templates',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('key', sa.String(length=100), nullable=False),
    sa.Column('channel', sa.Enum('EMAIL', 'CHAT', name='channel', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('language', sa.String(length=16), nullable=False),
    sa.Column('subject', sa.String(length=255), nullable=True),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('html', sa.Text(), nullable=True),
    sa.Column('site_id', db.types.Key(), nullable=True),
    sa.Column('project_id', db.types.Key(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint('site_id IS NULL OR project_id IS NULL', name=op.f('ck_notification_templates_scope')),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_notification_templates_project_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['site_id'], ['sites.id'], name=op.f('fk_notification_templates_site_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notification_templates'))
    )
    with op.batch_alter_table('notification_templates', schema=None) as batch_op:
        batch_op.create_index('ix_notification_templates_key_id', ['key', 'id'], unique=False)
        batch_op.create_index('uq_notification_templates_global', ['key', 'channel', 'language'], unique=True, sqlite_where=sa.text('site_id IS NULL AND project_id IS NULL'), postgresql_where=sa.text('site_id IS NULL AND project_id IS NULL'))
        batch_op.create_index('uq_notification_templates_project', ['project_id', 'key', 'channel', 'language'], unique=True, sqlite_where=sa.text('project_id IS NOT NULL'), postgresql_where=sa.text('project_id IS NOT NULL'))
        batch_op.create_index('uq_notification_templates_site', ['site_id', 'key', 'channel', 'language'], unique=True, sqlite_where=sa.text('site_id IS NOT NULL'), postgresql_where=sa.text('site_id IS NOT NULL'))

    op.create_table('participant_groups',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('project_id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_participant_groups_project_id'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_participant_groups'))
    )
    with op.batch_alter_table('participant_groups', schema=None) as batch_op:
        batch_op.create_index('ix_participant_groups_name_id', ['name', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('ix_participant_groups_project_id_name_id', ['project_id', 'name', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))

    op.create_table('project_services',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('project_id', db.types.Key(), nullable=False),
    sa.Column('service_id', db.types.Key(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_project_services_project_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['service_id'], ['services.id'], name=op.f('fk_project_services_service_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_project_services')),
    sa.UniqueConstraint('project_id', 'service_id', name=op.f('uq_project_services_project_id_service_id'))
    )
    with op.batch_alter_table('project_services', schema=None) as batch_op:
        batch_op.create_index('ix_project_services_service_id_project_id', ['service_id', 'project_id'], unique=False)

    op.create_table('roles',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('service_id', db.types.Key(), nullable=False),
    sa.Column('scope', sa.Enum('GLOBAL', 'SITE', 'PROJECT', name='rolescope', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('site_id', db.types.Key(), nullable=True),
    sa.Column('project_id', db.types.Key(), nullable=True),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint("(scope = 'PROJECT') = (project_id IS NOT NULL)", name=op.f('ck_roles_project')),
    sa.CheckConstraint("(scope = 'SITE') = (site_id IS NOT NULL)", name=op.f('ck_roles_site')),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_roles_project_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['service_id'], ['services.id'], name=op.f('fk_roles_service_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['site_id'], ['sites.id'], name=op.f('fk_roles_site_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_roles'))
    )
    with op.batch_alter_table('roles', schema=None) as batch_op:
        batch_op.create_index('ix_roles_name_id', ['name', 'id'], unique=False)
        batch_op.create_index('ix_roles_project_id_name_id', ['project_id', 'name', 'id'], unique=False)
        batch_op.create_index('ix_roles_service_id_name_id', ['service_id', 'name', 'id'], unique=False)
        batch_op.create_index('ix_roles_site_id_name_id', ['site_id', 'name', 'id'], unique=False)
        batch_op.create_index('uq_roles_global', ['service_id', 'name'], unique=True, sqlite_where=sa.text("scope = 'GLOBAL'"), postgresql_where=sa.text("scope = 'GLOBAL'"))
        batch_op.create_index('uq_roles_project', ['service_id', 'project_id', 'name'], unique=True, sqlite_where=sa.text("scope = 'PROJECT'"), postgresql_where=sa.text("scope = 'PROJECT'"))
        batch_op.create_index('uq_roles_site', ['service_id', 'site_id', 'name'], unique=True, sqlite_where=sa.text("scope = 'SITE'"), postgresql_where=sa.text("scope = 'SITE'"))

    op.create_table('participants',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('project_id', db.types.Key(), nullable=False),
    sa.Column('group_id', db.types.Key(), nullable=True),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('username', sa.String(length=150), nullable=True),
    sa.Column('email', sa.String(length=254), nullable=True),
    sa.Column('enabled', sa.Boolean(), nullable=False),
    sa.Column('login_enabled', sa.Boolean(), nullable=False),
    sa.Column('token_enabled', sa.Boolean(), nullable=False),
    sa.Column('last_online_at', db.types.Instant(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.ForeignKeyConstraint(['group_id'], ['participant_groups.id'], name=op.f('fk_participants_group_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_participants_project_id'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_participants'))
    )
    with op.batch_alter_table('participants', schema=None) as batch_op:
        batch_op.create_index('ix_participants_group_id_name_id', ['group_id', 'name', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('ix_participants_name_id', ['name', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('ix_participants_project_id_name_id', ['project_id', 'name', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('uq_participants_username', ['username'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))

    op.create_table('project_devices',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('project_id', db.types.Key(), nullable=False),
    sa.Column('device_id', db.types.Key(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['device_id'], ['devices.id'], name=op.f('fk_project_devices_device_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_project_devices_project_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_project_devices')),
    sa.UniqueConstraint('project_id', 'device_id', name=op.f('uq_project_devices_project_id_device_id'))
    )
    with op.batch_alter_table('project_devices', schema=None) as batch_op:
        batch_op.create_index('ix_project_devices_device_id_project_id', ['device_id', 'project_id'], unique=False)

    op.create_table('role_grants',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('role_id', db.types.Key(), nullable=False),
    sa.Column('user_group_id', db.types.Key(), nullable=True),
    sa.Column('device_id', db.types.Key(), nullable=True),
    sa.Column('participant_group_id', db.types.Key(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.CheckConstraint('CASE WHEN user_group_id IS NULL THEN 0 ELSE 1 END + CASE WHEN device_id IS NULL THEN 0 ELSE 1 END + CASE WHEN participant_group_id IS NULL THEN 0 ELSE 1 END = 1', name=op.f('ck_role_grants_one')),
    sa.ForeignKeyConstraint(['device_id'], ['devices.id'], name=op.f('fk_role_grants_device_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['participant_group_id'], ['participant_groups.id'], name=op.f('fk_role_grants_participant_group_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['role_id'], ['roles.id'], name=op.f('fk_role_grants_role_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_group_id'], ['user_groups.id'], name=op.f('fk_role_grants_user_group_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_role_grants'))
    )
    with op.batch_alter_table('role_grants', schema=None) as batch_op:
        batch_op.create_index('ix_role_grants_device_id_id', ['device_id', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('ix_role_grants_participant_group_id_id', ['participant_group_id', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('ix_role_grants_role_id_id', ['role_id', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('ix_role_grants_user_group_id_id', ['user_group_id', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('uq_role_grants_device_id', ['role_id', 'device_id'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('uq_role_grants_participant_group_id', ['role_id', 'participant_group_id'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('uq_role_grants_user_group_id', ['role_id', 'user_group_id'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))

    op.create_table('site_devices',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('site_id', db.types.Key(), nullable=False),
    sa.Column('device_id', db.types.Key(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['device_id'], ['devices.id'], name=op.f('fk_site_devices_device_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['site_id'], ['sites.id'], name=op.f('fk_site_devices_site_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_site_devices')),
    sa.UniqueConstraint('site_id', 'device_id', name=op.f('uq_site_devices_site_id_device_id'))
    )
    with op.batch_alter_table('site_devices', schema=None) as batch_op:
        batch_op.create_index('ix_site_devices_device_id_site_id', ['device_id', 'site_id'], unique=False)

    op.create_table('participant_devices',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('participant_id', db.types.Key(), nullable=False),
    sa.Column('device_id', db.types.Key(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['device_id'], ['devices.id'], name=op.f('fk_participant_devices_device_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['participant_id'], ['participants.id'], name=op.f('fk_participant_devices_participant_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_participant_devices')),
    sa.UniqueConstraint('participant_id', 'device_id', name=op.f('uq_participant_devices_participant_id_device_id'))
    )
    with op.batch_alter_table('participant_devices', schema=None) as batch_op:
        batch_op.create_index('ix_participant_devices_device_id_participant_id', ['device_id', 'participant_id'], unique=False)

    op.create_table('service_configs',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('service_id', db.types.Key(), nullable=False),
    sa.Column('user_id', db.types.Key(), nullable=True),
    sa.Column('participant_id', db.types.Key(), nullable=True),
    sa.Column('device_id', db.types.Key(), nullable=True),
    sa.Column('specific_id', sa.String(length=100), nullable=False),
    sa.Column('config', sa.JSON(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.CheckConstraint('CASE WHEN user_id IS NULL THEN 0 ELSE 1 END + CASE WHEN participant_id IS NULL THEN 0 ELSE 1 END + CASE WHEN device_id IS NULL THEN 0 ELSE 1 END = 1', name=op.f('ck_service_configs_one')),
    sa.ForeignKeyConstraint(['device_id'], ['devices.id'], name=op.f('fk_service_configs_device_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['participant_id'], ['participants.id'], name=op.f('fk_service_configs_participant_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['service_id'], ['services.id'], name=op.f('fk_service_configs_service_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_service_configs_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_service_configs'))
    )
    with op.batch_alter_table('service_configs', schema=None) as batch_op:
        batch_op.create_index('ix_service_configs_device_id_id', ['device_id', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('ix_service_configs_participant_id_id', ['participant_id', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('ix_service_configs_user_id_id', ['user_id', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('uq_service_configs_device_id', ['service_id', 'device_id', 'specific_id'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('uq_service_configs_participant_id', ['service_id', 'participant_id', 'specific_id'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('uq_service_configs_user_id', ['service_id', 'user_id', 'specific_id'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))

    op.create_table('session_members',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('session_id', db.types.Key(), nullable=False),
    sa.Column('user_id', db.types.Key(), nullable=True),
    sa.Column('participant_id', db.types.Key(), nullable=True),
    sa.Column('device_id', db.types.Key(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.CheckConstraint('CASE WHEN user_id IS NULL THEN 0 ELSE 1 END + CASE WHEN participant_id IS NULL THEN 0 ELSE 1 END + CASE WHEN device_id IS NULL THEN 0 ELSE 1 END = 1', name=op.f('ck_session_members_one')),
    sa.ForeignKeyConstraint(['device_id'], ['devices.id'], name=op.f('fk_session_members_device_id'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['participant_id'], ['participants.id'], name=op.f('fk_session_members_participant_id'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['session_id'], ['sessions.id'], name=op.f('fk_session_members_session_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_session_members_user_id'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_session_members'))
    )
    with op.batch_alter_table('session_members', schema=None) as batch_op:
        batch_op.create_index('ix_session_members_device_id_id', ['device_id', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('ix_session_members_participant_id_id', ['participant_id', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('ix_session_members_session_id_id', ['session_id', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('ix_session_members_user_id_id', ['user_id', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('uq_session_members_device_id', ['session_id', 'device_id'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('uq_session_members_participant_id', ['session_id', 'participant_id'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('uq_session_members_user_id', ['session_id', 'user_id'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))

    _grant_memberships()
    op.drop_table('memberships')
    with op.batch_alter_table('audit_events', schema=None) as batch_op:
        batch_op.add_column(sa.Column('site_id', db.types.Key(), nullable=True))
        batch_op.add_column(sa.Column('project_id', db.types.Key(), nullable=True))
        batch_op.create_index('ix_audit_events_project_id_at_id', ['project_id', 'at', 'id'], unique=False)
        batch_op.create_index('ix_audit_events_site_id_at_id', ['site_id', 'at', 'id'], unique=False)

    _renew_credentials()

    with op.batch_alter_table('users', schema=None) as batch_op:
        batch_op.add_column(sa.Column('language', sa.String(length=16), server_default='en', nullable=False))
        batch_op.add_column(sa.Column('notified', sa.Boolean(), server_default=sa.text('true'), nullable=False))



def downgrade() -> None:
    raise NotImplementedError("groups, devices and keys have no place in earlier tables: restore a backup instead")


def _renew_credentials() -> None:
    """Made anew with its rows, because SQLite can change no constraint of a table."""
    old = sa.Table("credentials", sa.MetaData(), autoload_with=op.get_bind())
    old.c.client.type = sa.JSON(none_as_null=True)
    rows = [dict(row._mapping) for row in op.get_bind().execute(sa.select(old))]
    op.drop_table("credentials")
    op.create_table('credentials',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('user_id', db.types.Key(), nullable=True),
    sa.Column('participant_id', db.types.Key(), nullable=True),
    sa.Column('device_id', db.types.Key(), nullable=True),
    sa.Column('service_id', db.types.Key(), nullable=True),
    sa.Column('kind', sa.Enum('PASSWORD', 'LOGIN_SESSION', 'API_KEY', 'STATIC_TOKEN', 'TOTP', 'RECOVERY_CODE', 'EMAIL_CODE', 'EMAIL_VERIFY', 'PASSWORD_RESET', name='credentialkind', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('label', sa.String(length=100), nullable=False),
    sa.Column('public_key', sa.String(length=64), nullable=True),
    sa.Column('secret_hash', sa.String(length=255), nullable=True),
    sa.Column('sealed', sa.Text(), nullable=True),
    sa.Column('algorithm', sa.String(length=32), nullable=False),
    sa.Column('scopes', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('family', db.types.Key(), nullable=True),
    sa.Column('expires_at', db.types.Instant(), nullable=True),
    sa.Column('last_used_at', db.types.Instant(), nullable=True),
    sa.Column('revoked_at', db.types.Instant(), nullable=True),
    sa.Column('client', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint("kind <> 'LOGIN_SESSION' OR (family IS NOT NULL AND expires_at IS NOT NULL)", name=op.f('ck_credentials_session')),
    sa.CheckConstraint('CASE WHEN user_id IS NULL THEN 0 ELSE 1 END + CASE WHEN participant_id IS NULL THEN 0 ELSE 1 END + CASE WHEN device_id IS NULL THEN 0 ELSE 1 END + CASE WHEN service_id IS NULL THEN 0 ELSE 1 END = 1', name=op.f('ck_credentials_one')),
    sa.ForeignKeyConstraint(['device_id'], ['devices.id'], name=op.f('fk_credentials_device_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['participant_id'], ['participants.id'], name=op.f('fk_credentials_participant_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['service_id'], ['services.id'], name=op.f('fk_credentials_service_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_credentials_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_credentials')),
    sa.UniqueConstraint('public_key', name=op.f('uq_credentials_public_key'))
    )
    op.create_index('ix_credentials_user_id_kind', 'credentials', ['user_id', 'kind'], unique=False)
    op.create_index('uq_credentials_secret', 'credentials', ['secret_hash'], unique=True, sqlite_where=sa.text("kind NOT IN ('PASSWORD', 'TOTP')"), postgresql_where=sa.text("kind NOT IN ('PASSWORD', 'TOTP')"))
    op.create_index('ix_credentials_device_id_kind', 'credentials', ['device_id', 'kind'], unique=False)
    op.create_index(op.f('ix_credentials_family'), 'credentials', ['family'], unique=False)
    op.create_index('ix_credentials_participant_id_kind', 'credentials', ['participant_id', 'kind'], unique=False)
    op.create_index('ix_credentials_user_id_created_at_id', 'credentials', ['user_id', 'created_at', 'id'], unique=False)
    op.create_index('uq_credentials_participant_password', 'credentials', ['participant_id', 'label'], unique=True, sqlite_where=sa.text("kind = 'PASSWORD'"), postgresql_where=sa.text("kind = 'PASSWORD'"))
    op.create_index('uq_credentials_password', 'credentials', ['user_id', 'kind', 'label'], unique=True, sqlite_where=sa.text("kind IN ('PASSWORD', 'TOTP')"), postgresql_where=sa.text("kind IN ('PASSWORD', 'TOTP')"))
    op.create_index('ix_credentials_service_id_kind', 'credentials', ['service_id', 'kind'], unique=False)
    if rows:
        op.get_bind().execute(sa.insert(old), rows)


CORE = "70726f6a-6563-7470-8f00-746f72616e61"
COMMON = {"created_at": now(), "updated_at": now(), "version": 1}


def _table(name: str, /, *columns: str) -> sa.TableClause:
    keys = [sa.column(c, db.types.Key() if c == "id" or c.endswith("_id") else None) for c in columns]
    stamps = [sa.column(c, db.types.Instant()) for c in ("created_at", "updated_at")]
    return sa.table(name, *keys, *stamps, sa.column("version"))


def _insert(table: str, /, **values: object) -> object:
    key = uuid7()
    op.get_bind().execute(sa.insert(_table(table, "id", *values)).values(id=key, **values, **COMMON))
    return key


def _grant_memberships() -> None:
    """Every site and project gets the roles of the core service; who was in a project is now in a group with its role."""
    services = _table(
        "services", "id", "name", "key", "hostname", "port", "endpoint", "client_endpoint", "enabled", "system",
        "editable_config", "config_schema", "has_assets", "has_tests",
    )
    op.get_bind().execute(
        sa.insert(services).values(
            id=CORE, name="Torana", key="torana", hostname="localhost", port=8000, endpoint="/", client_endpoint="/",
            enabled=True, system=True, editable_config=False, config_schema="{}" , has_assets=False, has_tests=False,
            **COMMON,
        )
    )
    projects = _table("projects", "id", "name")
    for (key,) in op.get_bind().execute(sa.select(_table("sites", "id").c.id)).all():
        for name in ("admin", "user"):
            _insert("roles", service_id=CORE, scope="SITE", site_id=key, name=name)
    members = _table("memberships", "user_id", "project_id", "role")
    for key, called in op.get_bind().execute(sa.select(projects.c.id, projects.c.name)).all():
        for name in ("admin", "user"):
            role = _insert("roles", service_id=CORE, scope="PROJECT", project_id=key, name=name)
            held = sa.select(members.c.user_id).where(members.c.project_id == key, members.c.role == name.upper())
            users = op.get_bind().execute(held).scalars().all()
            if users:
                group = _insert("user_groups", name=f"{called} ({name})"[:255])
                _insert("role_grants", role_id=role, user_group_id=group)
                for user in users:
                    _insert("user_group_members", user_group_id=group, user_id=user)
