"""Read the source of a specification: its text, what OpenAPI says of it, and the tables that it describes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.version import Version

from db.models import SpecLanguage
from jobs.specs.compiling import compiled
from jobs.specs.faults import Fault, Faulty
from jobs.specs.openapi import completed, openapi_faults
from jobs.specs.tables import Tables
from resolvers.documents import BYTES, Unreadable, read_json, read_yaml
from resolvers.failures import Invalid, check_limit
from resolvers.specs.names import version as normal

SOURCE = "source"
"""The argument that has the source."""
_DESCRIPTION = 10_000


@dataclass(frozen=True, slots=True)
class Specification:
    """What a source says. `version` is in its normal form."""

    tables: Tables
    version: str
    title: str | None
    description: str | None


def read(name: str, source: str, language: SpecLanguage, version: str | None) -> Specification:
    """Read a source; takes long for a large one. `version` is the one that was given beside it. LIMIT_EXCEEDED for a
    source that is too long; INVALID for one with faults, all of which are in the details."""
    size = len(source.encode("utf-8", "surrogatepass"))
    told = f"a specification has at most {BYTES:,} bytes, not {size:,}"
    check_limit(told, size, BYTES, limit="bytes", field=SOURCE)
    said = document(source, language)
    faults = openapi_faults(completed(said, name))
    if faults:
        raise _invalid(faults)
    try:
        tables = compiled(said)
    except Faulty as faulty:
        raise _invalid(faulty.faults) from None
    info = said.get("info", {})
    title, description = (info.get(key) for key in ("title", "description"))
    if isinstance(description, str) and len(description) > _DESCRIPTION:
        raise _invalid([Fault("/info/description", f"a description has at most {_DESCRIPTION:,} characters")])
    if isinstance(title, str) and len(title) > 255:
        raise _invalid([Fault("/info/title", "a title has at most 255 characters")])
    return Specification(tables, _version(info.get("version"), version), title, description)


def tables_of(source: str, language: SpecLanguage) -> Tables:
    """The tables of a source that was read before."""
    return compiled(document(source, language))


def document(source: str, language: SpecLanguage) -> Mapping[str, Any]:
    """What the text of a source says, as JSON does; INVALID for a text that says nothing such."""
    if "\0" in source:
        raise Invalid("a specification has no null characters", field=SOURCE)
    try:
        found = read_json(source) if language is SpecLanguage.JSON else read_yaml(source, moments=False)
    except Unreadable as unreadable:
        raise Invalid(f"the source is no {language.name}: {unreadable}", field=SOURCE) from None
    if not isinstance(found, Mapping):
        raise _invalid([Fault("", "a specification is an object")])
    if not _is_json(found):
        raise Invalid(
            "the source has values that JSON does not have, such as bytes, sets, or numbers without end", field=SOURCE
        )
    return found


def _is_json(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | bool | int)


def _version(said: Any, given: str | None) -> str:
    """The version, from beside the source or from the content; INVALID where both are and differ, or neither is."""
    inside = normal(said, SOURCE) if isinstance(said, str) else None
    if given is None:
        if inside is None:
            raise Invalid("give a version, here or as info.version of the specification", field="version")
        return inside
    outside = normal(given)
    if inside is not None and Version(inside) != Version(outside):
        told = f"the version is {outside} here and {inside} in the specification (/info/version); make them one"
        raise Invalid(told, field="version")
    return outside


def _invalid(faults: list[Fault]) -> Invalid:
    """The first fault as a sentence, and all with their places for programs."""
    first, (more, told) = faults[0], listed(faults)
    return Invalid(f"{first.pointer or '/'}: {first.message}{more}", field=SOURCE, faults=told)


def listed(faults: Sequence[Fault]) -> tuple[str, list[dict[str, str]]]:
    """How many faults there are beside the first, in words; and all with their places for programs."""
    more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
    return more, [{"pointer": fault.pointer, "message": fault.message} for fault in faults]
