"""What may be done with the rows of a model, and what comes of it: one `Policy` for each, declared once."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    """A row that is made, changed or to go, in the transaction that does it. `before` has what the changed columns
    held; of a new row what was given; None for a row that is to go. `note` puts something on record."""

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
        """Whether the column was true and is so no more."""
        return self.before is not None and bool(self.before.get(column)) and not getattr(self.row, column)

    def differs(self, column: str) -> bool:
        """Whether the column held something else before; of a new row, something else than what was given."""
        now = getattr(self.row, column)
        return self.before is not None and bool(self.before.get(column, now) != now)


Step = Callable[[Change], Awaitable[None]]
Where = Callable[[AsyncSession, Any], Awaitable[Mapping[str, UUID | None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who may see, make, change, delete and restore rows of a model, and what else must hold and happens then.

    Superadmins see every row; they may write where a rule says so. A rule is asked of the row as it is; for a new or
    changed row also as it will be.
    """

    model: Model

    read: Rules = ()
    """Who sees a row."""
    through: Any = None
    """The relationship to the parent whose readers see the row; `read`, where given, narrows them."""
    shown: Callable[[Any], Clause] | None = None
    """Which rows anybody may see; none given: all live rows."""
    fields: Mapping[str, Rules] = field(default_factory=dict)
    """Who reads the value of a field, of those who see the row; a field that is not named is read by all of them."""
    seen_with: Sequence[Any] = ()
    """Relationships whose target a user sees whenever a row that leads to it is seen, by the rules of both."""

    project: Belongs | None = None
    site: Belongs | None = None
    """Where a row belongs, when `project_id` and `site_id` don't say it."""
    recorded_in: Where | None = None
    """The `project_id` and `site_id` under which events about a row are on record, when its columns don't say it."""
    made_in: Sequence[Model] = ()
    """The places in which rows are made: there `myAccess` tells whether one may."""

    create: Rules = ()
    founding: Rules | None = None
    """Of a link: who makes it together with a new row; not given: those of `create`."""
    update: Rules = ()
    columns: Mapping[str, Rules] = field(default_factory=dict)
    """Who changes a column, when others than those of `update` do."""
    given: Mapping[str, Rules] | None = None
    """Who gives a column to a new row, when not all of `create` may; not given: as in `columns`."""
    leaving: Mapping[str, Rules] = field(default_factory=dict)
    """Who takes away the value of a column: asked of the row as it is."""
    delete: Rules = ()
    undelete: Rules | None = None
    """Who restores; not given: those of `delete`; empty: nobody."""
    watched: bool = False
    """Whether `entityChanged` tells of rows that nobody restores."""
    perhaps: Callable[[Any, AccessProfile], Clause] | None = None
    """Which rows might be restored, once what was deleted with them is back."""
    link_of: Any = None
    """Of a link, which only says that two rows belong together: the foreign key of the row whose link it is."""
    creator: str | None = None
    """The column that holds the user who made the row."""

    goes_with: Sequence[Any] = ()
    """Foreign keys: the row is deleted and restored with the row that they name."""
    blocks: Sequence[Any] = ()
    """Foreign keys: the row stands in the way of deleting the row that they name, unless it goes, too."""
    stays: Sequence[Any] = ()
    """Foreign keys: the row stays as it is when the row that they name is deleted."""
    blocks_while: Callable[[Any], Clause] | None = None
    """Which rows stand in the way; not given: all live ones."""
    counted_as: Any = None
    """The foreign key whose row a client is told of in place of this link: once, however many links lead to it."""
    asked: bool = False
    """Whether the row goes with another only where who deletes that may delete this, too."""
    held_with: Callable[[AsyncSession, UUID], Awaitable[Mapping[Model, Collection[UUID]]]] | None = None
    """What else is locked with a row that is to go."""
    held_before: Callable[[AsyncSession, UUID], Awaitable[None]] | None = None
    """What is locked before a row that is to come back."""

    validate: Step | None = None
    """Raises when a row must not be made, changed or deleted so; writes nothing."""
    then: Step | None = None
    """What follows when a row was made or changed, or before it is deleted."""
    returns: Step | None = None
    """What follows before a row comes back."""
    contradiction: str = "the input contradicts itself"
    """What the database's checks of the row refuse, in words."""

    tokens: Rules = ()
    """Who makes static tokens by which a program acts as the row."""
    rights: Sequence[str] | None = None
    """The columns with which changes what others may do; it changes with the row itself, too. None: never."""
    principal: bool = False
    """Whether the row is one who asks."""
    rank: Sequence[str] = ()
    """Columns that say what a user may do everywhere: a change of them is on record."""
    sign_in: Sequence[str] = ()
    """Columns that decide how one signs in: a change of them is on record."""
    switch: str | None = None
    """The column by which the row is put in or out of use: a change of it is on record."""

    @property
    def written(self) -> bool:
        """Whether rows are made, changed or deleted by the common mutations."""
        return bool(self.create or self.update or self.delete or self.columns)

    @property
    def parent(self) -> Model | None:
        """The model of the parent whose readers see the row."""
        return None if self.through is None else self.through.property.mapper.class_

    def changing(self, column: str) -> Rules:
        """Who may change a column to what it may be."""
        return self.columns.get(column, self.update)

    @property
    def giving(self) -> Mapping[str, Rules]:
        return self.columns if self.given is None else self.given

    @property
    def founds(self) -> Rules:
        """Who makes the link together with a new row."""
        return self.create if self.founding is None else self.founding

    @property
    def restore(self) -> Rules:
        return self.delete if self.undelete is None else self.undelete

    @property
    def restorable(self) -> bool:
        """Whether deleted rows can be brought back by themselves."""
        return bool(self.restore) and issubclass(self.model, Erasable)

    async def conclude(self, change: Change) -> None:
        """Check what must hold of the row, and see to what follows."""
        for step in (self.validate, self.then):
            if step is not None:
                await step(change)


_POLICIES: dict[Model, Policy] = {}


def declare(*policies: Policy) -> None:
    """Make policies known. Each model has one."""
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


def target_of(column: Any) -> Model:
    """The model that a foreign key names."""
    (key,) = column.property.columns[0].foreign_keys
    found: Model = models.of_table(key.column.table)
    return found


def gone_with(model: Model) -> list[Any]:
    """The foreign keys by which other rows go with a row of `model`."""
    return [key for policy in policies() for key in policy.goes_with if target_of(key) is model]


def blocked_by(model: Model) -> list[Any]:
    """The foreign keys by which other rows stand in the way of a row of `model`."""
    return [key for policy in policies() for key in policy.blocks if target_of(key) is model]


def needed_by(model: Model) -> list[Any]:
    """The foreign keys of a row whose rows must be there for it to come back: those that can be deleted and restored,
    and with which it goes or that it keeps from going."""
    policy = policy_of(model)
    needed = {key.key for key in (*policy.goes_with, *policy.blocks) if issubclass(target_of(key), Erasable)}
    return [getattr(model, column.key) for column in model.__table__.columns if column.key in needed]
