"""first tables

Revision ID: 49f060774026
Revises: 
"""
from alembic import op
import sqlalchemy as sa
import db.types


revision = '49f060774026'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('attempts',
    sa.Column('key', sa.String(length=100), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.Column('since', db.types.Instant(), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_attempts'))
    )
    op.create_table('audit_events',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('actor_kind', sa.String(length=16), nullable=True),
    sa.Column('actor_id', db.types.Key(), nullable=True),
    sa.Column('action', sa.String(length=64), nullable=False),
    sa.Column('entity_type', sa.String(length=64), nullable=False),
    sa.Column('entity_id', db.types.Key(), nullable=True),
    sa.Column('at', db.types.Instant(), nullable=False),
    sa.Column('client', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('detail', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_events'))
    )
    with op.batch_alter_table('audit_events', schema=None) as batch_op:
        batch_op.create_index('ix_audit_events_actor_id_at_id', ['actor_id', 'at', 'id'], unique=False)
        batch_op.create_index('ix_audit_events_at_id', ['at', 'id'], unique=False)

    op.create_table('session_types',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('online', sa.Boolean(), nullable=False),
    sa.Column('color', sa.String(length=7), nullable=False),
    sa.Column('category', sa.Enum('SERVICE', 'DATACOLLECT', 'FILETRANSFER', 'PROTOCOL', name='sessioncategory', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('config', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_session_types'))
    )
    with op.batch_alter_table('session_types', schema=None) as batch_op:
        batch_op.create_index('ix_session_types_name_id', ['name', 'id'], unique=False)

    op.create_table('sites',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('two_factor_required', sa.Boolean(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sites'))
    )
    with op.batch_alter_table('sites', schema=None) as batch_op:
        batch_op.create_index('ix_sites_name_id', ['name', 'id'], unique=False)

    op.create_table('users',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('username', sa.String(length=150), nullable=False),
    sa.Column('auth_provider', sa.Enum('LOCAL', 'KEYCLOAK', 'COGNITO', name='authprovider', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('external_subject', sa.String(length=255), nullable=True),
    sa.Column('email', sa.String(length=254), nullable=True),
    sa.Column('email_verified', sa.Boolean(), nullable=False),
    sa.Column('first_name', sa.String(length=150), nullable=True),
    sa.Column('last_name', sa.String(length=150), nullable=True),
    sa.Column('affiliation', sa.String(length=255), nullable=True),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('superadmin', sa.Boolean(), nullable=False),
    sa.Column('platform_role', sa.Enum('READER', 'CONTRIBUTOR', 'MANAGER', name='platformrole', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('profile', sa.JSON(), nullable=False),
    sa.Column('notes', sa.Text(), nullable=True),
    sa.Column('last_online_at', db.types.Instant(), nullable=True),
    sa.Column('two_factor', sa.Enum('NONE', 'EMAIL', 'TOTP', name='twofactor', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('force_password_change', sa.Boolean(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users')),
    sa.UniqueConstraint('auth_provider', 'external_subject', name=op.f('uq_users_auth_provider_external_subject')),
    sa.UniqueConstraint('username', 'auth_provider', name=op.f('uq_users_username_auth_provider'))
    )
    with op.batch_alter_table('users', schema=None) as batch_op:
        batch_op.create_index('ix_users_created_at_id', ['created_at', 'id'], unique=False)
        batch_op.create_index('uq_users_local_email', ['email'], unique=True, sqlite_where=sa.text("auth_provider = 'LOCAL' AND deleted_at IS NULL"), postgresql_where=sa.text("auth_provider = 'LOCAL' AND deleted_at IS NULL"))

    op.create_table('challenges',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('label', sa.String(length=100), nullable=False),
    sa.Column('start_date', sa.Date(), nullable=False),
    sa.Column('end_date', sa.Date(), nullable=True),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('url', sa.String(length=2000), nullable=False),
    sa.Column('auto_eval', sa.Boolean(), nullable=False),
    sa.Column('site_id', db.types.Key(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['site_id'], ['sites.id'], name=op.f('fk_challenges_site_id'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_challenges')),
    sa.UniqueConstraint('label', name=op.f('uq_challenges_label'))
    )
    with op.batch_alter_table('challenges', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_challenges_site_id'), ['site_id'], unique=False)
        batch_op.create_index('ix_challenges_start_date_id', ['start_date', 'id'], unique=False)

    op.create_table('credentials',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('user_id', db.types.Key(), nullable=False),
    sa.Column('kind', sa.Enum('PASSWORD', 'LOGIN_SESSION', name='credentialkind', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('label', sa.String(length=100), nullable=False),
    sa.Column('secret_hash', sa.String(length=255), nullable=False),
    sa.Column('algorithm', sa.String(length=32), nullable=False),
    sa.Column('family', db.types.Key(), nullable=True),
    sa.Column('expires_at', db.types.Instant(), nullable=True),
    sa.Column('last_used_at', db.types.Instant(), nullable=True),
    sa.Column('revoked_at', db.types.Instant(), nullable=True),
    sa.Column('client', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint("kind <> 'LOGIN_SESSION' OR (family IS NOT NULL AND expires_at IS NOT NULL)", name=op.f('ck_credentials_session')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_credentials_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_credentials'))
    )
    with op.batch_alter_table('credentials', schema=None) as batch_op:
        batch_op.create_index('uq_credentials_refresh', ['secret_hash'], unique=True, sqlite_where=sa.text("kind = 'LOGIN_SESSION'"), postgresql_where=sa.text("kind = 'LOGIN_SESSION'"))
        batch_op.create_index(batch_op.f('ix_credentials_family'), ['family'], unique=False)
        batch_op.create_index('ix_credentials_user_id_kind', ['user_id', 'kind'], unique=False)
        batch_op.create_index('uq_credentials_password', ['user_id', 'label'], unique=True, sqlite_where=sa.text("kind = 'PASSWORD'"), postgresql_where=sa.text("kind = 'PASSWORD'"))

    op.create_table('projects',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('site_id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('enabled', sa.Boolean(), nullable=False),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.ForeignKeyConstraint(['site_id'], ['sites.id'], name=op.f('fk_projects_site_id'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_projects'))
    )
    with op.batch_alter_table('projects', schema=None) as batch_op:
        batch_op.create_index('ix_projects_name_id', ['name', 'id'], unique=False)
        batch_op.create_index('ix_projects_site_id_name_id', ['site_id', 'name', 'id'], unique=False)

    # Specs and their versions refer to each other: SQLite takes a reference to a table that is yet to come, and no
    # other way; PostgreSQL takes it afterwards.
    reference = sa.ForeignKeyConstraint(['latest_version_id'], ['spec_versions.id'], name=op.f('fk_specs_latest_version_id'), ondelete='SET NULL')
    sqlite = op.get_bind().dialect.name == 'sqlite'
    inline = [reference] if sqlite else []
    op.create_table('specs',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('user_id', db.types.Key(), nullable=False),
    sa.Column('canonical_name', sa.String(length=255), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('latest_version_id', db.types.Key(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    *inline,
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_specs_user_id'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_specs'))
    )
    with op.batch_alter_table('specs', schema=None) as batch_op:
        batch_op.create_index('ix_specs_canonical_name_id', ['canonical_name', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_specs_latest_version_id'), ['latest_version_id'], unique=False)
        batch_op.create_index('ix_specs_user_id_canonical_name_id', ['user_id', 'canonical_name', 'id'], unique=False)
        batch_op.create_index('uq_specs_user_id_canonical_name', ['user_id', 'canonical_name'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))

    op.create_table('leaderboards',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('challenge_id', db.types.Key(), nullable=False),
    sa.Column('label', sa.String(length=100), nullable=False),
    sa.Column('entry_file', sa.String(length=255), nullable=False),
    sa.Column('archived', sa.Boolean(), nullable=False),
    sa.Column('static_files', sa.Boolean(), nullable=False),
    sa.Column('sorting_key', sa.String(length=255), nullable=True),
    sa.Column('external_entries', sa.String(length=2000), nullable=True),
    sa.Column('built_at', db.types.Instant(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['challenge_id'], ['challenges.id'], name=op.f('fk_leaderboards_challenge_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_leaderboards')),
    sa.UniqueConstraint('label', name=op.f('uq_leaderboards_label'))
    )
    with op.batch_alter_table('leaderboards', schema=None) as batch_op:
        batch_op.create_index('ix_leaderboards_challenge_id_label_id', ['challenge_id', 'label', 'id'], unique=False)
        batch_op.create_index('ix_leaderboards_label_id', ['label', 'id'], unique=False)

    op.create_table('memberships',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('user_id', db.types.Key(), nullable=False),
    sa.Column('project_id', db.types.Key(), nullable=False),
    sa.Column('role', sa.Enum('USER', 'ADMIN', name='projectrole', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_memberships_project_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_memberships_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_memberships')),
    sa.UniqueConstraint('user_id', 'project_id', name=op.f('uq_memberships_user_id_project_id'))
    )
    with op.batch_alter_table('memberships', schema=None) as batch_op:
        batch_op.create_index('ix_memberships_project_id_id', ['project_id', 'id'], unique=False)
        batch_op.create_index('ix_memberships_user_id_id', ['user_id', 'id'], unique=False)

    op.create_table('sessions',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('type_id', db.types.Key(), nullable=False),
    sa.Column('project_id', db.types.Key(), nullable=True),
    sa.Column('creator_id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('starts_at', db.types.Instant(), nullable=False),
    sa.Column('duration_seconds', sa.Integer(), nullable=False),
    sa.Column('status', sa.Enum('NOT_STARTED', 'IN_PROGRESS', 'COMPLETED', 'CANCELLED', 'TERMINATED', name='sessionstatus', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('comments', sa.Text(), nullable=True),
    sa.Column('parameters', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.CheckConstraint('duration_seconds >= 0', name=op.f('ck_sessions_duration')),
    sa.ForeignKeyConstraint(['creator_id'], ['users.id'], name=op.f('fk_sessions_creator_id'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_sessions_project_id'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['type_id'], ['session_types.id'], name=op.f('fk_sessions_type_id'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sessions'))
    )
    with op.batch_alter_table('sessions', schema=None) as batch_op:
        batch_op.create_index('ix_sessions_creator_id', ['creator_id'], unique=False)
        batch_op.create_index('ix_sessions_project_id_starts_at_id', ['project_id', 'starts_at', 'id'], unique=False)
        batch_op.create_index('ix_sessions_starts_at_id', ['starts_at', 'id'], unique=False)
        batch_op.create_index('ix_sessions_type_id_starts_at_id', ['type_id', 'starts_at', 'id'], unique=False)

    op.create_table('spec_versions',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('spec_id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('title', sa.String(length=255), nullable=True),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('model_count', sa.Integer(), nullable=False),
    sa.Column('language', sa.Enum('JSON', 'YAML', name='speclanguage', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.CheckConstraint('model_count >= 0', name=op.f('ck_spec_versions_model_count')),
    sa.ForeignKeyConstraint(['spec_id'], ['specs.id'], name=op.f('fk_spec_versions_spec_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_spec_versions')),
    sa.UniqueConstraint('spec_id', 'name', name=op.f('uq_spec_versions_spec_id_name'))
    )
    with op.batch_alter_table('spec_versions', schema=None) as batch_op:
        batch_op.create_index('ix_spec_versions_spec_id_updated_at_id', ['spec_id', 'updated_at', 'id'], unique=False)

    if not sqlite:
        op.create_foreign_key(op.f('fk_specs_latest_version_id'), 'specs', 'spec_versions', ['latest_version_id'], ['id'], ondelete='SET NULL')
    op.create_table('leaderboard_entries',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('leaderboard_id', db.types.Key(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('data', sa.JSON(), nullable=False),
    sa.Column('author_label', sa.String(length=255), nullable=True),
    sa.Column('external', sa.Boolean(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint('position >= 1', name=op.f('ck_leaderboard_entries_position')),
    sa.ForeignKeyConstraint(['leaderboard_id'], ['leaderboards.id'], name=op.f('fk_leaderboard_entries_leaderboard_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_leaderboard_entries')),
    sa.UniqueConstraint('leaderboard_id', 'position', name=op.f('uq_leaderboard_entries_leaderboard_id_position'))
    )
    with op.batch_alter_table('leaderboard_entries', schema=None) as batch_op:
        batch_op.create_index('ix_leaderboard_entries_leaderboard_id_position_id', ['leaderboard_id', 'position', 'id'], unique=False)

    op.create_table('session_events',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('session_id', db.types.Key(), nullable=False),
    sa.Column('type', sa.Enum('GENERAL_ERROR', 'GENERAL_INFO', 'GENERAL_WARNING', 'SESSION_START', 'SESSION_STOP', 'DEVICE_ON_CHARGE', 'DEVICE_OFF_CHARGE', 'DEVICE_LOW_BATT', 'DEVICE_STORAGE_LOW', 'DEVICE_STORAGE_FULL', 'DEVICE_EVENT', 'USER_EVENT', 'SESSION_JOIN', 'SESSION_LEAVE', 'SESSION_JOIN_REFUSED', 'SESSION_JOIN_BUSY', 'CUSTOM_1', 'CUSTOM_2', 'CUSTOM_3', 'CUSTOM_4', 'CUSTOM_5', 'CUSTOM_6', 'CUSTOM_7', 'CUSTOM_8', 'CUSTOM_9', 'CUSTOM_10', name='sessioneventtype', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('occurred_at', db.types.Instant(), nullable=False),
    sa.Column('text', sa.Text(), nullable=True),
    sa.Column('context', sa.Text(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.ForeignKeyConstraint(['session_id'], ['sessions.id'], name=op.f('fk_session_events_session_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_session_events'))
    )
    with op.batch_alter_table('session_events', schema=None) as batch_op:
        batch_op.create_index('ix_session_events_session_id_occurred_at_id', ['session_id', 'occurred_at', 'id'], unique=False)

    op.create_table('simulations',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('user_id', db.types.Key(), nullable=False),
    sa.Column('title', sa.String(length=255), nullable=False),
    sa.Column('sim_type', sa.Enum('SHIELDHIT', 'TOPAS', 'FLUKA', 'DUMMY', name='simulationtype', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('input_type', sa.Enum('EDITOR', 'FILES', name='inputtype', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('project_id', db.types.Key(), nullable=True),
    sa.Column('session_id', db.types.Key(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_simulations_project_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['session_id'], ['sessions.id'], name=op.f('fk_simulations_session_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_simulations_user_id'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_simulations'))
    )
    with op.batch_alter_table('simulations', schema=None) as batch_op:
        batch_op.create_index('ix_simulations_created_at_id', ['created_at', 'id'], unique=False)
        batch_op.create_index('ix_simulations_project_id_created_at_id', ['project_id', 'created_at', 'id'], unique=False)
        batch_op.create_index('ix_simulations_session_id_created_at_id', ['session_id', 'created_at', 'id'], unique=False)
        batch_op.create_index('ix_simulations_title_id', ['title', 'id'], unique=False)
        batch_op.create_index('ix_simulations_user_id_created_at_id', ['user_id', 'created_at', 'id'], unique=False)

    op.create_table('estimators',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('simulation_id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('file_name', sa.String(length=255), nullable=False),
    sa.Column('metadata', sa.JSON(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['simulation_id'], ['simulations.id'], name=op.f('fk_estimators_simulation_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_estimators')),
    sa.UniqueConstraint('simulation_id', 'file_name', name=op.f('uq_estimators_simulation_id_file_name'))
    )
    with op.batch_alter_table('estimators', schema=None) as batch_op:
        batch_op.create_index('ix_estimators_simulation_id_name_id', ['simulation_id', 'name', 'id'], unique=False)

    op.create_table('jobs',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('key', sa.String(length=80), nullable=False),
    sa.Column('kind', sa.Enum('SIMULATION', name='jobkind', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('owner_user_id', db.types.Key(), nullable=False),
    sa.Column('state', sa.Enum('UNKNOWN', 'PENDING', 'RUNNING', 'MERGING_QUEUED', 'MERGING_RUNNING', 'CANCELED', 'COMPLETED', 'FAILED', name='jobstate', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('platform', sa.Enum('IN_PROCESS', name='platform', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('title', sa.String(length=255), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('progress', sa.Double(), nullable=False),
    sa.Column('estimated_seconds', sa.Integer(), nullable=True),
    sa.Column('submitted_at', db.types.Instant(), nullable=False),
    sa.Column('started_at', db.types.Instant(), nullable=True),
    sa.Column('ended_at', db.types.Instant(), nullable=True),
    sa.Column('error', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('warnings', sa.JSON(), nullable=False),
    sa.Column('cancel_requested_at', db.types.Instant(), nullable=True),
    sa.Column('last_update_at', db.types.Instant(), nullable=False),
    sa.Column('lease_until', db.types.Instant(), nullable=True),
    sa.Column('log_length', sa.Integer(), nullable=False),
    sa.Column('simulation_id', db.types.Key(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint("kind <> 'SIMULATION' OR simulation_id IS NOT NULL", name=op.f('ck_jobs_subject')),
    sa.CheckConstraint('progress BETWEEN 0 AND 1', name=op.f('ck_jobs_progress')),
    sa.ForeignKeyConstraint(['owner_user_id'], ['users.id'], name=op.f('fk_jobs_owner_user_id'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['simulation_id'], ['simulations.id'], name=op.f('fk_jobs_simulation_id'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_jobs')),
    sa.UniqueConstraint('key', name=op.f('uq_jobs_key')),
    sa.UniqueConstraint('simulation_id', 'attempt', name=op.f('uq_jobs_simulation_id_attempt'))
    )
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.create_index('ix_jobs_owner_user_id_submitted_at_id', ['owner_user_id', 'submitted_at', 'id'], unique=False)
        batch_op.create_index('ix_jobs_simulation_id_attempt_id', ['simulation_id', 'attempt', 'id'], unique=False)
        batch_op.create_index('ix_jobs_state_submitted_at_id', ['state', 'submitted_at', 'id'], unique=False)
        batch_op.create_index('ix_jobs_submitted_at_id', ['submitted_at', 'id'], unique=False)
        batch_op.create_index('uq_jobs_active', ['kind', 'simulation_id'], unique=True, sqlite_where=sa.text("state NOT IN ('CANCELED', 'COMPLETED', 'FAILED')"), postgresql_where=sa.text("state NOT IN ('CANCELED', 'COMPLETED', 'FAILED')"))

    op.create_table('simulation_inputs',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('simulation_id', db.types.Key(), nullable=False),
    sa.Column('files', sa.JSON(), nullable=False),
    sa.Column('total_primaries', sa.BigInteger(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint('total_primaries >= 1', name=op.f('ck_simulation_inputs_primaries')),
    sa.ForeignKeyConstraint(['simulation_id'], ['simulations.id'], name=op.f('fk_simulation_inputs_simulation_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_simulation_inputs')),
    sa.UniqueConstraint('simulation_id', name=op.f('uq_simulation_inputs_simulation_id'))
    )
    op.create_table('pages',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('estimator_id', db.types.Key(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('dimension', sa.Integer(), nullable=False),
    sa.Column('value_count', sa.Integer(), nullable=False),
    sa.Column('unit', sa.String(length=64), nullable=True),
    sa.Column('filter_name', sa.String(length=255), nullable=True),
    sa.Column('has_non_finite', sa.Boolean(), nullable=False),
    sa.Column('axis1_name', sa.String(length=255), nullable=True),
    sa.Column('axis1_unit', sa.String(length=64), nullable=True),
    sa.Column('axis1_count', sa.Integer(), nullable=True),
    sa.Column('axis1_values', sa.Text(), nullable=True),
    sa.Column('axis2_name', sa.String(length=255), nullable=True),
    sa.Column('axis2_unit', sa.String(length=64), nullable=True),
    sa.Column('axis2_count', sa.Integer(), nullable=True),
    sa.Column('axis2_values', sa.Text(), nullable=True),
    sa.Column('metadata', sa.JSON(), nullable=False),
    sa.Column('data_values', sa.Text(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint('(dimension = 2) = (axis2_values IS NOT NULL)', name=op.f('ck_pages_axis2')),
    sa.CheckConstraint('(dimension >= 1) = (axis1_values IS NOT NULL)', name=op.f('ck_pages_axis1')),
    sa.CheckConstraint('dimension BETWEEN 0 AND 2', name=op.f('ck_pages_dimension')),
    sa.ForeignKeyConstraint(['estimator_id'], ['estimators.id'], name=op.f('fk_pages_estimator_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_pages')),
    sa.UniqueConstraint('estimator_id', 'number', name=op.f('uq_pages_estimator_id_number'))
    )
    with op.batch_alter_table('pages', schema=None) as batch_op:
        batch_op.create_index('ix_pages_estimator_id_number_id', ['estimator_id', 'number', 'id'], unique=False)

    op.create_table('tasks',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('job_id', db.types.Key(), nullable=False),
    sa.Column('ordinal', sa.Integer(), nullable=False),
    sa.Column('state', sa.Enum('UNKNOWN', 'PENDING', 'RUNNING', 'MERGING_QUEUED', 'MERGING_RUNNING', 'CANCELED', 'COMPLETED', 'FAILED', name='jobstate', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('requested', sa.BigInteger(), nullable=False),
    sa.Column('done', sa.BigInteger(), nullable=False),
    sa.Column('estimated_seconds', sa.Integer(), nullable=True),
    sa.Column('started_at', db.types.Instant(), nullable=True),
    sa.Column('ended_at', db.types.Instant(), nullable=True),
    sa.Column('last_update_at', db.types.Instant(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('losses', sa.Integer(), nullable=False),
    sa.Column('holder', sa.String(length=64), nullable=True),
    sa.Column('lease_until', db.types.Instant(), nullable=True),
    sa.Column('error', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.CheckConstraint('done BETWEEN 0 AND requested', name=op.f('ck_tasks_done')),
    sa.CheckConstraint('ordinal >= 1', name=op.f('ck_tasks_ordinal')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_tasks_job_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tasks')),
    sa.UniqueConstraint('job_id', 'ordinal', name=op.f('uq_tasks_job_id_ordinal'))
    )
    with op.batch_alter_table('tasks', schema=None) as batch_op:
        batch_op.create_index('ix_tasks_job_id_ordinal_id', ['job_id', 'ordinal', 'id'], unique=False)
        batch_op.create_index('ix_tasks_state_id', ['state', 'id'], unique=False)

    op.create_table('log_entries',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('job_id', db.types.Key(), nullable=False),
    sa.Column('task_id', db.types.Key(), nullable=True),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('line', sa.Integer(), nullable=False),
    sa.Column('sequence', sa.Integer(), nullable=False),
    sa.Column('at', db.types.Instant(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_log_entries_job_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['task_id'], ['tasks.id'], name=op.f('fk_log_entries_task_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_log_entries')),
    sa.UniqueConstraint('task_id', 'attempt', 'line', name=op.f('uq_log_entries_task_id_attempt_line'))
    )
    with op.batch_alter_table('log_entries', schema=None) as batch_op:
        batch_op.create_index('ix_log_entries_job_id_sequence_id', ['job_id', 'sequence', 'id'], unique=False)
        batch_op.create_index('uq_log_entries_job_id_sequence', ['job_id', 'sequence'], unique=True)

    op.create_table('task_results',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('task_id', db.types.Key(), nullable=False),
    sa.Column('primaries', sa.BigInteger(), nullable=False),
    sa.Column('data', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['task_id'], ['tasks.id'], name=op.f('fk_task_results_task_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_task_results')),
    sa.UniqueConstraint('task_id', name=op.f('uq_task_results_task_id'))
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == 'postgresql':
        op.drop_constraint(op.f('fk_specs_latest_version_id'), 'specs', type_='foreignkey')
    op.drop_table('task_results')
    with op.batch_alter_table('log_entries', schema=None) as batch_op:
        batch_op.drop_index('uq_log_entries_job_id_sequence')
        batch_op.drop_index('ix_log_entries_job_id_sequence_id')

    op.drop_table('log_entries')
    with op.batch_alter_table('tasks', schema=None) as batch_op:
        batch_op.drop_index('ix_tasks_state_id')
        batch_op.drop_index('ix_tasks_job_id_ordinal_id')

    op.drop_table('tasks')
    with op.batch_alter_table('pages', schema=None) as batch_op:
        batch_op.drop_index('ix_pages_estimator_id_number_id')

    op.drop_table('pages')
    op.drop_table('simulation_inputs')
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.drop_index('uq_jobs_active', sqlite_where=sa.text("state NOT IN ('CANCELED', 'COMPLETED', 'FAILED')"), postgresql_where=sa.text("state NOT IN ('CANCELED', 'COMPLETED', 'FAILED')"))
        batch_op.drop_index('ix_jobs_submitted_at_id')
        batch_op.drop_index('ix_jobs_state_submitted_at_id')
        batch_op.drop_index('ix_jobs_simulation_id_attempt_id')
        batch_op.drop_index('ix_jobs_owner_user_id_submitted_at_id')

    op.drop_table('jobs')
    with op.batch_alter_table('estimators', schema=None) as batch_op:
        batch_op.drop_index('ix_estimators_simulation_id_name_id')

    op.drop_table('estimators')
    with op.batch_alter_table('simulations', schema=None) as batch_op:
        batch_op.drop_index('ix_simulations_user_id_created_at_id')
        batch_op.drop_index('ix_simulations_title_id')
        batch_op.drop_index('ix_simulations_session_id_created_at_id')
        batch_op.drop_index('ix_simulations_project_id_created_at_id')
        batch_op.drop_index('ix_simulations_created_at_id')

    op.drop_table('simulations')
    with op.batch_alter_table('session_events', schema=None) as batch_op:
        batch_op.drop_index('ix_session_events_session_id_occurred_at_id')

    op.drop_table('session_events')
    with op.batch_alter_table('leaderboard_entries', schema=None) as batch_op:
        batch_op.drop_index('ix_leaderboard_entries_leaderboard_id_position_id')

    op.drop_table('leaderboard_entries')
    with op.batch_alter_table('spec_versions', schema=None) as batch_op:
        batch_op.drop_index('ix_spec_versions_spec_id_updated_at_id')

    op.drop_table('spec_versions')
    with op.batch_alter_table('sessions', schema=None) as batch_op:
        batch_op.drop_index('ix_sessions_type_id_starts_at_id')
        batch_op.drop_index('ix_sessions_starts_at_id')
        batch_op.drop_index('ix_sessions_project_id_starts_at_id')
        batch_op.drop_index('ix_sessions_creator_id')

    op.drop_table('sessions')
    with op.batch_alter_table('memberships', schema=None) as batch_op:
        batch_op.drop_index('ix_memberships_user_id_id')
        batch_op.drop_index('ix_memberships_project_id_id')

    op.drop_table('memberships')
    with op.batch_alter_table('leaderboards', schema=None) as batch_op:
        batch_op.drop_index('ix_leaderboards_label_id')
        batch_op.drop_index('ix_leaderboards_challenge_id_label_id')

    op.drop_table('leaderboards')
    with op.batch_alter_table('specs', schema=None) as batch_op:
        batch_op.drop_index('uq_specs_user_id_canonical_name', sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.drop_index('ix_specs_user_id_canonical_name_id')
        batch_op.drop_index(batch_op.f('ix_specs_latest_version_id'))
        batch_op.drop_index('ix_specs_canonical_name_id')

    op.drop_table('specs')
    with op.batch_alter_table('projects', schema=None) as batch_op:
        batch_op.drop_index('ix_projects_site_id_name_id')
        batch_op.drop_index('ix_projects_name_id')

    op.drop_table('projects')
    with op.batch_alter_table('credentials', schema=None) as batch_op:
        batch_op.drop_index('uq_credentials_password', sqlite_where=sa.text("kind = 'PASSWORD'"), postgresql_where=sa.text("kind = 'PASSWORD'"))
        batch_op.drop_index('ix_credentials_user_id_kind')
        batch_op.drop_index(batch_op.f('ix_credentials_family'))

    op.drop_table('credentials')
    with op.batch_alter_table('challenges', schema=None) as batch_op:
        batch_op.drop_index('ix_challenges_start_date_id')
        batch_op.drop_index(batch_op.f('ix_challenges_site_id'))

    op.drop_table('challenges')
    with op.batch_alter_table('users', schema=None) as batch_op:
        batch_op.drop_index('uq_users_local_email', sqlite_where=sa.text("auth_provider = 'LOCAL' AND deleted_at IS NULL"), postgresql_where=sa.text("auth_provider = 'LOCAL' AND deleted_at IS NULL"))
        batch_op.drop_index('ix_users_created_at_id')

    op.drop_table('users')
    with op.batch_alter_table('sites', schema=None) as batch_op:
        batch_op.drop_index('ix_sites_name_id')

    op.drop_table('sites')
    with op.batch_alter_table('session_types', schema=None) as batch_op:
        batch_op.drop_index('ix_session_types_name_id')

    op.drop_table('session_types')
    with op.batch_alter_table('audit_events', schema=None) as batch_op:
        batch_op.drop_index('ix_audit_events_at_id')
        batch_op.drop_index('ix_audit_events_actor_id_at_id')

    op.drop_table('audit_events')
    op.drop_table('attempts')
