"""Who made a group of users may give it its first role

Revision ID: c4e1a9d07b35
Revises: b7d4f2c61a08
"""
import sqlalchemy as sa
from alembic import op

import db.types

revision = 'c4e1a9d07b35'
down_revision = 'b7d4f2c61a08'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('user_groups') as batch_op:
        batch_op.add_column(sa.Column('creator_id', db.types.Key(), nullable=True))
        batch_op.create_foreign_key('fk_user_groups_creator_id', 'users', ['creator_id'], ['id'], ondelete='SET NULL')
        batch_op.create_index('ix_user_groups_creator_id', ['creator_id'])


def downgrade() -> None:
    raise NotImplementedError("restore a copy of the database made before")
