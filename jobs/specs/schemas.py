"""The schemas of a specification: references are followed, and what `allOf` lists is one schema."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from jobs.specs.faults import Fault, below

AT = "/components/schemas"
_REFERENCE = "#/components/schemas/"
PARTS, STEPS, LOOKS = 500, 50, 1_000_000
"""The most objects that make up one schema, the most references that lead from one to the next, and how often the
objects of all schemas are looked at."""
PREFIXES = ("x-", "x-open-alchemy-")
"""How the names of extensions may begin."""


class Part(NamedTuple):
    """One of the objects that make up a schema, and where it is."""

    given: Any
    pointer: str


class Wrong(Exception):
    """A part of a schema can't be understood."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(pointer, message)


class Schemas:
    """The schemas by name. Functions that read a value take the parts of a schema. The first that has the value counts:
    what is written at the place itself comes before what it refers to."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self._models: dict[str, bool] = {}
        self._looks = 0

    def parts(self, part: Part, skip: str | None = None) -> list[Part]:
        """The objects that make up a schema, those at the place itself first; without what it refers to as `skip`.
        Raises Wrong."""
        found = list(islice(self._parts(part.given, part.pointer, skip, ()), PARTS + 1))
        if len(found) > PARTS:
            raise Wrong(part.pointer, f"a schema is made of at most {PARTS} others")
        return found

    def local(self, part: Part) -> list[Part]:
        """The same, of what is written at the place itself."""
        return [one for one in self.parts(part) if one.pointer.startswith(part.pointer)]

    def named(self, name: str) -> Part:
        """The schema of a name, as it is written."""
        return Part(self.given[name], below(AT, name))

    def _parts(self, schema: Any, pointer: str, skip: str | None, seen: tuple[str, ...]) -> Iterator[Part]:
        if not isinstance(schema, Mapping):
            raise Wrong(pointer, "a schema is an object")
        self._looks += 1
        if self._looks > LOOKS:
            raise Wrong(AT, "the schemas are made of too many others, all together")
        if "$ref" in schema:
            name = self.reference(Part(schema, pointer))
            if name == skip:
                return
            if name in seen:
                raise Wrong(below(pointer, "$ref"), f"{name} refers to itself, by {' and '.join(seen[:9])}")
            if len(seen) == STEPS:
                raise Wrong(below(pointer, "$ref"), f"at most {STEPS} references lead from one schema to the next")
            yield from self._parts(self.given[name], below(AT, name), skip, (*seen, name))
            return
        yield Part(schema, pointer)
        if "allOf" in schema:
            for n, inner in self._listed(Part(schema, pointer)):
                yield from self._parts(inner, below(pointer, "allOf", n), skip, seen)

    @staticmethod
    def _listed(part: Part) -> list[tuple[int, Any]]:
        """What an `allOf` lists, references last."""
        listed = part.given["allOf"]
        if not isinstance(listed, list) or not listed:
            raise Wrong(below(part.pointer, "allOf"), "allOf is a list of schemas")
        return sorted(enumerate(listed), key=lambda one: isinstance(one[1], Mapping) and "$ref" in one[1])

    def reference(self, part: Part) -> str:
        """The name of the schema that a part refers to."""
        at, to = below(part.pointer, "$ref"), part.given["$ref"]
        if not isinstance(to, str):
            raise Wrong(at, "a reference is a text")
        if not to.startswith(_REFERENCE):
            raise Wrong(at, f"a schema refers to {_REFERENCE}… and to nothing else, so that nothing is fetched")
        name = to.removeprefix(_REFERENCE).replace("~1", "/").replace("~0", "~")
        if name not in self.given:
            raise Wrong(at, f"there is no schema {name}")
        return name

    def refers_to(self, part: Part) -> str | None:
        """The name of the first schema that a part, or one that it lists, refers to. Raises Wrong."""
        if not isinstance(part.given, Mapping):
            raise Wrong(part.pointer, "a schema is an object")
        if "$ref" in part.given:
            return self.reference(part)
        if "allOf" in part.given:
            for n, inner in self._listed(part):
                if (name := self.refers_to(Part(inner, below(part.pointer, "allOf", n)))) is not None:
                    return name
        return None

    def is_model(self, name: str) -> bool:
        """Whether a schema is a model: no mere reference, and with a table or a model that it extends."""
        if name not in self._models:
            self._models[name] = self._is_model(name)
        return self._models[name]

    def _is_model(self, name: str) -> bool:
        part = self.named(name)
        while isinstance(part.given, Mapping) and len(part.given.get("allOf") or ()) == 1:
            part = Part(part.given["allOf"][0], below(part.pointer, "allOf", 0))
        if not isinstance(part.given, Mapping) or "$ref" in part.given:
            return False
        try:
            parts = self.parts(part)
        except Wrong:
            return "tablename" in repr(part.given)  # it is told with the model's other faults
        return find(parts, "x-tablename") is not None or inherits(parts) is not None

    def models(self) -> list[str]:
        return [name for name in self.given if self.is_model(name)]

    def ancestors(self, part: Part) -> Iterator[str]:
        """The models that a schema refers to, each before those that it extends itself. Raises Wrong."""
        self.parts(part)  # raises where references lead nowhere, in a circle, or too far
        yield from dict.fromkeys(self._ancestors(part))

    def _ancestors(self, part: Part) -> Iterator[str]:
        if not isinstance(part.given, Mapping):
            return
        if "$ref" in part.given:
            name = self.reference(part)
            if self.is_model(name):
                yield name
            yield from self._ancestors(self.named(name))
        elif "allOf" in part.given:
            for n, inner in self._listed(part):
                yield from self._ancestors(Part(inner, below(part.pointer, "allOf", n)))


def find(parts: list[Part], key: str) -> Part | None:
    """The first part that has a value, as a part of its own; None for none. Extensions have two prefixes."""
    keys = [prefix + key.removeprefix("x-") for prefix in PREFIXES] if key.startswith("x-") else [key]
    for part in parts:
        for name in keys:
            if name in part.given:
                return Part(part.given[name], below(part.pointer, name))
    return None


def inherits(parts: list[Part]) -> Part | None:
    """The value of `x-inherits` unless it is false."""
    found = find(parts, "x-inherits")
    return None if found is None or found.given is False else found
