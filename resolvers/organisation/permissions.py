"""What a principal may do with a row (`myAccess`), and which deleted rows it may restore, by the rules that writes
ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db.aliases import Alias
from db.models import Entity
from resolvers.access.policy import policies, policy_of
from resolvers.access.rules import PLACED, allowed
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.identity.principal import AccessProfile
from resolvers.reading.paging import Order, Page, Slice


class Action(Enum):
    READ = "READ"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is allowed with a row: `columns` may be changed, rows of `creates` made in it; of the guarded fields, those
    in `reads` may be read."""

    actions: Sequence[Action]
    columns: Sequence[str]
    reads: Sequence[str]
    creates: Sequence[type[Entity]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement for the rows of a model that a principal of some access profile sees. For each of `what` it has a
    column named by `label`, which tells whether the principal may do it."""

    statement: Any
    entity: Any
    what: Sequence[tuple[str, Any]]

    @staticmethod
    def label(n: int) -> str:
        return f"may_{n}"

    def held(self, row: Any) -> list[tuple[str, Any]]:
        """What the principal may do with the row."""
        return [what for n, what in enumerate(self.what) if getattr(row, self.label(n))]


def asked_of(model: type[Entity], profile: AccessProfile) -> Asked:
    """What to ask about rows of a model."""
    entity, may = Alias(model), policy_of(model)
    asked: dict[tuple[str, Any], Any] = {("field", name): rules for name, rules in may.fields.items()}
    if may.written:
        names = [c.key for c in sa.inspect(model).mapper.columns if not c.primary_key]
        asked[("action", Action.DELETE)] = may.delete
        asked |= {("column", name): may.leaving.get(name, may.changing(name)) for name in names if name not in _KEPT}
        asked |= {("column", name): may.update for name in may.beside}
        for made in policies():
            if model in made.made_in:
                asked[("create", made.model)] = [PLACED[rule] for rule in made.create if rule in PLACED]
    columns = [allowed(rules, entity, profile).label(Asked.label(n)) for n, rules in enumerate(asked.values())]
    return Asked(sa.select(entity.id, *columns).where(visible(entity, profile)), entity, list(asked))


async def allowance(ctx: Context, model: type[Entity], key: UUID) -> Allowance | None:
    """What the principal may do with a row; None for one that it does not see. One statement."""
    asked = asked_of(model, ctx.principal.profile)
    one = asked.statement.where(asked.entity.id == sa.bindparam("key", type_=asked.entity.id.type))
    rows = await ctx.database.rows(one, {**ctx.principal.parameters, "key": key})
    if not rows:
        return None
    held = asked.held(rows[0])
    changes = [name for kind, name in held if kind == "column"]
    actions = [Action.READ, *([Action.UPDATE] if changes else []), *(a for kind, a in held if kind == "action")]
    creates, reads = ([name for kind, name in held if kind == wanted] for wanted in ("create", "field"))
    return Allowance(actions, changes, reads, creates)


_KEPT = ("created_at", "updated_at", "version", "deleted_at")


@dataclass(frozen=True, slots=True)
class DeletedRow:
    """A deleted row: its name, and when it was deleted."""

    model: type[Entity]
    id: UUID
    name: str
    deleted_at: datetime


def restorable_order(model: Any) -> Order:
    """The order of deleted rows: the last deleted first."""
    return Order(model.deleted_at, descending=True)


async def restorable(ctx: Context, model: type[Entity], slice: Slice) -> Page:
    """The deleted rows of a model that the principal may restore, as far as the row alone tells. One statement."""
    entity: Any = Alias(model)
    called = next(getattr(entity, name) for name in ("name", "title", "username", "id") if hasattr(entity, name))
    allowed_ = allowed(policy_of(model).restore, entity, ctx.principal.profile)
    deleted = sa.and_(entity.deleted_at.is_not(None), allowed_)
    wanted = sa.select(entity.id, called.label("name"), entity.deleted_at).where(deleted)
    if slice.after is not None:
        wanted = wanted.where(slice.cut.beyond(entity))
    rows = await ctx.database.rows(
        wanted.order_by(*slice.cut.by(entity)).limit(slice.limit + 1), {**ctx.principal.parameters, **slice.place}
    )

    async def counted() -> int:
        number = sa.select(sa.func.count(entity.id)).where(deleted)
        return (await ctx.database.rows(number, dict(ctx.principal.parameters)))[0][0]  # type: ignore[no-any-return]

    return Page.cut([DeletedRow(model, row.id, str(row.name), row.deleted_at) for row in rows], slice, counted)
