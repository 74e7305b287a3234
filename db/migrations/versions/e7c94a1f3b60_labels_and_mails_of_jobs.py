"""Labels of simulations; users who want to hear of their jobs, and jobs that ended of which they were not told

Revision ID: e7c94a1f3b60
Revises: e94c07a2b5d1
"""
import sqlalchemy as sa
from alembic import op

import db.types

revision = 'e7c94a1f3b60'
down_revision = 'e94c07a2b5d1'
branch_labels = None
depends_on = None

UNTOLD = sa.text("untold")


def upgrade() -> None:
    op.create_table(
        'simulation_labels',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('simulation_id', db.types.Key(), nullable=False),
        sa.Column('name', db.types.Name(length=50), nullable=False),
        sa.Column('name_folded', sa.Text().with_variant(sa.Text(collation="C"), 'postgresql'), nullable=True),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ['simulation_id'], ['simulations.id'], name=op.f('fk_simulation_labels_simulation_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_simulation_labels')),
        sa.UniqueConstraint('simulation_id', 'name', name=op.f('uq_simulation_labels_simulation_id_name')),
    )
    op.create_index(
        'ix_simulation_labels_simulation_id_by_name',
        'simulation_labels',
        ['simulation_id', sa.text("coalesce(name_folded, '')"), 'id'],
    )
    op.create_index('ix_simulation_labels_name', 'simulation_labels', ['name'])
    op.add_column('users', sa.Column('notified_of_jobs', sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column('jobs', sa.Column('untold', sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        'ix_jobs_untold', 'jobs', ['owner_user_id', 'ended_at'], sqlite_where=UNTOLD, postgresql_where=UNTOLD
    )
    if op.get_context().dialect.name == 'postgresql':
        op.execute(
            "CREATE STATISTICS fold_simulation_labels_name ON (coalesce(name_folded, lower(name))) FROM simulation_labels"
        )


def downgrade() -> None:
    op.drop_index('ix_jobs_untold', table_name='jobs')
    op.drop_column('jobs', 'untold')
    op.drop_column('users', 'notified_of_jobs')
    op.drop_table('simulation_labels')
