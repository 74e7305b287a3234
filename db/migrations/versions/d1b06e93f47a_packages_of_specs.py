"""Packages of specs: builds as a kind of jobs, and their files

Revision ID: d1b06e93f47a
Revises: c4d97f1a60e8
"""
import sqlalchemy as sa
from alembic import op

import db.types
from db.migrations.sqlite import rewrite

revision = 'd1b06e93f47a'
down_revision = 'c4d97f1a60e8'
branch_labels = None
depends_on = None

_KINDS = "'SIMULATION', 'ARCHIVE', 'SUBMISSION_EVALUATION'"
KINDS = (f"kind IN ({_KINDS})", f"kind IN ({_KINDS}, 'PACKAGE_BUILD')")
_PURPOSES = (
    "'SESSION_ASSET', 'DATASET', 'ARCHIVE', 'PUBLIC', 'OUTPUT', 'SUBMISSION_INPUT', 'SUBMISSION_OUTPUT', "
    "'EVALUATOR_PROGRAM', 'REFERENCE_DATA', 'CHALLENGE_DATA'"
)
PURPOSES = (f"purpose IN ({_PURPOSES})", f"purpose IN ({_PURPOSES}, 'SPEC_PACKAGE')")
BUILT = "(kind = 'PACKAGE_BUILD') = (spec_version_id IS NOT NULL)"
ACTIVE = sa.text("state NOT IN ('CANCELED', 'COMPLETED', 'FAILED')")
LIVE = {'sqlite_where': sa.text('deleted_at IS NULL'), 'postgresql_where': sa.text('deleted_at IS NULL')}
TABLES = ('files', 'jobs')


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column('spec_version_id', db.types.Key(), nullable=True))
    fold = sa.text("coalesce(name_folded, '')")
    op.create_index('ix_files_spec_version_id_by_name', 'files', ['spec_version_id', fold, 'id'], **LIVE)
    op.create_index('ix_jobs_spec_version_id_attempt_id', 'jobs', ['spec_version_id', 'attempt', 'id'], **LIVE)
    op.create_index('uq_jobs_active_spec_version', 'jobs', ['spec_version_id'], unique=True, sqlite_where=ACTIVE, postgresql_where=ACTIVE)
    op.create_index('uq_jobs_spec_version_id_attempt', 'jobs', ['spec_version_id', 'attempt'], unique=True)
    if op.get_context().dialect.name == 'sqlite':
        replaced = {'jobs': KINDS, 'files': PURPOSES}
        rewrite('uploads', PURPOSES)
        for table in TABLES:
            key = f"CONSTRAINT pk_{table} PRIMARY KEY"
            refers = f"CONSTRAINT fk_{table}_spec_version_id FOREIGN KEY(spec_version_id) REFERENCES spec_versions (id) ON DELETE CASCADE"
            built = f", \n\tCONSTRAINT ck_jobs_spec_version CHECK ({BUILT})" if table == 'jobs' else ''
            rewrite(table, replaced[table], (key, f"{refers}{built}, \n\t{key}"))
        return
    for table, name, check in (('jobs', 'jobkind', KINDS[1]), ('files', 'filepurpose', PURPOSES[1]), ('uploads', 'filepurpose', PURPOSES[1])):
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_='check')
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, check)
    op.create_check_constraint(op.f('ck_jobs_spec_version'), 'jobs', BUILT)
    for table in TABLES:
        op.create_foreign_key(f'fk_{table}_spec_version_id', table, 'spec_versions', ['spec_version_id'], ['id'], ondelete='CASCADE')


def downgrade() -> None:
    raise NotImplementedError("restore a copy of the database made before: packages have no place in older tables")
