"""Read the source of a specification: its text, what OpenAPI says of it, and the tables that it describes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from packaging.version import Version

from db.models import SpecLanguage
from jobs.specs.compiling import compiled
from jobs.specs.faults import MOST, Fault, Faulty, below
from jobs.specs.openapi import completed, openapi_faults
from jobs.specs.tables import Tables
from resolvers.documents import BYTES, Unreadable, read_json, read_yaml
from resolvers.failures import Invalid, check_limit
from resolvers.specs.names import version as normal

SOURCE = "source"
"""The argument that has the source."""
_DESCRIPTION = 10_000
_LEAST, _MOST = -(2**63), 2**63 - 1


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
    tables = _compiled(said, openapi_faults(completed(said, name)))
    info = said.get("info", {})
    title, description = (info.get(key) for key in ("title", "description"))
    if isinstance(description, str) and len(description) > _DESCRIPTION:
        raise _invalid([Fault("/info/description", f"a description has at most {_DESCRIPTION:,} characters")])
    if isinstance(title, str) and len(title) > 255:
        raise _invalid([Fault("/info/title", "a title has at most 255 characters")])
    return Specification(tables, _version(info.get("version"), version), title, description)


def _compiled(said: Mapping[str, Any], faults: list[Fault]) -> Tables:
    """The tables; INVALID with these faults, and with those that are found here at other places."""
    try:
        tables = compiled(said)
    except Faulty as faulty:
        known = {fault.pointer for fault in faults}
        raise _invalid([*faults, *(fault for fault in faulty.faults if fault.pointer not in known)][:MOST]) from None
    except RecursionError:
        raise _invalid([Fault("", "its schemas refer to each other in a line that is too long")]) from None
    except Exception:
        if not faults:  # else it is no document of OpenAPI, and may be anything
            raise
    if faults:
        raise _invalid(faults)
    return tables


def tables_of(source: str, language: SpecLanguage) -> Tables:
    """The tables of a source that is stored; INVALID for one that was stored before sources were read."""
    return _compiled(document(source, language), [])


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
    if faults := list(islice(_odd(found, ""), MOST)):
        raise _invalid(faults)
    return found


def _odd(value: Any, pointer: str) -> Iterator[Fault]:
    """The values that can't be stored or sent as JSON, each with its place."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _odd_text(key, pointer)
            yield from _odd(one, below(pointer, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _odd(one, below(pointer, number))
    elif isinstance(value, str):
        yield from _odd_text(value, pointer)
    elif isinstance(value, int) and not isinstance(value, bool):
        if not _LEAST <= value <= _MOST:
            yield Fault(pointer, "a whole number has at most 64 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield Fault(pointer, "JSON has no numbers without end")
    elif value is not None and not isinstance(value, bool):
        yield Fault(pointer, "JSON has no such value, of bytes or of a set")


def _odd_text(text: str, pointer: str) -> Iterator[Fault]:
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        yield Fault(pointer.encode("utf-8", "replace").decode(), "a text has no null characters and no lone surrogates")


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
