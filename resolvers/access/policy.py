"""The `Policy` of a model: who may read, create, change, delete and restore its rows, and what follows. One for each
model."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.models import Entity, Erasable
from resolvers.access import places
from resolvers.access.clauses import Clause
from resolvers.access.places import Belongs
from resolvers.access.rules import Rule
from resolvers.identity.principal import AccessProfile, Principal

Rules = tuple[Rule, ...]
Model = type[Entity]


@dataclass(frozen=True, slots=True)
class Change:
    """A row that is created, changed or deleted, in the transaction that does it.

    `before` has the former values of the changed columns; for a new row, the given values; None for a row that is to be
    deleted. `note` records an audit event.
    """

    session: AsyncSession
    principal: Principal
    row: Any
    before: Mapping[str, Any] | None
    note: Callable[..., None]
    new: bool = False

    @property
    def going(self) -> bool:
        return self.before is None

    def ended(self, column: str) -> bool:
        """Whether the column was true before and is false now."""
        return self.before is not None and bool(self.before.get(column)) and not getattr(self.row, column)

    def differs(self, column: str) -> bool:
        """Whether the column had another value before; for a new row, whether it has another value than the given
        one."""
        now = getattr(self.row, column)
        return self.before is not None and bool(self.before.get(column, now) != now)


Step = Callable[[Change], Awaitable[None]]
Where = Callable[[AsyncSession, Any], Awaitable[Mapping[str, UUID | None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who may read, create, change, delete and restore rows of a model, what must hold for them, and what follows.

    Superadmins read every row; they may write where a rule says so. A rule is asked of the row as it is; for a new or
    changed row also as it will be.
    """

    model: Model

    read: Rules = ()
    """Who reads a row."""
    through: Any = None
    """The relationship to the parent whose readers read the row; `read`, where given, narrows them."""
    shown: Callable[[Any], Clause] | None = None
    """Which rows anybody may see; none given: all live rows."""
    fields: Mapping[str, Rules] = field(default_factory=dict)
    """Field guards: who, among the readers of the row, reads the field. All of them read a field that is not named
    here."""
    seen_with: Sequence[Any] = ()
    """Relationships whose target a user reads whenever they read a row that leads to it, by the rules of both."""

    project: Belongs | None = None
    site: Belongs | None = None
    """The place of a row, when its `project_id` and `site_id` don't say it."""
    recorded_in: Where | None = None
    """The `project_id` and `site_id` of audit events about a row, when its columns don't say it."""
    made_in: Sequence[Model] = ()
    """The models of places in which rows are created: on a place, `myAccess` tells whether one may."""

    create: Rules = ()
    founding: Rules | None = None
    """For a link: who creates it together with a new row; by default those of `create`."""
    update: Rules = ()
    columns: Mapping[str, Rules] = field(default_factory=dict)
    """Who changes a column, when not those of `update`."""
    given: Mapping[str, Rules] | None = None
    """Who sets a column of a new row, when not all of `create` may; by default as in `columns`."""
    beside: Sequence[str] = ()
    """What an update takes besides columns, such as lists of links; those of `update` may."""
    leaving: Mapping[str, Rules] = field(default_factory=dict)
    """Who removes the value of a column: asked of the row as it is."""
    delete: Rules = ()
    undelete: Rules | None = None
    """Who restores; by default those of `delete`; empty: nobody."""
    perhaps: Callable[[Any, AccessProfile], Clause] | None = None
    """Which rows could be restored, once the rows that were deleted with them are back."""
    link_of: Any = None
    """For a link, which only says that two rows belong together: the foreign key to the row that owns the link."""
    creator: str | None = None
    """The column with the user who created the row."""

    goes_with: Sequence[Any] = ()
    """Foreign keys: the row is deleted and restored together with the row that they refer to."""
    blocks: Sequence[Any] = ()
    """Foreign keys: the row blocks the deletion of the row that they refer to, unless it is deleted with it."""
    stays: Sequence[Any] = ()
    """Foreign keys: the row stays as it is when the row that they refer to is deleted."""
    blocks_while: Callable[[Any], Clause] | None = None
    """Which rows block a deletion; by default all live ones."""
    counted_as: Any = None
    """The foreign key whose row is named to the client in place of this link: once, however many links lead to it."""
    followed: bool = False
    """Whether changes of its rows can be watched, also where nobody restores them."""
    asked: bool = False
    """Whether the row is deleted with another one only if the principal may delete this row, too."""
    held_with: Callable[[AsyncSession, UUID], Awaitable[Mapping[Model, Collection[UUID]]]] | None = None
    """Locks what else must be held with a row that is to be deleted."""
    held_before: Callable[[AsyncSession, UUID], Awaitable[None]] | None = None
    """Locks what must be held before a row is restored."""

    validate: Step | None = None
    """Raises when a row must not be created, changed or deleted like this; writes nothing."""
    then: Step | None = None
    """The consequences, after a row was created or changed, or before it is deleted."""
    returns: Step | None = None
    """The consequences before a row is restored."""
    contradiction: str = "the input contradicts itself"
    """The messages for the database's check constraints."""

    tokens: Rules = ()
    """Who creates static tokens, with which a program acts as the row."""
    rights: Sequence[str] | None = None
    """The columns whose change changes the rights of others; creating or deleting the row does, too. None: never."""
    principal: bool = False
    """Whether the row is itself a principal."""
    rank: Sequence[str] = ()
    """Columns that say what a user may do everywhere: a change of them is recorded."""
    sign_in: Sequence[str] = ()
    """Columns that decide how one signs in: a change of them is recorded."""
    topic: Callable[[object], str] | None = None
    """The topic that subscriptions to the row hear, besides that of every row; with `*` for a key, of some rows."""
    switch: str | None = None
    """The column that enables or disables the row: a change of it is recorded."""

    @property
    def written(self) -> bool:
        """Whether rows are created, changed or deleted by the common mutations."""
        return bool(self.create or self.update or self.delete or self.columns)

    @property
    def parent(self) -> Model | None:
        """The model of the parent whose readers read the row."""
        return None if self.through is None else self.through.property.mapper.class_

    def guard(self, name: str) -> Rules:
        """Who reads a field, among the readers of its row; empty: all of them."""
        return self.fields.get(name, ())

    def changing(self, column: str) -> Rules:
        """Who may change a column to its new value."""
        return self.columns.get(column, self.update)

    @property
    def giving(self) -> Mapping[str, Rules]:
        return self.columns if self.given is None else self.given

    @property
    def founds(self) -> Rules:
        """Who creates the link together with a new row."""
        return self.create if self.founding is None else self.founding

    @property
    def restore(self) -> Rules:
        return self.delete if self.undelete is None else self.undelete

    @property
    def restorable(self) -> bool:
        """Whether deleted rows can be brought back by themselves."""
        return bool(self.restore) and issubclass(self.model, Erasable)

    async def conclude(self, change: Change) -> None:
        """Check what must hold for the row, then bring about the consequences."""
        for step in (self.validate, self.then):
            if step is not None:
                await step(change)


_POLICIES: dict[Model, Policy] = {}


def declare(*policies: Policy) -> None:
    """Register policies. Each model has one."""
    for policy in policies:
        assert policy.model not in _POLICIES, f"{policy.model.__name__} has two policies"
        _POLICIES[policy.model] = policy
        if policy.project is not None or policy.site is not None:
            places.declare(policy.model, policy.project, policy.site)


def policy_of(model: Model) -> Policy:
    """The policy of a model; KeyError when it has none."""
    return _POLICIES[model]


def has_policy(model: Any) -> bool:
    return model in _POLICIES


def policies() -> Iterator[Policy]:
    """All policies, in the order of their declaration."""
    return iter(tuple(_POLICIES.values()))


@cache
def target_of(column: Any) -> Model:
    """The model that a foreign key refers to."""
    (key,) = column.property.columns[0].foreign_keys
    found: Model = models.of_table(key.column.table)
    return found


def gone_with(model: Model) -> list[Any]:
    """The foreign keys by which other rows are deleted with a row of `model`."""
    return [key for policy in policies() for key in policy.goes_with if target_of(key) is model]


def blocked_by(model: Model) -> list[Any]:
    """The foreign keys by which other rows block the deletion of a row of `model`."""
    return [key for policy in policies() for key in policy.blocks if target_of(key) is model]


def needed_by(model: Model) -> list[Any]:
    """The foreign keys of a row whose targets must be alive before the row is restored: targets that can be deleted and
    restored, and with which the row goes or whose deletion it blocks."""
    policy = policy_of(model)
    needed = {key.key for key in (*policy.goes_with, *policy.blocks) if issubclass(target_of(key), Erasable)}
    return [getattr(model, column.key) for column in model.__table__.columns if column.key in needed]
