"""Files with their bytes and uploads; archives; jobs of several kinds, which are their project's and are deleted with
their subject

Revision ID: a1c97e54d302
Revises: f2b61c8d9e07
"""
import sqlalchemy as sa
from alembic import op

import db.types
from db.migrations.sqlite import rewrite

revision = 'a1c97e54d302'
down_revision = 'f2b61c8d9e07'
branch_labels = None
depends_on = None

LIVE = sa.text("deleted_at IS NULL")
ACTIVE = sa.text("state NOT IN ('CANCELED', 'COMPLETED', 'FAILED')")
KINDS = ('SIMULATION', 'ARCHIVE')
SIMULATION = "(kind = 'SIMULATION') = (simulation_id IS NOT NULL)"
ARCHIVE = "(kind = 'ARCHIVE') = (archive_id IS NOT NULL)"
LISTED = (
    ('ix_jobs_simulation_id_attempt_id', ['simulation_id', 'attempt', 'id']),
    ('ix_jobs_submitted_at_id', ['submitted_at', 'id']),
    ('ix_jobs_last_update_at_id', ['last_update_at', 'id']),
    ('ix_jobs_ended_at', ["coalesce(ended_at, '9999-12-31T00:00:00.000000Z')", 'id']),
    ('ix_jobs_by_title', ["coalesce(title_folded, '')", 'id']),
    ('ix_jobs_owner_user_id_submitted_at_id', ['owner_user_id', 'submitted_at', 'id']),
    ('ix_jobs_state_submitted_at_id', ['state', 'submitted_at', 'id']),
)
"""Lists of live jobs: their indexes had all jobs."""
REFERS = (
    ('project_id', 'projects', 'SET NULL'),
    ('archive_id', 'archives', 'RESTRICT'),
)


def _index(name: str, table: str, columns: list[str], where: sa.TextClause | None = None, unique: bool = False) -> None:
    keys = [sa.text(column) if "(" in column else column for column in columns]
    op.create_index(name, table, keys, unique=unique, sqlite_where=where, postgresql_where=where)


def _choice(name: str, *members: str) -> sa.Enum:
    return sa.Enum(*members, name=name, native_enum=False, create_constraint=True, length=32)


def upgrade() -> None:
    op.create_table(
        'blobs',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('size', sa.BigInteger(), nullable=False),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.CheckConstraint('size >= 0', name=op.f('ck_blobs_size')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_blobs')),
        sa.UniqueConstraint('digest', name=op.f('uq_blobs_digest')),
    )
    op.create_table(
        'archives',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('user_id', db.types.Key(), nullable=False),
        sa.Column('title', db.types.Name(length=255), nullable=False),
        sa.Column('simulation_id', db.types.Key(), nullable=True),
        sa.Column('project_id', db.types.Key(), nullable=True),
        sa.Column('expires_at', db.types.Instant(), nullable=False),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.Column('deleted_at', db.types.Instant(), nullable=True),
        sa.CheckConstraint('simulation_id IS NULL OR project_id IS NULL', name=op.f('ck_archives_one')),
        sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_archives_project_id'), ondelete='SET NULL'),
        sa.ForeignKeyConstraint(['simulation_id'], ['simulations.id'], name=op.f('fk_archives_simulation_id'), ondelete='SET NULL'),
        sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_archives_user_id'), ondelete='RESTRICT'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_archives')),
    )
    _index('ix_archives_created_at_id', 'archives', ['created_at', 'id'], LIVE)
    _index('ix_archives_expires_at', 'archives', ['expires_at'])
    _index('ix_archives_project_id_created_at_id', 'archives', ['project_id', 'created_at', 'id'], LIVE)
    _index('ix_archives_simulation_id_created_at_id', 'archives', ['simulation_id', 'created_at', 'id'], LIVE)
    _index('ix_archives_user_id_created_at_id', 'archives', ['user_id', 'created_at', 'id'], LIVE)
    op.create_table(
        'files',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('purpose', _choice('filepurpose', 'SESSION_ASSET', 'DATASET', 'ARCHIVE', 'PUBLIC'), nullable=False),
        sa.Column('state', _choice('filestate', 'CHECKING', 'READY', 'REFUSED'), nullable=False),
        sa.Column('name', db.types.Name(length=128), nullable=False),
        sa.Column('name_folded', sa.Text(), nullable=True),
        sa.Column('media_type', sa.String(length=128), nullable=False),
        sa.Column('size', sa.BigInteger(), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=True),
        sa.Column('blob_id', db.types.Key(), nullable=True),
        sa.Column('refusal', sa.JSON(), nullable=True),
        sa.Column('owner_user_id', db.types.Key(), nullable=True),
        sa.Column('service_id', db.types.Key(), nullable=True),
        sa.Column('session_id', db.types.Key(), nullable=True),
        sa.Column('project_id', db.types.Key(), nullable=True),
        sa.Column('archive_id', db.types.Key(), nullable=True),
        sa.Column('recorded_at', db.types.Instant(), nullable=True),
        sa.Column('expires_at', db.types.Instant(), nullable=True),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.Column('deleted_at', db.types.Instant(), nullable=True),
        sa.CheckConstraint("(state = 'READY') = (blob_id IS NOT NULL)", name=op.f('ck_files_ready')),
        sa.CheckConstraint('size > 0', name=op.f('ck_files_size')),
        sa.ForeignKeyConstraint(['archive_id'], ['archives.id'], name=op.f('fk_files_archive_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['blob_id'], ['blobs.id'], name=op.f('fk_files_blob_id'), ondelete='RESTRICT'),
        sa.ForeignKeyConstraint(['owner_user_id'], ['users.id'], name=op.f('fk_files_owner_user_id'), ondelete='RESTRICT'),
        sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_files_project_id'), ondelete='SET NULL'),
        sa.ForeignKeyConstraint(['service_id'], ['services.id'], name=op.f('fk_files_service_id'), ondelete='SET NULL'),
        sa.ForeignKeyConstraint(['session_id'], ['sessions.id'], name=op.f('fk_files_session_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_files')),
    )
    _index('ix_files_blob_id', 'files', ['blob_id'])
    _index('ix_files_by_name', 'files', ["coalesce(name_folded, '')", 'id'], LIVE)
    _index('ix_files_created_at_id', 'files', ['created_at', 'id'], LIVE)
    _index('ix_files_deleted_at', 'files', ['deleted_at'])
    _index('ix_files_expires_at', 'files', ['expires_at'])
    _index('ix_files_owner_user_id_created_at_id', 'files', ['owner_user_id', 'created_at', 'id'], LIVE)
    _index('ix_files_project_id_created_at_id', 'files', ['project_id', 'created_at', 'id'], LIVE)
    _index('ix_files_service_id_created_at_id', 'files', ['service_id', 'created_at', 'id'], LIVE)
    _index('ix_files_session_id_created_at_id', 'files', ['session_id', 'created_at', 'id'], LIVE)
    _index('uq_files_archive_id', 'files', ['archive_id'], sa.text('archive_id IS NOT NULL'), unique=True)
    _index('uq_files_public_name', 'files', ['name'], sa.text("purpose = 'PUBLIC' AND state = 'READY' AND deleted_at IS NULL"), unique=True)
    op.create_table(
        'uploads',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('purpose', _choice('filepurpose', 'SESSION_ASSET', 'DATASET', 'ARCHIVE', 'PUBLIC'), nullable=False),
        sa.Column('state', _choice('uploadstate', 'OPEN', 'ASSEMBLING', 'COMPLETE', 'FAILED', 'EXPIRED'), nullable=False),
        sa.Column('name', sa.String(length=128), nullable=False),
        sa.Column('media_type', sa.String(length=128), nullable=False),
        sa.Column('size', sa.BigInteger(), nullable=True),
        sa.Column('received', sa.BigInteger(), nullable=False),
        sa.Column('coming', sa.BigInteger(), nullable=False),
        sa.Column('checksum', sa.String(length=64), nullable=True),
        sa.Column('checksum_algorithm', _choice('checksumalgorithm', 'SHA256', 'MD5'), nullable=True),
        sa.Column('metadata', sa.Text(), nullable=True),
        sa.Column('partial', sa.Boolean(), nullable=False),
        sa.Column('segments', sa.JSON(), nullable=True),
        sa.Column('refusal', sa.JSON(), nullable=True),
        sa.Column('owner_user_id', db.types.Key(), nullable=True),
        sa.Column('service_id', db.types.Key(), nullable=True),
        sa.Column('task_id', db.types.Key(), nullable=True),
        sa.Column('task_attempt', sa.Integer(), nullable=True),
        sa.Column('session_id', db.types.Key(), nullable=True),
        sa.Column('project_id', db.types.Key(), nullable=True),
        sa.Column('archive_id', db.types.Key(), nullable=True),
        sa.Column('file_id', db.types.Key(), nullable=True),
        sa.Column('recorded_at', db.types.Instant(), nullable=True),
        sa.Column('holder', sa.String(length=64), nullable=True),
        sa.Column('wanted', sa.String(length=64), nullable=True),
        sa.Column('lease_until', db.types.Instant(), nullable=True),
        sa.Column('checks', sa.Integer(), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=True),
        sa.Column('expires_at', db.types.Instant(), nullable=False),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.CheckConstraint('received >= 0 AND (size IS NULL OR received <= size)', name=op.f('ck_uploads_received')),
        sa.CheckConstraint('size IS NULL OR size > 0', name=op.f('ck_uploads_size')),
        sa.ForeignKeyConstraint(['archive_id'], ['archives.id'], name=op.f('fk_uploads_archive_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['file_id'], ['files.id'], name=op.f('fk_uploads_file_id'), ondelete='SET NULL'),
        sa.ForeignKeyConstraint(['owner_user_id'], ['users.id'], name=op.f('fk_uploads_owner_user_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['project_id'], ['projects.id'], name=op.f('fk_uploads_project_id'), ondelete='SET NULL'),
        sa.ForeignKeyConstraint(['service_id'], ['services.id'], name=op.f('fk_uploads_service_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['session_id'], ['sessions.id'], name=op.f('fk_uploads_session_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['task_id'], ['tasks.id'], name=op.f('fk_uploads_task_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_uploads')),
    )
    _index('ix_uploads_assembling', 'uploads', ['id'], sa.text("state = 'ASSEMBLING'"))
    _index('ix_uploads_created_at_id', 'uploads', ['created_at', 'id'])
    _index('ix_uploads_expires_at', 'uploads', ['expires_at'], sa.text("state IN ('OPEN', 'ASSEMBLING', 'FAILED')"))
    _index('ix_uploads_file_id', 'uploads', ['file_id'])
    _index('ix_uploads_owner_user_id_created_at_id', 'uploads', ['owner_user_id', 'created_at', 'id'])
    _index('ix_uploads_project_id', 'uploads', ['project_id'])
    _index('ix_uploads_service_id', 'uploads', ['service_id'])
    _index('ix_uploads_archive_id', 'uploads', ['archive_id'])
    _index('ix_uploads_session_id', 'uploads', ['session_id'])
    _index('ix_uploads_task_id', 'uploads', ['task_id'])
    op.create_table(
        'upload_parts',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('upload_id', db.types.Key(), nullable=False),
        sa.Column('ordinal', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(length=128), nullable=False),
        sa.Column('size', sa.BigInteger(), nullable=False),
        sa.Column('checksum', sa.String(length=64), nullable=False),
        sa.Column('checksum_algorithm', _choice('checksumalgorithm', 'SHA256', 'MD5'), nullable=False),
        sa.Column('staged', sa.String(length=64), nullable=True),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.CheckConstraint('ordinal >= 1', name=op.f('ck_upload_parts_ordinal')),
        sa.CheckConstraint('size > 0', name=op.f('ck_upload_parts_size')),
        sa.ForeignKeyConstraint(['upload_id'], ['uploads.id'], name=op.f('fk_upload_parts_upload_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_upload_parts')),
        sa.UniqueConstraint('upload_id', 'name', name=op.f('uq_upload_parts_upload_id_name')),
        sa.UniqueConstraint('upload_id', 'ordinal', name=op.f('uq_upload_parts_upload_id_ordinal')),
    )
    _index('ix_upload_parts_upload_id_ordinal_id', 'upload_parts', ['upload_id', 'ordinal', 'id'])
    if op.get_context().dialect.name == "postgresql":
        text = "(coalesce(name_folded, lower(name)))"
        op.execute(f"CREATE STATISTICS fold_files_name ON {text} FROM files")
    _jobs()


def _jobs() -> None:
    op.add_column('jobs', sa.Column('project_id', db.types.Key(), nullable=True))
    op.add_column('jobs', sa.Column('archive_id', db.types.Key(), nullable=True))
    op.add_column('jobs', sa.Column('deleted_at', db.types.Instant(), nullable=True))
    op.add_column('jobs', sa.Column('queue_position', sa.Integer(), nullable=True))
    op.add_column('jobs', sa.Column('handed_at', db.types.Instant(), nullable=True))
    op.add_column('jobs', sa.Column('priority', sa.Integer(), nullable=False, server_default="0"))
    op.drop_index('uq_jobs_active', table_name='jobs')
    if op.get_context().dialect.name == "sqlite":
        refers = ", \n\t".join(
            f"CONSTRAINT fk_jobs_{column} FOREIGN KEY({column}) REFERENCES {target} (id) ON DELETE {rule}"
            for column, target, rule in REFERS
        )
        rewrite(
            'jobs',
            ("kind IN ('SIMULATION')", f"kind IN {KINDS}"),
            (
                "CONSTRAINT ck_jobs_subject CHECK (kind <> 'SIMULATION' OR simulation_id IS NOT NULL)",
                f"CONSTRAINT ck_jobs_simulation CHECK ({SIMULATION}), \n\tCONSTRAINT ck_jobs_archive CHECK ({ARCHIVE})",
            ),
            ("CONSTRAINT uq_jobs_key UNIQUE", f"{refers}, \n\tCONSTRAINT uq_jobs_key UNIQUE"),
        )
    else:
        for name in ('jobkind', 'subject'):
            op.drop_constraint(op.f(f"ck_jobs_{name}"), 'jobs', type_='check')
        for name, check in (('jobkind', f"kind IN {KINDS}"), ('simulation', SIMULATION), ('archive', ARCHIVE)):
            op.create_check_constraint(op.f(f"ck_jobs_{name}"), 'jobs', check)
        for column, target, rule in REFERS:
            op.create_foreign_key(f'fk_jobs_{column}', 'jobs', target, [column], ['id'], ondelete=rule)
    for column in ('project_id', 'deleted_at'):
        op.execute(
            f"UPDATE jobs SET {column} = (SELECT s.{column} FROM simulations s WHERE s.id = jobs.simulation_id) "
            f"WHERE EXISTS (SELECT 1 FROM simulations s WHERE s.id = jobs.simulation_id AND s.{column} IS NOT NULL)"
        )
    for name, columns in LISTED:
        op.drop_index(name, table_name='jobs')
        _index(name, 'jobs', columns, LIVE)
    _index('ix_jobs_archive_id_attempt_id', 'jobs', ['archive_id', 'attempt', 'id'], LIVE)
    _index('ix_jobs_project_id_submitted_at_id', 'jobs', ['project_id', 'submitted_at', 'id'], LIVE)
    for name in ('simulation', 'archive'):
        _index(f'uq_jobs_active_{name}', 'jobs', [f'{name}_id'], ACTIVE, unique=True)
    _index('uq_jobs_archive_id_attempt', 'jobs', ['archive_id', 'attempt'], unique=True)
    _index('ix_jobs_owner_user_id_handed_at', 'jobs', ['owner_user_id', 'handed_at'])
    _index('ix_jobs_queued', 'jobs', ['id'], sa.text("queue_position IS NOT NULL"))
    op.drop_index('ix_tasks_waiting', table_name='tasks')
    _index('ix_tasks_waiting', 'tasks', ['job_id', 'ordinal'], sa.text("state = 'PENDING' AND holder IS NULL"))


def downgrade() -> None:
    raise NotImplementedError("restore a copy of the database made before: files have no place in the older tables")
