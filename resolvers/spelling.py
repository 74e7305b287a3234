"""Columns, arguments and types as clients spell them."""

import re


def camel(name: str) -> str:
    """A column or an argument: `last_online_at` is lastOnlineAt."""
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


def spelled(column: str) -> str:
    """A column as a field of an input: a reference goes without its `_id`."""
    return camel(column.removesuffix("_id"))


def constant(name: str) -> str:
    """A type as a value of an enumeration: `UserGroup` is USER_GROUP."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
