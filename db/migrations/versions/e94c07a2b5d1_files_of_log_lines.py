"""The files of log lines; runs of tasks that ended with their host

Revision ID: e94c07a2b5d1
Revises: d83f5b20e6a4
"""
import sqlalchemy as sa
from alembic import op

import db.types

revision = 'e94c07a2b5d1'
down_revision = 'd83f5b20e6a4'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('log_entries', sa.Column('file', db.types.Name(length=255), nullable=True))
    op.add_column('tasks', sa.Column('interruptions', sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column('tasks', 'interruptions')
    op.drop_column('log_entries', 'file')
