"""Bound the size of variables, counted before they are read: reading takes some microseconds for each element."""

from collections.abc import Mapping
from typing import Any

from graphql import GraphQLInputType, get_nullable_type, is_input_object_type, is_list_type

from resolvers.failures import LimitExceeded

ELEMENTS = 2_000
"""The most elements of all lists of one operation, and of input names that no field has."""
CHARACTERS = 65_536
"""The most characters of one text."""
DEPTH = 40
"""The most objects and lists within one another."""
OWN = ("JSON", "SpecSource")
"""The scalars whose values are bounded on their own."""


def check_size(types: Mapping[str, GraphQLInputType], given: Mapping[str, Any], *, texts: bool = True) -> None:
    """Raise LIMIT_EXCEEDED for variables that hold too much; with `texts` false, texts may have any length."""
    left = ELEMENTS
    for name, kind in types.items():
        if type(value := given.get(name)) in (str, list, dict):
            left = _Walk(name, left, texts).past(value, kind, 1)


class _Walk:
    def __init__(self, name: str, left: int, texts: bool) -> None:
        self._name = name
        self._left = left
        self._texts = texts

    def past(self, value: Any, kind: Any, depth: int) -> int:
        """Walk a value of this type, so deep; returns how many elements are left."""
        if depth > DEPTH:
            raise self._refusal("levels", depth, DEPTH)
        kind = get_nullable_type(kind)
        while is_list_type(kind) and type(value) is not list:
            kind = get_nullable_type(kind.of_type)
        if type(value) is list and is_list_type(kind):
            self._spend(len(value))
            for one in value:
                if type(one) in (str, list, dict):
                    self.past(one, kind.of_type, depth + 1)
        elif type(value) is dict and is_input_object_type(kind):
            self._spend(max(0, len(value) - len(kind.fields)))
            for name, one in value.items():
                if type(one) in (str, list, dict) and name in kind.fields:
                    self.past(one, kind.fields[name].type, depth + 1)
        elif type(value) is str and self._texts and len(value) > CHARACTERS and kind.name not in OWN:
            raise self._refusal("characters", len(value), CHARACTERS)
        return self._left

    def _spend(self, number: int) -> None:
        self._left -= number
        if self._left < 0:
            raise self._refusal("elements", ELEMENTS - self._left, ELEMENTS)

    def _refusal(self, limit: str, value: int, allowed: int) -> LimitExceeded:
        what = {"characters": "of a text", "levels": "within one another"}.get(limit, "with those before it")
        return LimitExceeded(
            f"the variable ${self._name} has {value} {limit} {what}; at most {allowed} are taken",
            limit=limit, allowed=allowed, value=value, variable=self._name,
        )  # fmt: skip
