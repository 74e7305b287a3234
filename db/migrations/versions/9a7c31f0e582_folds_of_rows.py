"""Change nothing: folds are filled after the migration, in batches (`db/searching/refolding.py`)

It filled them once, within the transaction. It stays for the databases that have it.

Revision ID: 9a7c31f0e582
Revises: 5d20b8e6f174
"""

revision = '9a7c31f0e582'
down_revision = '5d20b8e6f174'
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
