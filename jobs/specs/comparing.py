"""What differs between two versions of a specification, and whom it breaks.

A change breaks *backward* when whoever has rows and code of the earlier version can't go on with the later one, such
as a column that is gone, or one that must now have a value. It breaks *forward* when code of the earlier version can't
work on a database of the later one, such as a column that may now be null, or a text that may now be longer.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from jobs.specs.tables import Column, Constraint, Kind, Model, Relation, Tables


class Compatibility(Enum):
    """What the versions of a specification must keep: nothing, what was there, or both ways."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    FULL = "FULL"


class Part(Enum):
    """What a change is of."""

    MODEL = "MODEL"
    COLUMN = "COLUMN"
    KEY = "KEY"
    RELATION = "RELATION"
    CONSTRAINT = "CONSTRAINT"


class Action(Enum):
    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of a model, or of something of it that has a `name`. `pointer` leads into the later version; to what is
    gone, into the earlier one. `breaks_backward` and `breaks_forward` say why, where it does."""

    part: Part
    action: Action
    model: str
    pointer: str
    name: str | None = None
    detail: str | None = None
    before: Any = None
    after: Any = None
    breaks_backward: str | None = None
    breaks_forward: str | None = None

    def broken(self, rule: Compatibility) -> str | None:
        """Why a rule does not allow it; None where it does."""
        if rule is Compatibility.NONE:
            return None
        return self.breaks_backward or (self.breaks_forward if rule is Compatibility.FULL else None)


def changes(earlier: Tables, later: Tables) -> list[Change]:
    """The changes, in the order of the later version; what is gone comes last."""
    return list(_changes(earlier, later))


def _changes(earlier: Tables, later: Tables) -> Iterator[Change]:
    before, after = ({model.name: model for model in tables.models} for tables in (earlier, later))
    for name, model in after.items():
        if name in before:
            yield from _of_model(before[name], model)
        else:
            yield Change(part=Part.MODEL, action=Action.ADDED, model=name, pointer=model.pointer)
    for name, model in before.items():
        if name not in after:
            yield _gone(Part.MODEL, name, None, model.pointer, f"the model {name} is gone")


def _of_model(before: Model, after: Model) -> Iterator[Change]:
    for detail in ("table", "extends", "database_schema"):
        yield from _changed(Part.MODEL, after, None, after.pointer, detail, before, after, _BOTH)
    yield from _of_columns(before, after)
    yield from _of_relations(before, after)
    for kind, old, new in (("unique", before.uniques, after.uniques), ("index", before.indexes, after.indexes)):
        yield from _of_constraints(after, kind, old, new)


def _of_columns(before: Model, after: Model) -> Iterator[Change]:
    old = {column.name: column for column in before.columns}
    for column in after.columns:
        if column.name in old:
            yield from _of_column(after, old.pop(column.name), column)
        else:
            yield _new_column(after, column)
    for name, column in old.items():
        yield _gone(Part.COLUMN, after.name, name, column.pointer, f"the column {after.name}.{name} is gone")


def _new_column(model: Model, column: Column) -> Change:
    backward = forward = None
    if not column.nullable and column.server_default is None:
        forward = f"{model.name}.{column.name} needs a value, which earlier code does not give"
        if column.default is None and not column.autoincrement:
            backward = f"{model.name}.{column.name} needs a value, which rows that are there do not have"
    return Change(
        part=Part.COLUMN, action=Action.ADDED, model=model.name, name=column.name, pointer=column.pointer,
        breaks_backward=backward, breaks_forward=forward,
    )  # fmt: skip


def _of_column(model: Model, before: Column, after: Column) -> Iterator[Change]:
    where = (model, after.name, after.pointer)
    name = f"{model.name}.{after.name}"
    if before.kind is not after.kind:
        wider = (before.kind, after.kind) == (Kind.INTEGER, Kind.BIG_INTEGER)
        told = f"{name} was {before.kind.value} and is {after.kind.value}"
        yield _change(Part.COLUMN, *where, "type", before.kind.value, after.kind.value, None if wider else told, told)
    if before.length != after.length:
        longer = after.length is None or (before.length is not None and after.length > before.length)
        told = f"{name} may be {'longer' if longer else 'less long'} than before"
        backward, forward = (None, told) if longer else (told, None)
        yield _change(Part.COLUMN, *where, "length", before.length, after.length, backward, forward)
    if before.nullable != after.nullable:
        told = f"{name} may {'now' if after.nullable else 'no longer'} be null"
        backward, forward = (None, told) if after.nullable else (told, None)
        yield _change(Part.COLUMN, *where, "nullable", before.nullable, after.nullable, backward, forward)
    for detail in ("primary_key", "foreign_key"):
        yield from _changed(Part.KEY, model, after.name, after.pointer, detail, before, after, _BOTH)
    if bool(before.unique) != bool(after.unique):
        told = f"{name} must {'now' if after.unique else 'no longer'} be unique"
        backward, forward = (told, None) if after.unique else (None, told)
        yield _change(Part.CONSTRAINT, *where, "unique", bool(before.unique), bool(after.unique), backward, forward)
    for detail in ("index", "default", "server_default", "autoincrement", "description"):
        yield from _changed(Part.COLUMN, model, after.name, after.pointer, detail, before, after, _NOBODY)


def _of_relations(before: Model, after: Model) -> Iterator[Change]:
    old = {relation.name: relation for relation in before.relations}
    for relation in after.relations:
        earlier = old.pop(relation.name, None)
        if earlier is None:
            yield Change(
                part=Part.RELATION, action=Action.ADDED, model=after.name, name=relation.name, pointer=relation.pointer
            )
            continue
        for detail in ("model", "way", "back", "association"):
            yield from _changed(Part.RELATION, after, relation.name, relation.pointer, detail, earlier, relation, _BOTH)
    for name, relation in old.items():
        told = f"the relation {after.name}.{name} is gone"
        yield _gone(Part.RELATION, after.name, name, relation.pointer, told)


def _of_constraints(
    model: Model, kind: str, before: Sequence[Constraint], after: Sequence[Constraint]
) -> Iterator[Change]:
    """Constraints are known by their columns."""
    old, new = ({(one.columns, bool(one.unique)): one for one in listed} for listed in (before, after))
    for action, found in ((Action.ADDED, new.keys() - old.keys()), (Action.REMOVED, old.keys() - new.keys())):
        for columns, unique in sorted(found):
            strict = kind == "unique" or unique
            told = f"{' and '.join(columns)} must {'now' if action is Action.ADDED else 'no longer'} be unique together"
            yield Change(
                part=Part.CONSTRAINT, action=action, model=model.name, pointer=model.pointer, detail=kind,
                name=", ".join(columns),
                breaks_backward=told if strict and action is Action.ADDED else None,
                breaks_forward=told if strict and action is Action.REMOVED else None,
            )  # fmt: skip


_BOTH, _NOBODY = True, False


def _changed(
    part: Part, model: Model, name: str | None, pointer: str, detail: str,
    before: Model | Column | Relation, after: Model | Column | Relation, breaks: bool,
) -> Iterator[Change]:  # fmt: skip
    """The change of a value, which breaks both ways or neither."""
    old, new = (_plain(getattr(one, detail)) for one in (before, after))
    if old != new:
        shown = model.name if name is None else f"{model.name}.{name}"
        told = f"{shown}: {detail.replace('_', ' ')} was {old} and is {new}" if breaks else None
        yield _change(part, model, name, pointer, detail, old, new, told, told)


def _change(
    part: Part, model: Model, name: str | None, pointer: str, detail: str,
    before: Any, after: Any, backward: str | None, forward: str | None,
) -> Change:  # fmt: skip
    return Change(
        part=part, action=Action.CHANGED, model=model.name, name=name, pointer=pointer, detail=detail,
        before=before, after=after, breaks_backward=backward, breaks_forward=forward,
    )  # fmt: skip


def _gone(part: Part, model: str, name: str | None, pointer: str, told: str) -> Change:
    return Change(
        part=part, action=Action.REMOVED, model=model, name=name, pointer=pointer,
        breaks_backward=told, breaks_forward=told,
    )  # fmt: skip


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def broken(found: Iterable[Change], rule: Compatibility) -> list[tuple[str, str]]:
    """The pointer and the reason of each change that a rule does not allow."""
    return [(one.pointer, why) for one in found if (why := one.broken(rule)) is not None]
