"""Scalars, each with one text on every path, global ids, and enumerations with descriptions for clients."""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, NewType, TypeVar
from uuid import UUID

import strawberry
from strawberry.types.scalar import ScalarDefinition

from db.types import instant_text
from resolvers.failures import Invalid
from resolvers.spelling import global_id
from schema.fields.values import read_literal

RENAMED: Mapping[str, str] = {"SimulationInput": "SimulationSetup"}
"""Types that were renamed, whose old ids clients may still hold: the old name, and the new one."""

BigInt = NewType("BigInt", int)
JSON = NewType("JSON", object)
Bins = NewType("Bins", str)
SpecSource = NewType("SpecSource", str)

_BIGGEST = 2**63


def _parse_instant(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("a DateTime is a string such as 2026-11-21T09:30:00.000000Z")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("a DateTime is a string such as 2026-11-21T09:30:00.000000Z") from None
    if moment.tzinfo is None:
        raise ValueError("a DateTime has a time with its zone, such as 2026-11-21T09:30:00Z")
    return moment.astimezone(UTC)


def _parse_date(value: Any) -> date:
    if not isinstance(value, str):
        raise ValueError("a Date is a string such as 2026-11-21")
    day = date.fromisoformat(value)
    if day.isoformat() != value:
        raise ValueError("a Date is written as YYYY-MM-DD")
    return day


def _parse_big(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("a BigInt is an integer, or a string of one")
    number = int(value)
    if not -_BIGGEST <= number < _BIGGEST:
        raise ValueError("a BigInt has 64 bits")
    return number


def _parse_bins(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        return str(value)
    if not isinstance(value, str):
        raise ValueError("Bins are a number from 0, or a text such as 0-9,12")
    return value


def _parse_source(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a SpecSource is a text")
    return value


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment in UTC, always as `YYYY-MM-DDTHH:MM:SS.ffffffZ`. Input may have any offset.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=instant_text,
        parse_value=_parse_instant,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="An integer of 64 bits, sent as a string because JSON numbers lose digits beyond 2^53.",
        # The mapping of 64-bit integers to JSON that is written down there is this one.
        specified_by_url="https://protobuf.dev/programming-guides/json/",
        serialize=str,
        parse_value=_parse_big,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A day of the calendar without a time zone: `YYYY-MM-DD`.",
        specified_by_url="https://scalars.graphql.org/andimarek/local-date",
        serialize=date.isoformat,
        parse_value=_parse_date,
    ),
    Bins: strawberry.scalar(
        name="Bins",
        description="Bins of an axis: a number from 0, or numbers and ranges as a text, such as `0-9,12`.",
        serialize=str,
        parse_value=_parse_bins,
    ),
    SpecSource: strawberry.scalar(
        name="SpecSource",
        description="The text of an OpenAPI specification, 3.0 or 3.1, in JSON or YAML: at most 1,000,000 bytes.",
        specified_by_url="https://spec.openapis.org/oas/v3.1.0",
        serialize=str,
        parse_value=_parse_source,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description=(
            "A JSON value: numbers are finite, integers within ±(2^53 - 1), at most 32 levels deep, no text holds NUL. "
            "Each input tells its shape and how long it may be."
        ),
        specified_by_url="https://ecma-international.org/publications-and-standards/standards/ecma-404/",
        serialize=lambda value: value,
        parse_value=lambda value: value,
        parse_literal=read_literal,
    ),
}


def parse_id(value: str, field: str = "id") -> tuple[str, UUID]:
    """The type's name and the key in a global id. Each id has one spelling; anything else is INVALID."""
    try:
        typename, _, key = base64.b64decode(value, validate=True).decode().partition(":")
        found = (typename, UUID(key))
        if global_id(*found) == value:
            return RENAMED.get(typename, typename), found[1]
    except (ValueError, binascii.Error):
        pass
    raise Invalid("this is not an id of this gateway", field=field)


def key_of(typename: str, value: str, field: str = "id") -> UUID:
    """The key in an id that must name a `typename`."""
    found, key = parse_id(value, field)
    if found != typename:
        raise Invalid(f"this is the id of a {found}, not of a {typename}", field=field)
    return key


def optional_key(typename: str, value: str | None, field: str) -> UUID | None:
    return None if value is None else key_of(typename, value, field)


E = TypeVar("E", bound=type[Enum])


def member_name(given: Any) -> str:
    """The name of a member of an enumeration, which may be given by its name."""
    return str(getattr(given, "name", given))


def enum(members: E, description: str, *, name: str | None = None, **values: str) -> E:
    """Publish an enumeration of a lower room, with descriptions of it and of each value."""
    published = strawberry.enum(members, name=name, description=description)
    definition = published.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]
    return published
