"""Beside each text that is searched or ordered by stands its fold; orders follow code points on both databases

The columns are filled afterwards, in batches (`db/searching/refolding.py`): no table is locked while its rows are gone through.

Revision ID: 5d20b8e6f174
Revises: c4e1a9d07b35
"""
import sqlalchemy as sa
from alembic import op

revision = '5d20b8e6f174'
down_revision = 'c4e1a9d07b35'
branch_labels = None
depends_on = None

TEXTS: dict[str, dict[str, int]] = {
    'challenges': {'label': 100},
    'clusters': {'name': 64},
    'credentials': {'label': 100},
    'device_subtypes': {'name': 255},
    'device_types': {'name': 255},
    'devices': {'name': 255},
    'estimators': {'name': 255},
    'jobs': {'key': 80, 'title': 255},
    'leaderboards': {'label': 100},
    'notification_templates': {'key': 100},
    'participant_groups': {'name': 255},
    'participants': {'name': 255, 'username': 150, 'email': 254},
    'projects': {'name': 255},
    'roles': {'name': 100},
    'services': {'name': 255},
    'session_types': {'name': 255},
    'sessions': {'name': 255},
    'simulations': {'title': 255},
    'sites': {'name': 255},
    'specs': {'canonical_name': 255},
    'user_groups': {'name': 255},
    'users': {'username': 150, 'email': 254, 'first_name': 150, 'last_name': 150},
}
"""By table, the columns with a fold, and the characters that each holds."""


def upgrade() -> None:
    postgresql = op.get_context().dialect.name == 'postgresql'
    folded = sa.Text(collation='C') if postgresql else sa.Text()
    for table, columns in TEXTS.items():
        for name in columns:
            op.add_column(table, sa.Column(f'{name}_folded', folded, nullable=True))
        if postgresql:
            _collate(table, columns, ' COLLATE "C"')


def downgrade() -> None:
    for table, columns in TEXTS.items():
        for name in columns:
            op.drop_column(table, f'{name}_folded')
        if op.get_context().dialect.name == 'postgresql':
            _collate(table, columns, '')


def _collate(table: str, columns: dict[str, int], collation: str) -> None:
    """All columns of a table in one statement, so that its indexes are made anew once."""
    changes = (f'ALTER COLUMN {name} TYPE VARCHAR({length}){collation}' for name, length in columns.items())
    op.execute(f'ALTER TABLE {table} {", ".join(changes)}')
