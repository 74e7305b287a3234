"""Mail whose link or code no longer holds is not sent; jobs are listed by when they last changed

Revision ID: b7d4f2c61a08
Revises: 3b7f0c9d41e2
"""
import sqlalchemy as sa
from alembic import op

import db.types

revision = 'b7d4f2c61a08'
down_revision = '3b7f0c9d41e2'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('notifications', sa.Column('expires_at', db.types.Instant(), nullable=True))
    op.create_index('ix_jobs_last_update_at_id', 'jobs', ['last_update_at', 'id'])


def downgrade() -> None:
    op.drop_index('ix_jobs_last_update_at_id', 'jobs')
    op.drop_column('notifications', 'expires_at')
