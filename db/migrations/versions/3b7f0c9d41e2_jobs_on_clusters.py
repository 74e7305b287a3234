"""jobs on clusters, parts of results, links to simulations

Revision ID: 3b7f0c9d41e2
Revises: 9064098be082
"""
from alembic import op
import sqlalchemy as sa
import db.types
from db.migrations.sqlite import rewrite

revision = '3b7f0c9d41e2'
down_revision = '9064098be082'
branch_labels = None
depends_on = None

PLATFORMS = ('IN_PROCESS', 'CELERY', 'SLURM')
KINDS = (
    'PASSWORD', 'LOGIN_SESSION', 'API_KEY', 'STATIC_TOKEN', 'TOTP', 'RECOVERY_CODE', 'EMAIL_CODE', 'EMAIL_VERIFY',
    'PASSWORD_RESET', 'SSH_CERTIFICATE',
)
CLUSTER = "(platform = 'IN_PROCESS') = (cluster_id IS NULL)"
INDEXES = (
    ('ix_jobs_cluster_id_state_submitted_at', 'jobs', ['cluster_id', 'state', 'submitted_at'], None),
    ('ix_jobs_parts', 'jobs', ['merge_after'], 'parts'),
    ('ix_tasks_holder', 'tasks', ['holder'], 'holder IS NOT NULL'),
    ('ix_tasks_waiting', 'tasks', ['id'], "state = 'PENDING' AND holder IS NULL"),
)


def _columns() -> list[tuple[str, sa.Column]]:
    empty = {"nullable": False, "server_default": "{}"}
    none = {"nullable": False, "server_default": "0"}
    return [
        ('jobs', sa.Column('options', sa.JSON(), **empty)),
        ('jobs', sa.Column('external', sa.JSON(), **empty)),
        ('jobs', sa.Column('batches', sa.Integer(), **none)),
        ('jobs', sa.Column('estimated_start_at', db.types.Instant(), nullable=True)),
        ('jobs', sa.Column('history', sa.JSON(), nullable=False, server_default="[]")),
        ('jobs', sa.Column('parts', sa.Boolean(), nullable=False, server_default=sa.false())),
        ('jobs', sa.Column('merges', sa.Integer(), **none)),
        ('jobs', sa.Column('merge_after', db.types.Instant(), nullable=True)),
        ('simulation_inputs', sa.Column('project', sa.JSON(), nullable=True)),
        ('task_results', sa.Column('final', sa.Boolean(), nullable=False, server_default=sa.true())),
        ('tasks', sa.Column('handed', sa.Integer(), **none)),
        ('tasks', sa.Column('reported', sa.Integer(), **none)),
        ('tasks', sa.Column('claim', sa.String(length=64), nullable=True)),
    ]


def upgrade() -> None:
    op.create_table('clusters',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('name', sa.String(length=64), nullable=False),
    sa.Column('description', sa.String(length=1000), nullable=False),
    sa.Column('platform', sa.Enum('IN_PROCESS', 'CELERY', 'SLURM', name='platform', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('enabled', sa.Boolean(), nullable=False),
    sa.Column('max_tasks', sa.Integer(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('deleted_at', db.types.Instant(), nullable=True),
    sa.CheckConstraint("platform <> 'IN_PROCESS'", name=op.f('ck_clusters_elsewhere')),
    sa.CheckConstraint('max_tasks IS NULL OR max_tasks >= 1', name=op.f('ck_clusters_max_tasks')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_clusters'))
    )
    with op.batch_alter_table('clusters', schema=None) as batch_op:
        batch_op.create_index('ix_clusters_name_id', ['name', 'id'], unique=False, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))
        batch_op.create_index('uq_clusters_name', ['name'], unique=True, sqlite_where=sa.text('deleted_at IS NULL'), postgresql_where=sa.text('deleted_at IS NULL'))

    op.create_table('cluster_user_groups',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('cluster_id', db.types.Key(), nullable=False),
    sa.Column('user_group_id', db.types.Key(), nullable=False),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['cluster_id'], ['clusters.id'], name=op.f('fk_cluster_user_groups_cluster_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_group_id'], ['user_groups.id'], name=op.f('fk_cluster_user_groups_user_group_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_cluster_user_groups')),
    sa.UniqueConstraint('cluster_id', 'user_group_id', name=op.f('uq_cluster_user_groups_cluster_id_user_group_id'))
    )
    with op.batch_alter_table('cluster_user_groups', schema=None) as batch_op:
        batch_op.create_index('ix_cluster_user_groups_user_group_id_cluster_id', ['user_group_id', 'cluster_id'], unique=False)

    op.create_table('simulation_links',
    sa.Column('id', db.types.Key(), nullable=False),
    sa.Column('simulation_id', db.types.Key(), nullable=False),
    sa.Column('user_id', db.types.Key(), nullable=False),
    sa.Column('label', sa.String(length=255), nullable=False),
    sa.Column('secret_hash', sa.String(length=64), nullable=False),
    sa.Column('expires_at', db.types.Instant(), nullable=False),
    sa.Column('last_used_at', db.types.Instant(), nullable=True),
    sa.Column('created_at', db.types.Instant(), nullable=False),
    sa.Column('updated_at', db.types.Instant(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['simulation_id'], ['simulations.id'], name=op.f('fk_simulation_links_simulation_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_simulation_links_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_simulation_links')),
    sa.UniqueConstraint('secret_hash', name=op.f('uq_simulation_links_secret_hash'))
    )
    with op.batch_alter_table('simulation_links', schema=None) as batch_op:
        batch_op.create_index('ix_simulation_links_simulation_id_created_at_id', ['simulation_id', 'created_at', 'id'], unique=False)
        batch_op.create_index('ix_simulation_links_user_id_created_at_id', ['user_id', 'created_at', 'id'], unique=False)

    for table, column in _columns():
        op.add_column(table, column)
    op.add_column('jobs', sa.Column('cluster_id', db.types.Key(), nullable=True))
    if op.get_context().dialect.name == "sqlite":
        rewrite('credentials', (f"'{KINDS[-2]}')", f"'{KINDS[-2]}', '{KINDS[-1]}')"))
        rewrite(
            'jobs',
            ("platform IN ('IN_PROCESS')", f"platform IN {PLATFORMS}"),
            (
                "CONSTRAINT uq_jobs_key UNIQUE",
                f"CONSTRAINT ck_jobs_cluster CHECK ({CLUSTER}), \n\tCONSTRAINT fk_jobs_cluster_id FOREIGN KEY(cluster_id) "
                "REFERENCES clusters (id) ON DELETE RESTRICT, \n\tCONSTRAINT uq_jobs_key UNIQUE",
            ),
        )
    else:
        for table, name, check in (
            ('jobs', 'platform', f"platform IN {PLATFORMS}"), ('credentials', 'credentialkind', f"kind IN {KINDS}")
        ):
            op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_='check')
            op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, check)
        op.create_foreign_key('fk_jobs_cluster_id', 'jobs', 'clusters', ['cluster_id'], ['id'], ondelete='RESTRICT')
        op.create_check_constraint(op.f('ck_jobs_cluster'), 'jobs', CLUSTER)
    for name, table, columns, where in INDEXES:
        given = sa.text(where) if where else None
        op.create_index(name, table, columns, sqlite_where=given, postgresql_where=given)


def downgrade() -> None:
    raise NotImplementedError("restore a copy of the database made before: jobs of clusters have no place in the older tables")
