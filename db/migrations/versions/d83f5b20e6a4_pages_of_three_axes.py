"""Pages of three axes with standard errors, large ones in slabs; numbers of tasks in slabs; files that programs wrote

Revision ID: d83f5b20e6a4
Revises: a1c97e54d302
"""
import sqlalchemy as sa
from alembic import op

import db.types
from db.migrations.sqlite import rewrite

revision = 'd83f5b20e6a4'
down_revision = 'a1c97e54d302'
branch_labels = None
depends_on = None

LIVE = sa.text("deleted_at IS NULL")
PURPOSES = "purpose IN ('SESSION_ASSET', 'DATASET', 'ARCHIVE', 'PUBLIC')"
MORE = "purpose IN ('SESSION_ASSET', 'DATASET', 'ARCHIVE', 'PUBLIC', 'OUTPUT')"
PROGRAMS = "sim_type IN ('SHIELDHIT', 'TOPAS', 'FLUKA', 'DUMMY')"
ALL_PROGRAMS = "sim_type IN ('SHIELDHIT', 'TOPAS', 'FLUKA', 'GEANT4', 'DUMMY')"
CHECKS = (
    ('dimension', "dimension BETWEEN 0 AND 2", "dimension BETWEEN 0 AND 3"),
    ('axis2', "(dimension = 2) = (axis2_values IS NOT NULL)", "(dimension >= 2) = (axis2_values IS NOT NULL)"),
)
ADDED = (
    ('axis3', "(dimension = 3) = (axis3_values IS NOT NULL)"),
    ('content', "(content IS NULL) = (data_values IS NOT NULL)"),
)
REFERS = (
    ('files', 'simulation_id', 'simulations', 'CASCADE'),
    ('files', 'task_id', 'tasks', 'SET NULL'),
    ('uploads', 'simulation_id', 'simulations', 'CASCADE'),
)


def upgrade() -> None:
    for column, kind in (
        ('axis3_name', sa.String(length=255)),
        ('axis3_unit', sa.String(length=64)),
        ('axis3_count', sa.Integer()),
        ('axis3_values', sa.Text()),
        ('data_errors', sa.Text()),
        ('content', db.types.Key()),
    ):
        op.add_column('pages', sa.Column(column, kind, nullable=True))
    op.add_column('pages', sa.Column('approximate', sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column('task_results', sa.Column('delivery', sa.String(length=64), nullable=True))
    op.add_column('task_results', sa.Column('warnings', sa.JSON(), nullable=False, server_default="[]"))
    op.add_column('files', sa.Column('simulation_id', db.types.Key(), nullable=True))
    op.add_column('files', sa.Column('task_id', db.types.Key(), nullable=True))
    op.add_column('uploads', sa.Column('simulation_id', db.types.Key(), nullable=True))
    if op.get_context().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgresql()
    op.create_index('ix_pages_content', 'pages', ['content'])
    op.create_index('ix_files_task_id', 'files', ['task_id'])
    op.create_index(
        'ix_files_simulation_id_created_at_id',
        'files',
        ['simulation_id', 'created_at', 'id'],
        sqlite_where=LIVE,
        postgresql_where=LIVE,
    )
    op.create_index('ix_uploads_simulation_id', 'uploads', ['simulation_id'])
    op.create_table(
        'page_slabs',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('content', db.types.Key(), nullable=False),
        sa.Column(
            'series',
            sa.Enum('VALUES', 'ERRORS', name='series', native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column('number', sa.Integer(), nullable=False),
        sa.Column('text', sa.Text(), nullable=False),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_page_slabs')),
        sa.UniqueConstraint('content', 'series', 'number', name=op.f('uq_page_slabs_content_series_number')),
    )
    op.create_table(
        'task_slabs',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('task_id', db.types.Key(), nullable=False),
        sa.Column('delivery', sa.String(length=64), nullable=False),
        sa.Column('number', sa.Integer(), nullable=False),
        sa.Column('count', sa.Integer(), nullable=False),
        sa.Column('data', sa.LargeBinary(), nullable=False),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.CheckConstraint('number >= 0', name=op.f('ck_task_slabs_number')),
        sa.ForeignKeyConstraint(['task_id'], ['tasks.id'], name=op.f('fk_task_slabs_task_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_task_slabs')),
        sa.UniqueConstraint('task_id', 'delivery', 'number', name=op.f('uq_task_slabs_task_id_delivery_number')),
    )


def _sqlite() -> None:
    rewrite('simulations', (PROGRAMS, ALL_PROGRAMS))
    added = ", \n\t".join(f"CONSTRAINT ck_pages_{name} CHECK ({check})" for name, check in ADDED)
    rewrite(
        'pages',
        *((before, after) for _, before, after in CHECKS),
        ("data_values TEXT NOT NULL", "data_values TEXT"),
        ("CONSTRAINT fk_pages_estimator_id", f"{added}, \n\tCONSTRAINT fk_pages_estimator_id"),
    )
    for table, mark in (('files', 'fk_files_archive_id'), ('uploads', 'fk_uploads_archive_id')):
        refers = ", \n\t".join(
            f"CONSTRAINT fk_{one}_{column} FOREIGN KEY({column}) REFERENCES {target} (id) ON DELETE {rule}"
            for one, column, target, rule in REFERS
            if one == table
        )
        rewrite(table, (PURPOSES, MORE), (f"CONSTRAINT {mark}", f"{refers}, \n\tCONSTRAINT {mark}"))


def _postgresql() -> None:
    op.drop_constraint(op.f("ck_simulations_simulationtype"), 'simulations', type_='check')
    op.create_check_constraint(op.f("ck_simulations_simulationtype"), 'simulations', ALL_PROGRAMS)
    for name, _, after in CHECKS:
        op.drop_constraint(op.f(f"ck_pages_{name}"), 'pages', type_='check')
        op.create_check_constraint(op.f(f"ck_pages_{name}"), 'pages', after)
    op.alter_column('pages', 'data_values', nullable=True)
    for name, check in ADDED:
        op.create_check_constraint(op.f(f"ck_pages_{name}"), 'pages', check)
    for table in ('files', 'uploads'):
        op.drop_constraint(op.f(f"ck_{table}_filepurpose"), table, type_='check')
        op.create_check_constraint(op.f(f"ck_{table}_filepurpose"), table, MORE)
    for table, column, target, rule in REFERS:
        op.create_foreign_key(f'fk_{table}_{column}', table, target, [column], ['id'], ondelete=rule)


def downgrade() -> None:
    raise NotImplementedError("restore a copy of the database made before: large pages have no place in the older tables")
