"""Specs at work: states, labels, projects, versions that are equal by PEP 440, and the models of each version

Revision ID: c4d97f1a60e8
Revises: b8e2d05f7c13
"""
import sqlalchemy as sa
from alembic import op
from packaging.utils import canonicalize_version

import db.types
from db.migrations.sqlite import rewrite

revision = 'c4d97f1a60e8'
down_revision = 'b8e2d05f7c13'
branch_labels = None
depends_on = None

FOLD = sa.Text().with_variant(sa.Text(collation='C'), 'postgresql')
LIVE = {'sqlite_where': sa.text('deleted_at IS NULL'), 'postgresql_where': sa.text('deleted_at IS NULL')}
STATE = "state IN ('DRAFT', 'ACTIVE', 'DEPRECATED', 'ARCHIVED')"
COMPATIBILITY = "compatibility IN ('NONE', 'BACKWARD', 'FULL')"
NAME = "coalesce(canonical_name_folded, '')"
SEARCHED = (('spec_labels', 'name'), ('spec_models', 'name'), ('spec_models', 'table_name'), ('spec_models', 'column_names'))


def _on_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def upgrade() -> None:
    op.add_column('users', sa.Column('spec_model_count', sa.Integer(), server_default='0', nullable=False))
    op.execute(
        "UPDATE users SET spec_model_count = coalesce((SELECT sum(v.model_count) FROM specs s JOIN spec_versions v "
        "ON v.id = s.latest_version_id WHERE s.user_id = users.id AND s.deleted_at IS NULL), 0)"
    )
    op.add_column('specs', sa.Column('project_id', db.types.Key(), nullable=True))
    op.add_column('specs', sa.Column('state', sa.String(length=32), server_default='ACTIVE', nullable=False))
    op.add_column('specs', sa.Column('compatibility', sa.String(length=32), server_default='NONE', nullable=False))
    op.create_index('ix_specs_project_id_by_canonical_name', 'specs', ['project_id', sa.text(NAME), 'id'], **LIVE)
    if _on_sqlite():
        key = 'CONSTRAINT pk_specs PRIMARY KEY'
        refers = 'CONSTRAINT fk_specs_project_id FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE SET NULL'
        checks = f'CONSTRAINT ck_specs_specstate CHECK ({STATE}), \n\tCONSTRAINT ck_specs_speccompatibility CHECK ({COMPATIBILITY})'
        rewrite('specs', (key, f'{refers}, \n\t{checks}, \n\t{key}'))
        _versions_anew()
    else:
        op.create_foreign_key('fk_specs_project_id', 'specs', 'projects', ['project_id'], ['id'], ondelete='SET NULL')
        op.create_check_constraint(op.f('ck_specs_specstate'), 'specs', STATE)
        op.create_check_constraint(op.f('ck_specs_speccompatibility'), 'specs', COMPATIBILITY)
        op.drop_constraint('uq_spec_versions_spec_id_name', 'spec_versions', type_='unique')
        op.add_column('spec_versions', sa.Column('canonical_name', sa.String(length=100), nullable=True))
        op.add_column('spec_versions', sa.Column('digest', sa.String(length=64), nullable=True))
        op.add_column('spec_versions', sa.Column('fetched_at', db.types.Instant(), nullable=True))
        op.add_column('spec_versions', sa.Column('yanked_at', db.types.Instant(), nullable=True))
        op.add_column('spec_versions', sa.Column('yank_reason', sa.String(length=500), nullable=True))
    _canonical_names()
    op.create_index('uq_spec_versions_spec_id_canonical_name', 'spec_versions', ['spec_id', 'canonical_name'], unique=True, **LIVE)
    _tables()


def _versions_anew() -> None:
    """The table is made anew: SQLite can't drop a constraint."""
    op.create_table('spec_versions_anew',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('spec_id', db.types.Key(), nullable=False),
        sa.Column('name', sa.String(length=100), nullable=False),
        sa.Column('canonical_name', sa.String(length=100), nullable=True),
        sa.Column('title', sa.String(length=255), nullable=True),
        sa.Column('description', sa.Text(), nullable=True),
        sa.Column('model_count', sa.Integer(), nullable=False),
        sa.Column('language', sa.Enum('JSON', 'YAML', name='speclanguage', native_enum=False, create_constraint=True, length=32), nullable=False),
        sa.Column('source', sa.Text(), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=True),
        sa.Column('fetched_at', db.types.Instant(), nullable=True),
        sa.Column('yanked_at', db.types.Instant(), nullable=True),
        sa.Column('yank_reason', sa.String(length=500), nullable=True),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.Column('deleted_at', db.types.Instant(), nullable=True),
        sa.CheckConstraint('model_count >= 0', name=op.f('ck_spec_versions_model_count')),
        sa.ForeignKeyConstraint(['spec_id'], ['specs.id'], name=op.f('fk_spec_versions_spec_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_spec_versions')),
    )
    kept = 'id, spec_id, name, title, description, model_count, language, source, created_at, updated_at, version, deleted_at'
    op.execute(f"INSERT INTO spec_versions_anew ({kept}) SELECT {kept} FROM spec_versions")
    op.drop_table('spec_versions')
    op.rename_table('spec_versions_anew', 'spec_versions')
    op.create_index('ix_spec_versions_spec_id_updated_at_id', 'spec_versions', ['spec_id', 'updated_at', 'id'], **LIVE)


def _canonical_names() -> None:
    """Of the versions of one spec that are equal, the last one gets the name; others keep none."""
    versions = sa.table(
        'spec_versions', *(sa.column(name) for name in ('id', 'spec_id', 'name', 'canonical_name', 'updated_at'))
    )
    live = sa.text('deleted_at IS NULL')
    found = sa.select(versions.c.id, versions.c.spec_id, versions.c.name).where(live).order_by(versions.c.updated_at)
    named = {}
    for row in op.get_bind().execute(found):
        named[row.spec_id, canonicalize_version(row.name)] = row.id
    for (_, name), key in named.items():
        op.execute(sa.update(versions).where(versions.c.id == key).values(canonical_name=name))


def _tables() -> None:
    op.create_table('spec_labels',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('spec_id', db.types.Key(), nullable=False),
        sa.Column('name', db.types.Name(length=50), nullable=False),
        sa.Column('name_folded', FOLD, nullable=True),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['spec_id'], ['specs.id'], name=op.f('fk_spec_labels_spec_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_spec_labels')),
        sa.UniqueConstraint('spec_id', 'name', name=op.f('uq_spec_labels_spec_id_name')),
    )
    fold = sa.text("coalesce(name_folded, '')")
    op.create_index('ix_spec_labels_spec_id_by_name', 'spec_labels', ['spec_id', fold, 'id'])
    op.create_index('ix_spec_labels_name', 'spec_labels', ['name'])
    op.create_table('spec_models',
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column('spec_version_id', db.types.Key(), nullable=False),
        sa.Column('name', db.types.Name(length=255), nullable=False),
        sa.Column('name_folded', FOLD, nullable=True),
        sa.Column('table_name', db.types.Name(length=255), nullable=False),
        sa.Column('table_name_folded', FOLD, nullable=True),
        sa.Column('column_names', db.types.Name(length=1_000_000), nullable=False),
        sa.Column('column_names_folded', FOLD, nullable=True),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['spec_version_id'], ['spec_versions.id'], name=op.f('fk_spec_models_spec_version_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_spec_models')),
        sa.UniqueConstraint('spec_version_id', 'name', name=op.f('uq_spec_models_spec_version_id_name')),
    )
    op.create_index('ix_spec_models_spec_version_id_by_name', 'spec_models', ['spec_version_id', fold, 'id'])
    op.create_index('ix_spec_models_by_name', 'spec_models', [fold, 'id'])
    if not _on_sqlite():
        for table, column in SEARCHED:
            text = f"(coalesce({column}_folded, lower({column})))"
            op.execute(f"CREATE STATISTICS fold_{table}_{column} ON {text} FROM {table}")


def downgrade() -> None:
    raise NotImplementedError("restore a copy of the database made before: versions of one name have no place in older tables")
