"""The access matrix: each role with each type and each guarded field, read from the declarations."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from graphql import GraphQLSchema

from gateway.commands.tables import aligned
from resolvers.access.matrix_roles import ROLES
from resolvers.access.policy import Policy, policies
from resolvers.access.rules import SUPERADMIN, Rule, words
from resolvers.access.visibility import reading
from resolvers.spelling import spelled
from schema.fields.checks import declared_fields
from schema.fields.declarations import Column, Computed
from schema.fields.selection import DEFINITION

Rules = tuple[Rule, ...]
LETTERS = {"create": "C", "read": "R", "update": "U", "delete": "D", "restore": "S"}

_ABOUT = """# Who may do what

Made of the declarations by `torana access --markdown`; a test compares. A row that may not be read is as if it were not
there, a field that may not be read is null with a FORBIDDEN error, a write that is not allowed changes nothing. Who has
several roles may what each of them may; who administers a site administers its projects, and who has a role in a
project is a user of its site.

Power over an account, a group or a device changes only through those who have it: a group is given a role by who
administers the role's place and every place that the group has a role in already. The roles of other services count
in those services alone, and roles in a deleted project count for nothing until it is back.
"""
_LETTERS = (
    "C creates, R reads, U updates some of it, D deletes, S brings back what was deleted; of some rows, as told below."
)


class Matrix:
    """The access matrix. `rows` has who may do each action on each type; `columns` who else may change single columns;
    `fields` who reads guarded fields; `others` who may run mutations that are no action on rows of a type."""

    def __init__(self, schema: GraphQLSchema) -> None:
        assert schema.mutation_type is not None
        mutations = schema.mutation_type.fields
        known = [policy for policy in policies() if policy.read or policy.parent or policy.written]
        self.rows = {_named(policy): _actions(policy, mutations) for policy in sorted(known, key=_named)}
        self.columns = {_named(may): {**may.columns, **may.leaving} for may in known if may.columns or may.leaving}
        self.fields = dict(sorted(_guarded(schema)))
        common = {f"{action}{name}" for name in self.rows for action in LETTERS}
        self.others = {name: _needs(field) for name, field in sorted(mutations.items()) if name not in common}

    def json(self) -> str:
        told = {
            "roles": ROLES,
            "entities": {
                name: {action: _told(rules) for action, rules in actions.items()} for name, actions in self.rows.items()
            },
            "columns": {
                name: {spelled(column): _told(rules) for column, rules in columns.items()}
                for name, columns in self.columns.items()
            },
            "fields": {name: _told(rules) for name, rules in self.fields.items()},
            "mutations": self.others,
        }
        return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()

    def text(self) -> str:
        return "\n\n".join(
            [
                aligned(None, [*ROLES.items()]),
                aligned(self._header("type"), self._types()),
                _LETTERS,
                aligned(["type", "action", "allowed to"], list(self._sentences())),
                aligned(self._header("field"), self._readers()),
                aligned(["field", "readable by"], [[name, words(rules)] for name, rules in self.fields.items()]),
                aligned(["mutation", "needs", "allowed to"], self._others()),
            ]
        )

    def markdown(self) -> str:
        parts = [
            _ABOUT,
            _table(["", "role"], ROLES.items()),
            f"## Rows\n\n{_LETTERS}\n",
            _table(self._header("type"), self._types()),
            _table(["type", "action", "allowed to"], self._sentences()),
            "## Fields\n\nGuarded fields, and who reads them of a row that may be read.\n",
            _table(
                [*self._header("field"), "readable by"],
                ([*line, words(rules)] for line, rules in zip(self._readers(), self.fields.values(), strict=True)),
            ),
            "## Other mutations\n\nWhat else may be run. Who may make and undo links is told above, of their types.\n",
            _table(["mutation", "needs", "allowed to"], self._others()),
        ]
        return "\n".join(parts).rstrip("\n")

    @staticmethod
    def _header(first: str) -> list[str]:
        return [first, *ROLES]

    def _types(self) -> list[list[str]]:
        return [
            [name, *(_letters(role, actions, self.columns.get(name, {})) for role in ROLES)]
            for name, actions in self.rows.items()
        ]

    def _sentences(self) -> Iterable[list[str]]:
        for name, actions in self.rows.items():
            for action, rules in actions.items():
                if rules:
                    yield [name, action, words(rules)]
                if action == "update":
                    for column, own in self.columns.get(name, {}).items():
                        yield [name, f"update of {spelled(column)}", words(own)]

    def _others(self) -> list[list[str]]:
        return [[name, told["needs"] or "", told["allowedTo"] or ""] for name, told in self.others.items()]

    def _readers(self) -> list[list[str]]:
        return [
            [name, *("R" if role in _roles(rules) else "" for role in ROLES)] for name, rules in self.fields.items()
        ]


def _actions(may: Policy, mutations: Mapping[str, Any]) -> dict[str, Rules]:
    """Who may do each action, in the order of the letters."""
    found: dict[str, Rules] = {}
    if may.written:
        found["create"] = may.create
    if may.read or may.parent:
        readers = reading(may.model)
        found["read"] = readers if "XA" in _roles(readers) else (*readers, SUPERADMIN)
    if may.written:
        found |= {"update": may.update, "delete": may.delete}
        if f"restore{_named(may)}" in mutations:
            found["restore"] = may.restore
    return found


def _letters(role: str, actions: Mapping[str, Rules], columns: Mapping[str, Rules]) -> str:
    some = {"update": tuple(rule for rules in columns.values() for rule in rules)}
    return "".join(
        LETTERS[action] for action, rules in actions.items() if role in _roles((*rules, *some.get(action, ())))
    )


def _guarded(schema: GraphQLSchema) -> Iterable[tuple[str, Rules]]:
    for kind, name, _, declared in declared_fields(schema):
        if isinstance(declared, Column) and declared.needs:
            yield f"{kind.name}.{name}", declared.needs
        if isinstance(declared, Computed):
            for rules in declared.asks.values():
                yield f"{kind.name}.{name}", rules


def _needs(field: Any) -> dict[str, str | None]:
    """Who may run a mutation at all, and what its description says about it."""
    guard = next(extension for extension in field.extensions[DEFINITION].extensions if hasattr(extension, "need"))
    allowed = re.search(r"Allowed to ([^.]*)\.", " ".join((field.description or "").split()))
    words = str(guard.need.words).removesuffix(", and the access that is told here")
    return {"needs": words, "allowedTo": allowed and allowed[1]}


def _roles(rules: Iterable[Rule]) -> set[str]:
    return {role for rule in rules for role in rule.roles}


def _told(rules: Rules) -> dict[str, Any]:
    held = _roles(rules)
    return {"roles": [role for role in ROLES if role in held], "words": words(rules)}


def _named(policy: Policy) -> str:
    return policy.model.__name__


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
