"""The names of columns, arguments, types and rows in the API's spelling, and names of files."""

import base64
import re
import unicodedata
from uuid import UUID

NAME = 100
"""The most characters of a file name that we give."""


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


def global_id(typename: str, key: UUID) -> str:
    """The id of a node, the same everywhere: base64 of `Type:uuid`."""
    return base64.b64encode(f"{typename}:{key}".encode()).decode()


JOINERS = "\u200c\u200d"
"""Of scripts that join letters, as Persian's does, and of emoji."""


def invisible(text: str) -> bool:
    """Whether a text has letters that show nothing, or that turn the direction of others."""
    return visible(text) != text


def visible(text: str) -> str:
    """The text without such letters; what joins others stays."""
    return "".join(
        letter
        for letter in text
        if letter in JOINERS or unicodedata.category(letter) not in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
    )


def safe(name: str, otherwise: str = "file") -> str:
    """A file name that is valid on every system: no path, no invisible characters, not hidden."""
    shown = "".join("_" if unicodedata.category(c)[0] in "CZ" and c != " " else c for c in name)
    made = re.sub(r'[/\\:*?"<>|]', "_", shown)[:NAME].strip(" .") or otherwise
    return f"_{made}" if _DEVICE.fullmatch(made) else made


_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?")
"""Names that stand for devices on Windows, whatever follows a dot."""


def apart(name: str, taken: set[str]) -> str:
    """A file name that differs from those before it, also when case is ignored."""
    stem, dot, end = name.rpartition(".")
    made, n = name, 1
    while made.casefold() in taken:
        n += 1
        made = f"{stem}-{n}.{end}" if dot and stem else f"{name}-{n}"
    taken.add(made.casefold())
    return made
