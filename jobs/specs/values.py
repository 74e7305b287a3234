"""Values of schemas by their keys, each of the type that it must have."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from typing import Any

from jobs.specs.faults import Fault, below
from jobs.specs.schemas import Part, find

Faults = list[Fault]
TYPES = ("integer", "number", "string", "boolean", "object", "array")
LONGEST = 255
"""The most characters of a name of a table or a column."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*[.][A-Za-z_][A-Za-z0-9_]*")


class Reader:
    """Reads the values of one schema's parts; what is wrong is added to the faults, and reads as None."""

    def __init__(self, parts: list[Part], faults: Faults) -> None:
        self.parts, self.faults = parts, faults

    def at(self, key: str) -> str:
        """Where a value is, or would be."""
        found = find(self.parts, key)
        return self.parts[0].pointer if found is None else found.pointer

    def has(self, key: str) -> bool:
        return find(self.parts, key) is not None

    def value(self, key: str, good: Callable[[Any], bool], told: str) -> Any:
        found = find(self.parts, key)
        if found is None:
            return None
        if not good(found.given):
            self.faults.append(Fault(found.pointer, f"{key} is {told}"))
            return None
        return found.given

    def type(self) -> str | None:
        """The type; a list of them has one beside null."""
        found = find(self.parts, "type")
        if found is None:
            self.faults.append(Fault(self.parts[0].pointer, f"type is missing: one of {', '.join(TYPES)}"))
            return None
        given = found.given if isinstance(found.given, list) else [found.given]
        types = [one for one in given if one != "null"]
        if len(types) != 1 or types[0] not in TYPES:
            self.faults.append(Fault(found.pointer, f"a type is one of {', '.join(TYPES)}, or a list of it and null"))
            return None
        return str(types[0])

    def nullable(self) -> bool | None:
        """Whether null is allowed, where that is said."""
        given, types = self.flag("nullable"), find(self.parts, "type")
        if types is not None and isinstance(types.given, list):
            return given is True or "null" in types.given
        return given

    def flag(self, key: str) -> bool | None:
        return self.value(key, lambda given: isinstance(given, bool), "true or false")  # type: ignore[no-any-return]

    def text(self, key: str) -> str | None:
        return self.value(key, lambda given: isinstance(given, str), "a text")  # type: ignore[no-any-return]

    def name(self, key: str) -> str | None:
        """The name of a table, a column, or a relation."""
        told = f"a name: letters, digits and underscores, at most {LONGEST}"
        return self.value(key, is_name, told)  # type: ignore[no-any-return]

    def number(self, key: str) -> int | None:
        def good(given: Any) -> bool:
            return type(given) is int and 0 <= given < 2**31

        return self.value(key, good, "a whole number from 0")  # type: ignore[no-any-return]

    def options(self, key: str, allowed: Collection[str], paths: Collection[str] = ()) -> Mapping[str, Any]:
        """Keyword arguments of SQLAlchemy. It evaluates some that are texts: those are `paths`, such as Model.column,
        and nothing else."""
        given = self.value(key, lambda value: isinstance(value, Mapping), "an object") or {}
        for name, value in given.items():
            at = below(self.at(key), name)
            if name in paths:
                if not (isinstance(value, str) and _PATH.fullmatch(value)):
                    self.faults.append(Fault(at, f"{name} is a column of a model, such as Employee.name"))
            elif name not in allowed:
                told = ", ".join(sorted({*allowed, *paths}))
                self.faults.append(Fault(at, f"{key} has no {name} here; it has {told}"))
        return given

    def wrong(self, key: str, message: str) -> None:
        self.faults.append(Fault(self.at(key), message))


def is_name(given: Any) -> bool:
    return isinstance(given, str) and len(given) <= LONGEST and _NAME.fullmatch(given) is not None


def is_date(given: Any) -> bool:
    try:
        return isinstance(given, str) and date.fromisoformat(given) is not None
    except ValueError:
        return False


def is_moment(given: Any) -> bool:
    try:
        return isinstance(given, str) and datetime.fromisoformat(given) is not None
    except ValueError:
        return False
