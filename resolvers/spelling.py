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
