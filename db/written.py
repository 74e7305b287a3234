"""Check each transaction: it may commit only rows for which an access rule was asked, or a reason given."""

from collections.abc import Iterable, Iterator
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ORMExecuteState, Session

from db.models.base import Base, Entity

Row = tuple[type[Base], UUID | None]
"""A row that was written: its model and key; without a key, some rows of the table, by one statement."""


class Unasked(Exception):
    """Rows were written for which no rule was asked. The transaction is rolled back: this is an error in the code."""


def asked(session: AsyncSession, *rows: Entity) -> None:
    """Note that a rule was asked for these rows, and holds."""
    session.info.setdefault("asked", set()).update((type(row), row.id) for row in rows)


def because(session: AsyncSession, why: str, *models: type[Base]) -> None:
    """Note that rows of these tables are written as a consequence of something that was allowed, or proved. `why` is a
    literal: a test lists them all."""
    assert why
    session.info.setdefault("because", set()).update(models)


def check(session: AsyncSession) -> None:
    """Raise Unasked for rows that were written without a rule or a reason."""
    rows: Iterable[Row] = session.info.get("written", ())
    named, reasons = session.info.get("asked", set()), session.info.get("because", set())
    if missing := {row for row in rows if row not in named and row[0] not in reasons}:
        names = ", ".join(sorted({model.__name__ for model, _ in missing}))
        raise Unasked(f"rows of {names} were written, but no rule was asked for them")


def note(session: Session, rows: Iterable[Row]) -> None:
    session.info.setdefault("written", set()).update(rows)


def flushed(session: Session) -> Iterator[Row]:
    """The rows that are being flushed."""
    for row in (*session.new, *session.deleted, *(row for row in session.dirty if session.is_modified(row))):
        yield type(row), getattr(row, "id", None)


def note_statement(state: ORMExecuteState) -> None:
    """Note the table that a plain statement writes."""
    if not (state.is_insert or state.is_update or state.is_delete):
        return
    name = state.statement.table.name  # type: ignore[attr-defined]
    note(state.session, ((m.class_, None) for m in Base.registry.mappers if m.local_table.name == name))  # type: ignore[attr-defined]
