"""Services that act for users of a provider, tokens of specs, and what pages of the package index are equal by

Revision ID: a3f5c8207e91
Revises: d1b06e93f47a
"""
import sqlalchemy as sa
from alembic import op

import db.types
from db.migrations.sqlite import rewrite

revision = 'a3f5c8207e91'
down_revision = 'd1b06e93f47a'
branch_labels = None
depends_on = None

PROVIDERS = "acts_for IN ('LOCAL', 'KEYCLOAK', 'COGNITO')"
_KINDS = (
    "'PASSWORD', 'LOGIN_SESSION', 'API_KEY', 'STATIC_TOKEN', 'TOTP', 'RECOVERY_CODE', 'EMAIL_CODE', 'EMAIL_VERIFY', "
    "'PASSWORD_RESET', 'SSH_CERTIFICATE', 'CHALLENGE_WORKER'"
)
KINDS = (f"kind IN ({_KINDS})", f"kind IN ({_KINDS}, 'SPEC_TOKEN')")
REFERS = (('spec_id', 'specs'), ('made_by_id', 'services'))
OF_SPECS = "kind = 'SPEC_TOKEN' OR spec_id IS NULL"


def upgrade() -> None:
    op.add_column('specs', sa.Column('package_changes', sa.Integer(), server_default='0', nullable=False))
    op.add_column('spec_versions', sa.Column('metadata_digest', sa.String(length=64), nullable=True))
    op.add_column('services', sa.Column('acts_for', sa.String(length=32), nullable=True))
    op.add_column('credentials', sa.Column('spec_id', db.types.Key(), nullable=True))
    op.add_column('credentials', sa.Column('made_by_id', db.types.Key(), nullable=True))
    op.create_index('ix_credentials_spec_id', 'credentials', ['spec_id'])
    op.create_index('ix_credentials_made_by_id', 'credentials', ['made_by_id'])
    if op.get_context().dialect.name == 'sqlite':
        key = "CONSTRAINT pk_services PRIMARY KEY"
        rewrite('services', (key, f"CONSTRAINT ck_services_authprovider CHECK ({PROVIDERS}), \n\t{key}"))
        key = "CONSTRAINT pk_credentials PRIMARY KEY"
        refers = ", \n\t".join(
            f"CONSTRAINT fk_credentials_{column} FOREIGN KEY({column}) REFERENCES {target} (id) ON DELETE CASCADE"
            for column, target in REFERS
        )
        checked = f"CONSTRAINT ck_credentials_spec CHECK ({OF_SPECS}), \n\t{refers}, \n\t{key}"
        rewrite('credentials', KINDS, (key, checked))
        return
    op.create_check_constraint(op.f('ck_services_authprovider'), 'services', PROVIDERS)
    op.drop_constraint(op.f('ck_credentials_credentialkind'), 'credentials', type_='check')
    op.create_check_constraint(op.f('ck_credentials_credentialkind'), 'credentials', KINDS[1])
    op.create_check_constraint(op.f('ck_credentials_spec'), 'credentials', OF_SPECS)
    for column, target in REFERS:
        op.create_foreign_key(f'fk_credentials_{column}', 'credentials', target, [column], ['id'], ondelete='CASCADE')


def downgrade() -> None:
    raise NotImplementedError("restore a copy of the database made before: tokens of specs have no place in older tables")
