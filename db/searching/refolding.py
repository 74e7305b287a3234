"""Make folds anew: after a change of Python's Unicode tables, and for rows that the code of the last release wrote."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import Database
from db.models import Base, ServerSetting
from db.searching.folding import UNICODE, composed, fold, folded

SETTING = "unicode"
"""The server setting with the version that folds were made with."""
BATCH = 1_000
"""The most rows of one transaction."""

_UNICODE = sa.select(ServerSetting.value).where(ServerSetting.name == SETTING)


def searched() -> list[sa.Table]:
    """The tables that have folds."""
    return [table for table in Base.metadata.sorted_tables if folded(table)]


async def outdated(database: Database) -> bool:
    """Whether folds were made with another version of Unicode than this process has."""
    return any(row.value != UNICODE for row in await database.rows(_UNICODE))


async def complete(database: Database) -> int:
    """Fold texts that have no fold yet, and put them into NFC; returns the number of rows."""
    changed = 0
    for table in searched():
        missing = (sa.and_(table.c[text].is_not(None), table.c[name].is_(None)) for text, name in folded(table).items())
        changed += await _refold(database, table, sa.or_(*missing))
    if not await database.rows(_UNICODE):
        await _note(database)
    return changed


async def refold(database: Database, told: Callable[[str, int], None]) -> int:
    """Fold all texts anew, and store the version. Calls `told` with each table and its changed rows; returns how many
    changed."""
    changed = 0
    for table in searched():
        found = await _refold(database, table)
        told(table.name, found)
        changed += found
    await _note(database)
    return changed


async def _note(database: Database) -> None:
    async with database.write(as_system="texts are folded anew") as session:
        row = await session.scalar(sa.select(ServerSetting).where(ServerSetting.name == SETTING).with_for_update())
        if row is None:
            session.add(ServerSetting(name=SETTING, value=UNICODE))
        else:
            row.value = UNICODE


async def _refold(database: Database, table: sa.Table, *which: Any) -> int:
    """Write wrong folds, batch by batch. A row's version and time of change stay, because what clients see of it did
    not change."""
    names, last, changed = folded(table), None, 0
    page = sa.select(table.c.id, *(table.c[name] for pair in names.items() for name in pair))
    page = page.where(*which).order_by(table.c.id).limit(BATCH)
    while found := await database.rows(page if last is None else page.where(table.c.id > last)):
        last = found[-1].id
        if not (wrong := [row.id for row in found if _made(row, names)]):
            continue
        async with database.write(as_system="texts are folded anew") as session:
            held = sa.select(*page.selected_columns).where(table.c.id.in_(wrong)).order_by(table.c.id).with_for_update()
            for row in (await session.execute(held)).all():
                if values := _made(row, names):
                    await _write(session, table, row.id, values)
                    changed += 1
    return changed


def _made(row: Any, names: dict[str, str]) -> dict[str, str]:
    """The columns of a row to write: folds, and texts in NFC."""
    found: dict[str, str] = {}
    for text, name in names.items():
        if (stored := row._mapping[text]) is None:
            continue
        if row._mapping[name] != (made := fold(stored)):
            found[name] = made
        if composed(stored) != stored:
            found |= {text: composed(stored), name: made}
    return found


async def _write(session: AsyncSession, table: sa.Table, key: Any, values: dict[str, str]) -> None:
    """Write the columns. When another row already has the composed text, which may have to be unique, the text stays as
    it is."""
    for text in folded(table).keys() & values.keys():
        if await session.scalar(sa.select(sa.exists().where(table.c[text] == values[text]))):
            values = {name: value for name, value in values.items() if name != text}
    if values:
        own = {"updated_at": table.c.updated_at}
        await session.execute(sa.update(table).where(table.c.id == key).values(**values, **own))
