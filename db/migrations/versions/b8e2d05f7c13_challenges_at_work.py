"""Challenges at work: phases, evaluators, submissions, teams, builds of leaderboards; evaluations as a kind of jobs

Revision ID: b8e2d05f7c13
Revises: e7c94a1f3b60
"""
import sqlalchemy as sa
from alembic import op

import db.types
from db.migrations.sqlite import rewrite

revision = 'b8e2d05f7c13'
down_revision = 'e7c94a1f3b60'
branch_labels = None
depends_on = None

KINDS = ("kind IN ('SIMULATION', 'ARCHIVE')", "kind IN ('SIMULATION', 'ARCHIVE', 'SUBMISSION_EVALUATION')")
PLATFORMS = (
    "platform IN ('IN_PROCESS', 'CELERY', 'SLURM')",
    "platform IN ('IN_PROCESS', 'CELERY', 'SLURM', 'EXTERNAL')",
)
CLUSTER = (
    "(platform = 'IN_PROCESS') = (cluster_id IS NULL)",
    "(platform IN ('IN_PROCESS', 'EXTERNAL')) = (cluster_id IS NULL)",
)
EVALUATION = "(kind = 'SUBMISSION_EVALUATION') = (evaluation_id IS NOT NULL)"
PURPOSES = (
    "purpose IN ('SESSION_ASSET', 'DATASET', 'ARCHIVE', 'PUBLIC', 'OUTPUT')",
    "purpose IN ('SESSION_ASSET', 'DATASET', 'ARCHIVE', 'PUBLIC', 'OUTPUT', 'SUBMISSION_INPUT', 'SUBMISSION_OUTPUT', "
    "'EVALUATOR_PROGRAM', 'REFERENCE_DATA', 'CHALLENGE_DATA')",
)
_OWNERS = ('user_id', 'participant_id', 'device_id', 'service_id')


def _one(*owners: str) -> str:
    return f"{' + '.join(f'CASE WHEN {owner} IS NULL THEN 0 ELSE 1 END' for owner in owners)} = 1"


OWNERS = (_one(*_OWNERS), _one(*_OWNERS, 'challenge_id'))
_KINDS = (
    "'PASSWORD', 'LOGIN_SESSION', 'API_KEY', 'STATIC_TOKEN', 'TOTP', 'RECOVERY_CODE', 'EMAIL_CODE', 'EMAIL_VERIFY', "
    "'PASSWORD_RESET', 'SSH_CERTIFICATE'"
)
CREDENTIALS = (f"kind IN ({_KINDS})", f"kind IN ({_KINDS}, 'CHALLENGE_WORKER')")
REGISTRATION = "registration_mode IN ('NONE', 'OPEN', 'APPROVAL')"
COUNTING = "counting IN ('BEST', 'LATEST', 'ALL', 'CHOSEN')"
TEAM_SIZE = "team_size >= 1"
REFERS = (
    ('challenges', 'evaluator_id', 'evaluators', 'SET NULL'),
    ('challenges', 'organisers_id', 'user_groups', 'SET NULL'),
    ('credentials', 'challenge_id', 'challenges', 'CASCADE'),
    ('files', 'challenge_id', 'challenges', 'CASCADE'),
    ('files', 'submission_id', 'submissions', 'CASCADE'),
    ('jobs', 'evaluation_id', 'evaluations', 'CASCADE'),
    ('leaderboards', 'build_id', 'leaderboard_builds', 'SET NULL'),
    ('leaderboards', 'phase_id', 'phases', 'SET NULL'),
    ('uploads', 'challenge_id', 'challenges', 'SET NULL'),
    ('uploads', 'submission_id', 'submissions', 'CASCADE'),
)
OF_ENTRIES = (
    ('build_id', 'leaderboard_builds', 'CASCADE'),
    ('submission_id', 'submissions', 'SET NULL'),
    ('user_id', 'users', 'SET NULL'),
    ('team_id', 'teams', 'SET NULL'),
)
SEARCHED = ('evaluators', 'label')


def _index(name: str, table: str, columns: list[str]) -> None:
    keys = [sa.text(column) if "(" in column else column for column in columns]
    op.create_index(name, table, keys)


def _choice(name: str, *members: str) -> sa.Enum:
    return sa.Enum(*members, name=name, native_enum=False, create_constraint=True, length=32)


def _on_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _pointer(table: str, column: str, target: str) -> list[sa.ForeignKeyConstraint]:
    """The key to a row of a table that comes later; PostgreSQL gets it then."""
    name = op.f(f'fk_{table}_{column}')
    made = sa.ForeignKeyConstraint([column], [f'{target}.id'], name=name, ondelete='SET NULL')
    return [made] if _on_sqlite() else []


def upgrade() -> None:
    _tables()
    _columns()
    if _on_sqlite():
        _sqlite()
    else:
        _postgresql()
    for column in ('submission_id', 'team_id', 'user_id'):
        op.create_index(f'ix_leaderboard_entries_{column}', 'leaderboard_entries', [column])
    op.create_index('ix_leaderboard_entries_build_id_position_id', 'leaderboard_entries', ['build_id', 'position', 'id'])
    _rows()


def _tables() -> None:
    op.create_table('evaluators',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('label', db.types.Name(length=100), nullable=False),
        sa.Column('label_folded', sa.Text(), nullable=True),
        sa.Column('host', sa.String(length=255), nullable=False),
        sa.Column('challenge_id', db.types.Key(), nullable=True),
        sa.Column('current_version_id', db.types.Key(), nullable=True),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['challenge_id'], ['challenges.id'], name=op.f('fk_evaluators_challenge_id'), ondelete='CASCADE'),
        *_pointer('evaluators', 'current_version_id', 'evaluator_versions'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_evaluators')),
        sa.UniqueConstraint('label', 'host', name=op.f('uq_evaluators_label_host')),
    )
    op.create_index('ix_evaluators_current_version_id', 'evaluators', ['current_version_id'])
    op.create_table('phases',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('challenge_id', db.types.Key(), nullable=False),
        sa.Column('name', db.types.Name(length=100), nullable=False),
        sa.Column('ordinal', sa.Integer(), nullable=False),
        sa.Column('description', sa.Text(), nullable=False),
        sa.Column('starts_at', db.types.Instant(), nullable=True),
        sa.Column('ends_at', db.types.Instant(), nullable=True),
        sa.Column('published', sa.Boolean(), nullable=False),
        sa.Column('window_limit', sa.Integer(), nullable=True),
        sa.Column('window_seconds', sa.Integer(), nullable=False),
        sa.Column('total_limit', sa.Integer(), nullable=True),
        sa.Column('concurrent_limit', sa.Integer(), nullable=True),
        sa.Column('self_evaluation', sa.Boolean(), nullable=False),
        sa.Column('shows_scores', sa.Boolean(), nullable=False),
        sa.Column('shows_log', sa.Boolean(), nullable=False),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.CheckConstraint('concurrent_limit > 0', name=op.f('ck_phases_concurrent_limit')),
        sa.CheckConstraint('ends_at IS NULL OR starts_at IS NULL OR ends_at > starts_at', name=op.f('ck_phases_ends_at')),
        sa.CheckConstraint('total_limit > 0', name=op.f('ck_phases_total_limit')),
        sa.CheckConstraint('window_limit > 0', name=op.f('ck_phases_window_limit')),
        sa.CheckConstraint('window_seconds > 0', name=op.f('ck_phases_window_seconds')),
        sa.ForeignKeyConstraint(['challenge_id'], ['challenges.id'], name=op.f('fk_phases_challenge_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_phases')),
        sa.UniqueConstraint('challenge_id', 'name', name=op.f('uq_phases_challenge_id_name')),
    )
    op.create_index('ix_phases_challenge_id_ordinal_id', 'phases', ['challenge_id', 'ordinal', 'id'])
    op.create_table('registrations',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('challenge_id', db.types.Key(), nullable=False),
        sa.Column('user_id', db.types.Key(), nullable=False),
        sa.Column('state', _choice('registrationstate', 'PENDING', 'ACCEPTED', 'REFUSED'), nullable=False),
        sa.Column('message', sa.String(length=2000), nullable=False),
        sa.Column('reason', sa.String(length=2000), nullable=True),
        sa.Column('terms_accepted_at', db.types.Instant(), nullable=True),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['challenge_id'], ['challenges.id'], name=op.f('fk_registrations_challenge_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_registrations_user_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_registrations')),
        sa.UniqueConstraint('challenge_id', 'user_id', name=op.f('uq_registrations_challenge_id_user_id')),
    )
    op.create_index('ix_registrations_challenge_id_created_at_id', 'registrations', ['challenge_id', 'created_at', 'id'])
    op.create_index('ix_registrations_created_at_id', 'registrations', ['created_at', 'id'])
    op.create_index('ix_registrations_user_id', 'registrations', ['user_id'])
    op.create_table('teams',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('challenge_id', db.types.Key(), nullable=False),
        sa.Column('name', db.types.Name(length=100), nullable=False),
        sa.Column('captain_id', db.types.Key(), nullable=True),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['captain_id'], ['users.id'], name=op.f('fk_teams_captain_id'), ondelete='SET NULL'),
        sa.ForeignKeyConstraint(['challenge_id'], ['challenges.id'], name=op.f('fk_teams_challenge_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_teams')),
        sa.UniqueConstraint('challenge_id', 'name', name=op.f('uq_teams_challenge_id_name')),
    )
    op.create_index('ix_teams_captain_id', 'teams', ['captain_id'])
    op.create_index('ix_teams_challenge_id_created_at_id', 'teams', ['challenge_id', 'created_at', 'id'])
    op.create_index('ix_teams_created_at_id', 'teams', ['created_at', 'id'])
    op.create_table('evaluator_versions',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('evaluator_id', db.types.Key(), nullable=False),
        sa.Column('number', sa.Integer(), nullable=False),
        sa.Column('executor', _choice('executor', 'PYTHON', 'BASH', 'SBATCH', 'CONTAINER', 'EXTERNAL'), nullable=False),
        sa.Column('program', sa.String(length=255), nullable=True),
        sa.Column('executor_arguments', db.types.Json(), nullable=False),
        sa.Column('arguments', db.types.Json(), nullable=False),
        sa.Column('entry_point', sa.String(length=255), nullable=True),
        sa.Column('scores_schema', db.types.Json(), nullable=False),
        sa.Column('bounds', db.types.Json(), nullable=False),
        sa.Column('cluster_id', db.types.Key(), nullable=True),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.CheckConstraint('number >= 1', name=op.f('ck_evaluator_versions_number')),
        sa.ForeignKeyConstraint(['cluster_id'], ['clusters.id'], name=op.f('fk_evaluator_versions_cluster_id'), ondelete='RESTRICT'),
        sa.ForeignKeyConstraint(['evaluator_id'], ['evaluators.id'], name=op.f('fk_evaluator_versions_evaluator_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_evaluator_versions')),
        sa.UniqueConstraint('evaluator_id', 'number', name=op.f('uq_evaluator_versions_evaluator_id_number')),
    )
    op.create_index('ix_evaluator_versions_cluster_id', 'evaluator_versions', ['cluster_id'])
    op.create_index('ix_evaluator_versions_evaluator_id_number_id', 'evaluator_versions', ['evaluator_id', 'number', 'id'])
    op.create_table('submissions',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('public_id', db.types.Name(length=80), nullable=False),
        sa.Column('challenge_id', db.types.Key(), nullable=False),
        sa.Column('phase_id', db.types.Key(), nullable=False),
        sa.Column('user_id', db.types.Key(), nullable=False),
        sa.Column('team_id', db.types.Key(), nullable=True),
        sa.Column('evaluator_id', db.types.Key(), nullable=True),
        sa.Column('auto_eval', sa.Boolean(), nullable=False),
        sa.Column('author_label', db.types.Name(length=255), nullable=True),
        sa.Column('status', _choice('submissionstatus', 'UPLOADING', 'UPLOADED', 'VALIDATING', 'INVALID', 'NO_EVAL', 'NO_AUTO_EVAL', 'ON_QUEUE', 'EVALUATING', 'COMPLETED', 'FAILED', 'CANCELED', 'EXCLUDED', 'WITHDRAWN'), nullable=False),
        sa.Column('status_changed_at', db.types.Instant(), nullable=False),
        sa.Column('status_ends_at', db.types.Instant(), nullable=True),
        sa.Column('reason', db.types.Json(none_as_null=True), nullable=True),
        sa.Column('history', db.types.Json(), nullable=False),
        sa.Column('submitted_at', db.types.Instant(), nullable=True),
        sa.Column('charged', sa.Boolean(), nullable=False),
        sa.Column('charged_at', db.types.Instant(), nullable=False),
        sa.Column('chosen', sa.Boolean(), nullable=False),
        sa.Column('has_scores', sa.Boolean(), nullable=False),
        sa.Column('evaluation_id', db.types.Key(), nullable=True),
        sa.Column('archived_at', db.types.Instant(), nullable=True),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.Column('deleted_at', db.types.Instant(), nullable=True),
        sa.ForeignKeyConstraint(['challenge_id'], ['challenges.id'], name=op.f('fk_submissions_challenge_id'), ondelete='RESTRICT'),
        *_pointer('submissions', 'evaluation_id', 'evaluations'),
        sa.ForeignKeyConstraint(['evaluator_id'], ['evaluators.id'], name=op.f('fk_submissions_evaluator_id'), ondelete='SET NULL'),
        sa.ForeignKeyConstraint(['phase_id'], ['phases.id'], name=op.f('fk_submissions_phase_id'), ondelete='RESTRICT'),
        sa.ForeignKeyConstraint(['team_id'], ['teams.id'], name=op.f('fk_submissions_team_id'), ondelete='RESTRICT'),
        sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_submissions_user_id'), ondelete='RESTRICT'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_submissions')),
        sa.UniqueConstraint('public_id', name=op.f('uq_submissions_public_id')),
    )
    op.create_index('ix_submissions_challenge_id_created_at_id', 'submissions', ['challenge_id', 'created_at', 'id'], sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
    op.create_index('ix_submissions_created_at_id', 'submissions', ['created_at', 'id'], sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
    op.create_index('ix_submissions_evaluation_id', 'submissions', ['evaluation_id'])
    op.create_index('ix_submissions_evaluator_id', 'submissions', ['evaluator_id'])
    op.create_index('ix_submissions_phase_id_created_at_id', 'submissions', ['phase_id', 'created_at', 'id'], sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
    op.create_index('ix_submissions_status_ends_at', 'submissions', ['status_ends_at'], sqlite_where=sa.text('status_ends_at IS NOT NULL'), postgresql_where=sa.text('status_ends_at IS NOT NULL'))
    op.create_index('ix_submissions_team_id_created_at_id', 'submissions', ['team_id', 'created_at', 'id'], sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
    op.create_index('ix_submissions_user_id_created_at_id', 'submissions', ['user_id', 'created_at', 'id'], sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
    op.create_table('team_members',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('team_id', db.types.Key(), nullable=False),
        sa.Column('challenge_id', db.types.Key(), nullable=False),
        sa.Column('user_id', db.types.Key(), nullable=False),
        sa.Column('state', _choice('memberstate', 'INVITED', 'JOINED'), nullable=False),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['challenge_id'], ['challenges.id'], name=op.f('fk_team_members_challenge_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['team_id'], ['teams.id'], name=op.f('fk_team_members_team_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_team_members_user_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_team_members')),
        sa.UniqueConstraint('team_id', 'user_id', name=op.f('uq_team_members_team_id_user_id')),
    )
    op.create_index('ix_team_members_team_id_created_at_id', 'team_members', ['team_id', 'created_at', 'id'])
    op.create_index('ix_team_members_user_id', 'team_members', ['user_id'])
    op.create_index('uq_team_members_joined', 'team_members', ['challenge_id', 'user_id'], unique=True, sqlite_where=sa.text("state = 'JOINED'"), postgresql_where=sa.text("state = 'JOINED'"))
    op.create_table('external_entries',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('leaderboard_id', db.types.Key(), nullable=False),
        sa.Column('key', sa.String(length=255), nullable=False),
        sa.Column('data', db.types.Json(), nullable=False),
        sa.Column('author_label', sa.String(length=255), nullable=True),
        sa.Column('baseline', sa.Boolean(), nullable=False),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['leaderboard_id'], ['leaderboards.id'], name=op.f('fk_external_entries_leaderboard_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_external_entries')),
        sa.UniqueConstraint('leaderboard_id', 'key', name=op.f('uq_external_entries_leaderboard_id_key')),
    )
    op.create_index('ix_external_entries_leaderboard_id_created_at_id', 'external_entries', ['leaderboard_id', 'created_at', 'id'])
    op.create_table('leaderboard_requests',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('leaderboard_id', db.types.Key(), nullable=False),
        sa.Column('reason', sa.String(length=255), nullable=False),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['leaderboard_id'], ['leaderboards.id'], name=op.f('fk_leaderboard_requests_leaderboard_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_leaderboard_requests')),
    )
    op.create_index('ix_leaderboard_requests_leaderboard_id', 'leaderboard_requests', ['leaderboard_id'])
    op.create_table('leaderboard_builds',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('leaderboard_id', db.types.Key(), nullable=False),
        sa.Column('number', sa.Integer(), nullable=False),
        sa.Column('reason', sa.String(length=255), nullable=False),
        sa.Column('entry_count', sa.Integer(), nullable=False),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['leaderboard_id'], ['leaderboards.id'], name=op.f('fk_leaderboard_builds_leaderboard_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_leaderboard_builds')),
        sa.UniqueConstraint('leaderboard_id', 'number', name=op.f('uq_leaderboard_builds_leaderboard_id_number')),
    )
    op.create_index('ix_leaderboard_builds_leaderboard_id_number_id', 'leaderboard_builds', ['leaderboard_id', 'number', 'id'])
    op.create_table('reevaluations',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('challenge_id', db.types.Key(), nullable=False),
        sa.Column('phase_id', db.types.Key(), nullable=False),
        sa.Column('evaluator_version_id', db.types.Key(), nullable=False),
        sa.Column('user_id', db.types.Key(), nullable=True),
        sa.Column('state', _choice('reevaluationstate', 'RUNNING', 'DONE', 'CANCELED'), nullable=False),
        sa.Column('total', sa.Integer(), nullable=False),
        sa.Column('failed', sa.Integer(), nullable=False),
        sa.Column('ended_at', db.types.Instant(), nullable=True),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['challenge_id'], ['challenges.id'], name=op.f('fk_reevaluations_challenge_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['evaluator_version_id'], ['evaluator_versions.id'], name=op.f('fk_reevaluations_evaluator_version_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['phase_id'], ['phases.id'], name=op.f('fk_reevaluations_phase_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_reevaluations_user_id'), ondelete='SET NULL'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_reevaluations')),
    )
    op.create_index('ix_reevaluations_challenge_id', 'reevaluations', ['challenge_id'])
    op.create_index('ix_reevaluations_created_at_id', 'reevaluations', ['created_at', 'id'])
    op.create_index('ix_reevaluations_evaluator_version_id', 'reevaluations', ['evaluator_version_id'])
    op.create_index('ix_reevaluations_phase_id_created_at_id', 'reevaluations', ['phase_id', 'created_at', 'id'])
    op.create_index('ix_reevaluations_user_id', 'reevaluations', ['user_id'])
    op.create_index('uq_reevaluations_running', 'reevaluations', ['phase_id'], unique=True, sqlite_where=sa.text("state = 'RUNNING'"), postgresql_where=sa.text("state = 'RUNNING'"))
    op.create_table('evaluations',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('submission_id', db.types.Key(), nullable=False),
        sa.Column('challenge_id', db.types.Key(), nullable=False),
        sa.Column('number', sa.Integer(), nullable=False),
        sa.Column('evaluator_version_id', db.types.Key(), nullable=False),
        sa.Column('reevaluation_id', db.types.Key(), nullable=True),
        sa.Column('extra_arguments', db.types.Json(), nullable=False),
        sa.Column('external_version', db.types.Name(length=255), nullable=True),
        sa.Column('digests', db.types.Json(), nullable=False),
        sa.Column('scores', db.types.Json(none_as_null=True), nullable=True),
        sa.Column('owner_scores', db.types.Json(none_as_null=True), nullable=True),
        sa.Column('error', db.types.Json(none_as_null=True), nullable=True),
        sa.Column('ended_at', db.types.Instant(), nullable=True),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['challenge_id'], ['challenges.id'], name=op.f('fk_evaluations_challenge_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['evaluator_version_id'], ['evaluator_versions.id'], name=op.f('fk_evaluations_evaluator_version_id'), ondelete='RESTRICT'),
        sa.ForeignKeyConstraint(['reevaluation_id'], ['reevaluations.id'], name=op.f('fk_evaluations_reevaluation_id'), ondelete='SET NULL'),
        sa.ForeignKeyConstraint(['submission_id'], ['submissions.id'], name=op.f('fk_evaluations_submission_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_evaluations')),
        sa.UniqueConstraint('submission_id', 'number', name=op.f('uq_evaluations_submission_id_number')),
    )
    op.create_index('ix_evaluations_challenge_id_created_at_id', 'evaluations', ['challenge_id', 'created_at', 'id'])
    op.create_index('ix_evaluations_created_at_id', 'evaluations', ['created_at', 'id'])
    op.create_index('ix_evaluations_evaluator_version_id', 'evaluations', ['evaluator_version_id'])
    op.create_index('ix_evaluations_open', 'evaluations', ['id'], sqlite_where=sa.text('ended_at IS NULL'), postgresql_where=sa.text('ended_at IS NULL'))
    op.create_index('ix_evaluations_reevaluation_id_created_at_id', 'evaluations', ['reevaluation_id', 'created_at', 'id'])
    op.create_index('ix_evaluations_submission_id_number_id', 'evaluations', ['submission_id', 'number', 'id'])
    op.create_index('uq_evaluations_open', 'evaluations', ['submission_id'], unique=True, sqlite_where=sa.text('ended_at IS NULL'), postgresql_where=sa.text('ended_at IS NULL'))
    op.create_table('evaluator_files',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('evaluator_version_id', db.types.Key(), nullable=False),
        sa.Column('file_id', db.types.Key(), nullable=False),
        sa.Column('role', _choice('evaluatorfilerole', 'PROGRAM', 'REFERENCE', 'GIVEN'), nullable=False),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['evaluator_version_id'], ['evaluator_versions.id'], name=op.f('fk_evaluator_files_evaluator_version_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['file_id'], ['files.id'], name=op.f('fk_evaluator_files_file_id'), ondelete='RESTRICT'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_evaluator_files')),
        sa.UniqueConstraint('evaluator_version_id', 'file_id', 'role', name=op.f('uq_evaluator_files_evaluator_version_id_file_id_role')),
    )
    op.create_index('ix_evaluator_files_evaluator_version_id_id', 'evaluator_files', ['evaluator_version_id', 'id'])
    op.create_index('ix_evaluator_files_file_id', 'evaluator_files', ['file_id'])
    _index('ix_evaluators_by_label', 'evaluators', ["coalesce(label_folded, '')", 'id'])
    _index('ix_evaluators_challenge_id_by_label', 'evaluators', ['challenge_id', "coalesce(label_folded, '')", 'id'])


def _columns() -> None:
    op.add_column('challenges', sa.Column('title', db.types.Name(length=255), server_default='', nullable=False))
    op.add_column('challenges', sa.Column('description', sa.Text(), server_default='', nullable=False))
    op.add_column('challenges', sa.Column('published', sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column('challenges', sa.Column('terms', sa.Text(), nullable=True))
    op.add_column('challenges', sa.Column('registration_mode', sa.String(length=32), server_default='NONE', nullable=False))
    op.add_column('challenges', sa.Column('team_size', sa.Integer(), server_default='1', nullable=False))
    op.add_column('challenges', sa.Column('parallel_phases', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('challenges', sa.Column('organisers_id', db.types.Key(), nullable=True))
    op.add_column('challenges', sa.Column('evaluator_id', db.types.Key(), nullable=True))
    op.create_index('ix_challenges_evaluator_id', 'challenges', ['evaluator_id'])
    op.create_index('ix_challenges_organisers_id', 'challenges', ['organisers_id'])
    op.add_column('credentials', sa.Column('challenge_id', db.types.Key(), nullable=True))
    op.create_index('ix_credentials_challenge_id_kind', 'credentials', ['challenge_id', 'kind'])
    op.add_column('files', sa.Column('submission_id', db.types.Key(), nullable=True))
    op.add_column('files', sa.Column('challenge_id', db.types.Key(), nullable=True))
    op.create_index('ix_files_challenge_id_created_at_id', 'files', ['challenge_id', 'created_at', 'id'], sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
    op.create_index('ix_files_submission_id_created_at_id', 'files', ['submission_id', 'created_at', 'id'], sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
    op.add_column('jobs', sa.Column('evaluation_id', db.types.Key(), nullable=True))
    op.add_column('jobs', sa.Column('lane_id', db.types.Key(), nullable=True))
    op.create_index('ix_jobs_evaluation_id_attempt_id', 'jobs', ['evaluation_id', 'attempt', 'id'], sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
    op.create_index('uq_jobs_active_evaluation', 'jobs', ['evaluation_id'], unique=True, sqlite_where=sa.text("state NOT IN ('CANCELED', 'COMPLETED', 'FAILED')"), postgresql_where=sa.text("state NOT IN ('CANCELED', 'COMPLETED', 'FAILED')"))
    op.create_index('uq_jobs_evaluation_id_attempt', 'jobs', ['evaluation_id', 'attempt'], unique=True)
    op.create_index('ix_jobs_lane_id_handed_at', 'jobs', ['lane_id', 'handed_at'])
    op.add_column('leaderboards', sa.Column('phase_id', db.types.Key(), nullable=True))
    op.add_column('leaderboards', sa.Column('title', db.types.Name(length=255), server_default='', nullable=False))
    op.add_column('leaderboards', sa.Column('columns', db.types.Json(), server_default='[]', nullable=False))
    op.add_column('leaderboards', sa.Column('public_columns', db.types.Json(), server_default='[]', nullable=False))
    op.add_column('leaderboards', sa.Column('rank_by', sa.String(length=100), nullable=True))
    op.add_column('leaderboards', sa.Column('ties', db.types.Json(), server_default='[]', nullable=False))
    op.add_column('leaderboards', sa.Column('counting', sa.String(length=32), server_default='ALL', nullable=False))
    op.add_column('leaderboards', sa.Column('hidden', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('leaderboards', sa.Column('embargo_ends_at', db.types.Instant(), nullable=True))
    op.add_column('leaderboards', sa.Column('anonymity_ends_at', db.types.Instant(), nullable=True))
    op.add_column('leaderboards', sa.Column('reveal_at', db.types.Instant(), nullable=True))
    op.add_column('leaderboards', sa.Column('due_at', db.types.Instant(), nullable=True))
    op.add_column('leaderboards', sa.Column('build_id', db.types.Key(), nullable=True))
    op.create_index('ix_leaderboards_build_id', 'leaderboards', ['build_id'])
    op.create_index('ix_leaderboards_due_at', 'leaderboards', ['due_at'], sqlite_where=sa.text('due_at IS NOT NULL'), postgresql_where=sa.text('due_at IS NOT NULL'))
    op.create_index('ix_leaderboards_phase_id', 'leaderboards', ['phase_id'])
    op.add_column('uploads', sa.Column('submission_id', db.types.Key(), nullable=True))
    op.add_column('uploads', sa.Column('challenge_id', db.types.Key(), nullable=True))
    op.create_index('ix_uploads_challenge_id', 'uploads', ['challenge_id'])
    op.create_index('ix_uploads_submission_id', 'uploads', ['submission_id'])


def _sqlite() -> None:
    refers: dict[str, str] = {}
    for table, column, target, rule in REFERS:
        refers[table] = refers.get(table, "") + (
            f"CONSTRAINT fk_{table}_{column} FOREIGN KEY({column}) REFERENCES {target} (id) ON DELETE {rule}, \n\t"
        )
    refers['challenges'] += (
        f"CONSTRAINT ck_challenges_team_size CHECK ({TEAM_SIZE}), \n\t"
        f"CONSTRAINT ck_challenges_registrationmode CHECK ({REGISTRATION}), \n\t"
    )
    refers['leaderboards'] += f"CONSTRAINT ck_leaderboards_counting CHECK ({COUNTING}), \n\t"
    refers['jobs'] += f"CONSTRAINT ck_jobs_evaluation CHECK ({EVALUATION}), \n\t"
    replaced = {
        'jobs': (KINDS, PLATFORMS, CLUSTER),
        'files': (PURPOSES,),
        'uploads': (PURPOSES,),
        'credentials': (OWNERS, CREDENTIALS),
    }
    for table, text in refers.items():
        key = f"CONSTRAINT pk_{table} PRIMARY KEY"
        rewrite(table, *replaced.get(table, ()), (key, f"{text}{key}"))
    _entries_anew()


def _entries_anew() -> None:
    """The places of one leaderboard are unique in each build: the table is made anew, since SQLite can't drop a
    constraint."""
    op.rename_table('leaderboard_entries', 'leaderboard_entries_before')
    op.drop_index('ix_leaderboard_entries_leaderboard_id_position_id', 'leaderboard_entries_before')
    op.create_table(
        'leaderboard_entries',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('leaderboard_id', db.types.Key(), nullable=False),
        sa.Column('build_id', db.types.Key(), nullable=True),
        sa.Column('position', sa.Integer(), nullable=False),
        sa.Column('rank', sa.Integer(), nullable=True),
        sa.Column('data', db.types.Json(), nullable=False),
        sa.Column('owner_data', db.types.Json(), nullable=True),
        sa.Column('organiser_data', db.types.Json(), nullable=True),
        sa.Column('author_label', sa.String(length=255), nullable=True),
        sa.Column('organiser_label', sa.String(length=255), nullable=True),
        sa.Column('external', sa.Boolean(), nullable=False),
        sa.Column('baseline', sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column('submission_id', db.types.Key(), nullable=True),
        sa.Column('user_id', db.types.Key(), nullable=True),
        sa.Column('team_id', db.types.Key(), nullable=True),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.CheckConstraint('position >= 1', name=op.f('ck_leaderboard_entries_position')),
        sa.ForeignKeyConstraint(
            ['leaderboard_id'], ['leaderboards.id'], name=op.f('fk_leaderboard_entries_leaderboard_id'), ondelete='CASCADE'
        ),
        *(
            sa.ForeignKeyConstraint(
                [column], [f'{target}.id'], name=op.f(f'fk_leaderboard_entries_{column}'), ondelete=rule
            )
            for column, target, rule in OF_ENTRIES
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_leaderboard_entries')),
        sa.UniqueConstraint('build_id', 'position', name=op.f('uq_leaderboard_entries_build_id_position')),
    )
    kept = 'id, leaderboard_id, position, data, author_label, external, created_at, updated_at, version'
    op.execute(f"INSERT INTO leaderboard_entries ({kept}) SELECT {kept} FROM leaderboard_entries_before")
    op.drop_table('leaderboard_entries_before')
    op.create_index(
        'ix_leaderboard_entries_leaderboard_id_position_id', 'leaderboard_entries', ['leaderboard_id', 'position', 'id']
    )


def _postgresql() -> None:
    for column, kind in (
        ('build_id', db.types.Key()),
        ('rank', sa.Integer()),
        ('owner_data', db.types.Json()),
        ('organiser_data', db.types.Json()),
        ('organiser_label', sa.String(length=255)),
        ('submission_id', db.types.Key()),
        ('user_id', db.types.Key()),
        ('team_id', db.types.Key()),
    ):
        op.add_column('leaderboard_entries', sa.Column(column, kind, nullable=True))
    op.add_column(
        'leaderboard_entries', sa.Column('baseline', sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.drop_constraint(
        op.f('uq_leaderboard_entries_leaderboard_id_position'), 'leaderboard_entries', type_='unique'
    )
    op.create_unique_constraint(
        op.f('uq_leaderboard_entries_build_id_position'), 'leaderboard_entries', ['build_id', 'position']
    )
    for table, name, check in (
        ('jobs', 'jobkind', KINDS[1]),
        ('jobs', 'platform', PLATFORMS[1]),
        ('jobs', 'cluster', CLUSTER[1]),
        ('files', 'filepurpose', PURPOSES[1]),
        ('uploads', 'filepurpose', PURPOSES[1]),
        ('credentials', 'one', OWNERS[1]),
        ('credentials', 'credentialkind', CREDENTIALS[1]),
    ):
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_='check')
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, check)
    for table, name, check in (
        ('jobs', 'evaluation', EVALUATION),
        ('challenges', 'team_size', TEAM_SIZE),
        ('challenges', 'registrationmode', REGISTRATION),
        ('leaderboards', 'counting', COUNTING),
    ):
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, check)
    later = (
        ('evaluators', 'current_version_id', 'evaluator_versions', 'SET NULL'),
        ('submissions', 'evaluation_id', 'evaluations', 'SET NULL'),
    )
    entries = (('leaderboard_entries', *one) for one in OF_ENTRIES)
    for table, column, target, rule in (*REFERS, *later, *entries):
        op.create_foreign_key(f'fk_{table}_{column}', table, target, [column], ['id'], ondelete=rule)
    table, column = SEARCHED
    text = f"(coalesce({column}_folded, lower({column})))"
    op.execute(f"CREATE STATISTICS fold_{table}_{column} ON {text} FROM {table}")


def _rows() -> None:
    """Each challenge gets one phase, and each leaderboard with entries a build of them. Until now all entries came from
    outside, so they stay with each build to come."""
    moments = 'created_at, updated_at, 1'
    false, true = ('0', '1') if _on_sqlite() else ('false', 'true')
    op.execute(
        "INSERT INTO phases (id, challenge_id, name, ordinal, description, published, window_seconds, self_evaluation, "
        "shows_scores, shows_log, created_at, updated_at, version) "
        f"SELECT id, id, 'main', 1, '', {true}, 86400, {false}, {true}, {true}, {moments} FROM challenges"
    )
    held = "SELECT count(*) FROM leaderboard_entries e WHERE e.leaderboard_id = leaderboards.id"
    op.execute(
        "INSERT INTO leaderboard_builds (id, leaderboard_id, number, reason, entry_count, created_at, updated_at, version) "
        f"SELECT id, id, 1, 'upgraded', ({held}), {moments} FROM leaderboards WHERE ({held}) > 0"
    )
    op.execute(f"UPDATE leaderboards SET build_id = id WHERE ({held}) > 0")
    op.execute(
        "UPDATE leaderboard_entries SET build_id = leaderboard_id, rank = position, owner_data = data, "
        "organiser_data = data, organiser_label = author_label"
    )
    op.execute(
        "INSERT INTO external_entries (id, leaderboard_id, key, data, author_label, baseline, created_at, updated_at, "
        "version) SELECT id, leaderboard_id, 'place ' || cast(position AS varchar(16)), data, author_label, "
        f"{false}, {moments} FROM leaderboard_entries"
    )


def downgrade() -> None:
    raise NotImplementedError("restore a copy of the database made before: submissions have no place in older tables")
