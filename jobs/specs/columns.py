"""Columns, from the properties of a model that hold a value."""

import math
from typing import Any

from jobs.specs.schemas import Part
from jobs.specs.tables import Column, Kind
from jobs.specs.values import Faults, Reader, is_date, is_moment

_KINDS = {
    ("integer", None): Kind.INTEGER,
    ("integer", "int32"): Kind.INTEGER,
    ("integer", "int64"): Kind.BIG_INTEGER,
    ("number", None): Kind.FLOAT,
    ("number", "float"): Kind.FLOAT,
    ("boolean", None): Kind.BOOLEAN,
    ("string", "binary"): Kind.BINARY,
    ("string", "date"): Kind.DATE,
    ("string", "date-time"): Kind.DATE_TIME,
}
_OPTIONS = ("comment", "doc", "info", "onupdate", "quote", "sort_order")
_OF_KEYS = (
    "comment", "deferrable", "info", "initially", "link_to_name", "match", "name", "ondelete", "onupdate", "use_alter",
)  # fmt: skip
"""Keyword arguments of columns and foreign keys. What has an extension of its own is not among them."""
_DEFAULTS: dict[Kind, Any] = {
    Kind.INTEGER: lambda given: type(given) is int,
    Kind.BIG_INTEGER: lambda given: type(given) is int,
    Kind.FLOAT: lambda given: type(given) in (int, float) and math.isfinite(given),
    Kind.STRING: lambda given: isinstance(given, str),
    Kind.BINARY: lambda given: isinstance(given, str),
    Kind.DATE: is_date,
    Kind.DATE_TIME: is_moment,
    Kind.BOOLEAN: lambda given: isinstance(given, bool),
}


def column(name: str, parts: list[Part], required: bool, faults: Faults) -> Column | None:
    """The column of a property; None where its kind is not known, which is among the faults."""
    read = Reader(parts, faults)
    if read.flag("x-json"):
        return _json(name, read, required)
    kind = _kind(read)
    if kind is None:
        return None
    length = read.number("maxLength")
    if length is not None and kind not in (Kind.STRING, Kind.BINARY):
        read.wrong("maxLength", "only texts and bytes have a maxLength")
    autoincrement = read.flag("x-autoincrement")
    if autoincrement is not None and kind not in (Kind.INTEGER, Kind.BIG_INTEGER):
        read.wrong("x-autoincrement", "only whole numbers have x-autoincrement")
    default = read.value("default", _DEFAULTS[kind], f"a value of the column: {kind.value}")
    server_default = read.text("x-server-default")
    defaulted = default is not None or server_default is not None
    return Column(
        name=name,
        kind=kind,
        length=length,
        nullable=nullable(read.nullable(), required, defaulted or autoincrement is True),
        autoincrement=autoincrement,
        default=default,
        server_default=server_default,
        read_only=bool(read.flag("readOnly")),
        **_common(read, required),
    )


def _json(name: str, read: Reader, required: bool) -> Column:
    for key in ("x-autoincrement", "x-server-default"):
        if read.has(key):
            read.wrong(key, f"a column of JSON has no {key}")
    given = read.nullable()
    common = _common(read, required)
    return Column(name=name, kind=Kind.JSON, nullable=nullable(given, required, False), **common)


def _common(read: Reader, required: bool) -> dict[str, Any]:
    foreign_key = read.value("x-foreign-key", _is_foreign_key, "table.column")
    if foreign_key is None and read.has("x-foreign-key-kwargs"):
        read.wrong("x-foreign-key-kwargs", "x-foreign-key-kwargs goes with x-foreign-key")
    return {
        "primary_key": bool(read.flag("x-primary-key")),
        "index": read.flag("x-index"),
        "unique": read.flag("x-unique"),
        "foreign_key": foreign_key,
        "foreign_key_options": read.options("x-foreign-key-kwargs", _OF_KEYS),
        "options": read.options("x-kwargs", _OPTIONS),
        "description": read.text("description"),
        "required": required,
        "allows_null": read.nullable(),
        "write_only": bool(read.flag("writeOnly")),
    }


def _kind(read: Reader) -> Kind | None:
    type_, format_ = read.type(), read.text("format")
    if type_ is None:
        return None
    if type_ == "string":
        return _KINDS.get((type_, format_), Kind.STRING)
    kind = _KINDS.get((type_, format_))
    if kind is None:
        allowed = ", ".join(f"{one} {two}" if two else one for one, two in _KINDS if one == type_)
        read.wrong("format", f"the format {format_} is none of {type_}: {allowed}")
    return kind


def _is_foreign_key(given: Any) -> bool:
    table, dot, name = given.rpartition(".") if isinstance(given, str) else ("", "", "")
    return bool(table and dot and name)


def nullable(given: bool | None, required: bool, generated: bool) -> bool:
    """Whether a column may be null: as it is `given`, else unless it is required or has a value by itself."""
    return not (required or generated) if given is None else given
