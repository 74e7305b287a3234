"""The names of columns, arguments and types in the API's spelling."""

import re


def camel(name: str) -> str:
    """The name of a column or an argument in the API: `last_online_at` is lastOnlineAt."""
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


def spelled(column: str) -> str:
    """The name of a column as a field of an input: a reference loses its `_id`."""
    return camel(column.removesuffix("_id"))


def constant(name: str) -> str:
    """The name of a type as a value of an enumeration: `UserGroup` is USER_GROUP."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def snake(name: str) -> str:
    """The attribute of a field: lastOnlineAt is `last_online_at`."""
    return constant(name).lower()


def between_commas(text: str) -> list[str]:
    """The parts of a text that commas separate, without spaces around them; empty ones are left out."""
    return [part for part in map(str.strip, text.split(",")) if part]


def plural(name: str) -> str:
    """The name of a type for many of its rows, in the spelling of Python: `LogEntry` is log_entries."""
    one = snake(name)
    return f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
