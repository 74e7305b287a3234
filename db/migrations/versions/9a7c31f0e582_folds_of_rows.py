"""Fill the folds of the rows that are there, and put their texts into NFC

Apart from the revision that makes the columns, so that no table is locked while its rows are gone through.

Revision ID: 9a7c31f0e582
Revises: 5d20b8e6f174
"""
from typing import Any

import sqlalchemy as sa
from alembic import op

from db.folding import UNICODE, composed, fold
from db.types import Key, now, uuid7

revision = '9a7c31f0e582'
down_revision = '5d20b8e6f174'
branch_labels = None
depends_on = None

BATCH = 1_000
TEXTS = {
    'challenges': ['label'],
    'clusters': ['name'],
    'credentials': ['label'],
    'device_subtypes': ['name'],
    'device_types': ['name'],
    'devices': ['name'],
    'estimators': ['name'],
    'jobs': ['key', 'title'],
    'leaderboards': ['label'],
    'notification_templates': ['key'],
    'participant_groups': ['name'],
    'participants': ['name', 'username', 'email'],
    'projects': ['name'],
    'roles': ['name'],
    'services': ['name'],
    'session_types': ['name'],
    'sessions': ['name'],
    'simulations': ['title'],
    'sites': ['name'],
    'specs': ['canonical_name'],
    'user_groups': ['name'],
    'users': ['username', 'email', 'first_name', 'last_name'],
}


def upgrade() -> None:
    for name, texts in TEXTS.items():
        columns = [sa.column(text, sa.Text()) for text in texts]
        folds = [sa.column(f'{text}_folded', sa.Text()) for text in texts]
        table = sa.table(name, sa.column('id', Key()), *columns, *folds)
        _fill(table, texts)
    settings = sa.table('server_settings', *(sa.column(name) for name in ('id', 'name', 'value', 'created_at', 'updated_at', 'version')))
    made = {'id': sa.literal(uuid7(), Key()), 'created_at': now(), 'updated_at': now(), 'version': 1}
    op.get_bind().execute(sa.insert(settings).values(name='unicode', value=UNICODE, **made))


def downgrade() -> None:
    op.execute("DELETE FROM server_settings WHERE name = 'unicode'")


def _fill(table: Any, texts: list[str]) -> None:
    connection, last = op.get_bind(), None
    changed = sa.update(table).where(table.c.id == sa.bindparam('of', type_=Key()))
    changed = changed.values({f'{text}_folded': sa.bindparam(f'fold_{text}') for text in texts})
    while True:
        page = sa.select(table.c.id, *(table.c[text] for text in texts)).order_by(table.c.id).limit(BATCH)
        rows = connection.execute(page if last is None else page.where(table.c.id > last)).all()
        if not rows:
            return
        last = rows[-1].id
        connection.execute(
            changed,
            [{'of': row.id, **{f'fold_{t}': _folded(row._mapping[t]) for t in texts}} for row in rows],
        )
        for row in rows:
            for text in texts:
                if (found := row._mapping[text]) is not None and composed(found) != found:
                    _compose(connection, table, text, row.id, composed(found))


def _folded(text: str | None) -> str | None:
    return None if text is None else fold(text)


def _compose(connection: Any, table: Any, text: str, key: Any, value: str) -> None:
    """Where another row has the composed text already, which may have to be unique, the row stays as it is."""
    other = table.alias()
    taken = sa.exists().where(other.c[text] == value)
    connection.execute(sa.update(table).where(table.c.id == key, sa.not_(taken)).values({text: value}))
