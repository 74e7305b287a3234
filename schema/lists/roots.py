"""The root fields of every type: the list of all rows, and one row by its id or by a column of its own."""

import inspect
from typing import Annotated, Any, Optional

import strawberry

from resolvers.failures import Invalid
from resolvers.reading.conditions import Where
from resolvers.spelling import camel, snake
from schema.fields.declarations import NODES, Column, NodeType, later
from schema.fields.fields import found
from schema.fields.scalars import key_of
from schema.fields.values import check_text
from schema.lists.connections import connection


def roots(own: set[str]) -> type:
    """A class with the root fields of all types, but for names that areas have as their `own`."""
    fields: dict[str, Any] = {}
    kinds: dict[str, Any] = {}
    for node in NODES.values():
        one = snake(node.name)
        if node.many not in own:
            fields[node.many] = made = connection(
                node.model, node.listed or f"The rows of {node.name} that you may see."
            )
            kinds[node.many] = made.kind
        if one not in own:
            fields[one] = _one(node)
            kinds[one] = Optional[later(node.model)]  # noqa: UP045  (it is no type)
    cls: Any = type("RootsQuery", (), {**fields, "__annotations__": kinds})
    return strawberry.type(cls)  # type: ignore[no-any-return]


def _one(node: NodeType) -> Any:
    """One row by its id, or by a column that no two rows share."""
    keys = [field for field in node.fields if isinstance(field, Column) and field.lists.found]
    described = {"id": "Its id.", **{field.python_name: field.description or "" for field in keys}}
    described |= {name: by.words for name, by in node.found_by.items()}

    def where(**given: Any) -> Where:
        told = {name: value for name, value in given.items() if value is not None}
        if len(told) != 1:
            raise Invalid(f"give {' or '.join(map(camel, described))}", field="id")
        ((name, value),) = told.items()
        if name == "id":
            return Where.equal(node.model.id, key_of(node.name, value))
        check_text(value, camel(name))
        if (by := node.found_by.get(name)) is not None:
            return Where(by.clauses, {name: by.read(value)})
        return Where.equal(getattr(node.model, name), value)

    where.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=None,
                annotation=_argument(strawberry.ID if name == "id" else str, words),
            )
            for name, words in described.items()
        ]
    )
    by = " or ".join(f"`{camel(name)}`" for name in described)
    return found(node.model, f"The {node.name} of this {by}; null when there is none that you may see.", where)


def _argument(kind: Any, description: str) -> Any:
    return Annotated[kind | None, strawberry.argument(description=description)]
