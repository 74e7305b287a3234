"""Values of a decoded JSON document, each with its path, and text files that remember which value a line comes from."""

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from jobs.programs.plan import InputError
from jobs.programs.shieldhit.cards import quoted

ROOT = "$"
"""Path of the whole document."""

MAX_TEXT = 255

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._-]{0,95}(?<! )")

T = TypeVar("T")


class Value:
    """A value and its path, such as `beam.sigma.x`; every method raises InputError, whose `file` is the path."""

    def __init__(self, value: object, path: str = ROOT) -> None:
        self.value = value
        self.path = path

    def error(self, message: str) -> InputError:
        """An InputError that points at this value."""
        return InputError(self.path, None, message)

    def found(self) -> str:
        """The value in a few words."""
        value = self.value
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value]
        if isinstance(value, str):
            return quoted(value)
        if isinstance(value, int) and abs(value) >= 10**18:
            return "a number of more than 18 digits"
        if isinstance(value, int | float):
            return str(value)
        return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "another type"

    def _child(self, key: str) -> "Value":
        if not isinstance(self.value, dict):
            raise self.error(f"found {self.found()}; allowed is an object")
        return Value(self.value.get(key), key if self.path == ROOT else f"{self.path}.{key}")

    def member(self, key: str) -> "Value":
        """The value under a key, which must be there."""
        child = self._child(key)
        assert isinstance(self.value, dict)
        if key not in self.value:
            raise child.error("is missing")
        return child

    def option(self, key: str) -> "Value | None":
        """The value under a key, None when it is absent or null."""
        child = self._child(key)
        return None if child.value is None else child

    def members(self) -> "list[tuple[str, Value]]":
        """The keys of an object and what they have that is not null."""
        if not isinstance(self.value, dict):
            raise self.error(f"found {self.found()}; allowed is an object")
        return [(key, self._child(key)) for key, value in self.value.items() if value is not None]

    def elements(self, most: int) -> list["Value"]:
        """The values of a list of at most `most`."""
        if not isinstance(self.value, list):
            raise self.error(f"found {self.found()}; allowed is a list")
        if len(self.value) > most:
            raise self.error(f"found {len(self.value)} elements; at most {most} are allowed")
        return [Value(value, f"{self.path}[{index}]") for index, value in enumerate(self.value)]

    def real(self, low: float, high: float) -> float:
        """A finite number within [low, high]."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.error(f"found {self.found()}; allowed is a number from {low:.10g} to {high:.10g}")
        if not low <= self.value <= high:
            raise self.error(f"found {self.found()}; allowed are numbers from {low:.10g} to {high:.10g}")
        return float(self.value) + 0.0

    def integer(self, low: int, high: int) -> int:
        """A whole number within [low, high]."""
        value = self.real(low, high)
        if not value.is_integer():
            raise self.error(f"found {self.found()}; allowed are whole numbers from {low} to {high}")
        return int(value)

    def vector(self, limit: float) -> tuple[float, float, float]:
        """Three numbers within [-limit, limit]."""
        numbers = self.elements(3)
        if len(numbers) != 3:
            raise self.error(f"found {len(numbers)} elements; allowed are three numbers")
        x, y, z = (number.real(-limit, limit) for number in numbers)
        return x, y, z

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise self.error(f"found {self.found()}; allowed are true and false")
        return self.value

    def text(self) -> str:
        """One line of at most MAX_TEXT printable characters."""
        if not isinstance(self.value, str):
            raise self.error(f"found {self.found()}; allowed is text")
        if len(self.value) > MAX_TEXT or not self.value.isprintable():
            raise self.error(f"found {self.found()}; allowed is one line of at most {MAX_TEXT} printable characters")
        return self.value

    def name(self) -> str:
        """A name that may become a word of a native file once its spaces are replaced."""
        text = self.text()
        if not _NAME.fullmatch(text):
            raise self.error(
                f"found {self.found()}; allowed are up to 96 letters of a to z, digits, spaces, '.', '_' and '-', "
                "first a letter, digit or '_', last no space"
            )
        return text

    def choice(self, allowed: Mapping[str, T]) -> T:
        """What `allowed` has for this text."""
        if not isinstance(self.value, str) or self.value not in allowed:
            raise self.error(f"found {self.found()}; allowed are {', '.join(allowed)}")
        return allowed[self.value]

    def one_of(self, allowed: Iterable[str]) -> str:
        """The text itself, when it is allowed."""
        return self.choice({text: text for text in allowed})


def by_uuid(values: list[Value]) -> dict[str, int]:
    """Places in the list by the text under `uuid`."""
    places: dict[str, int] = {}
    for index, value in enumerate(values):
        uuid = value.member("uuid")
        if uuid.text() in places:
            raise uuid.error(f"found {uuid.found()}, which {values[places[uuid.text()]].path} has too")
        places[uuid.text()] = index
    return places


def place(reference: Value, places: Mapping[str, int], where: str) -> int:
    """What a reference by uuid stands for; `where` is the path of the list it must be in."""
    index = places.get(reference.text())
    if index is None:
        raise reference.error(f"found {reference.found()}; allowed is the uuid of an element of {where}")
    return index


def word(name: str) -> str:
    """A name as one word of a native file."""
    return name.replace(" ", "_")


def plain(number: float) -> str:
    """A number in at most nine significant digits, without the noise of sums of decimals."""
    return f"{number + 0.0:.9g}"


class NativeFile:
    """A text file under construction; `path` stands for what no single line is to blame for."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self._lines: list[str] = []
        self._paths: list[str] = []

    def add(self, path: str, *lines: str) -> None:
        """Append lines that come from the value at `path`."""
        self._lines.extend(lines)
        self._paths.extend([path] * len(lines))

    def text(self) -> str:
        """The whole file."""
        return "".join(f"{line}\n" for line in self._lines)

    def blame(self, error: InputError) -> InputError:
        """An error of reading this file as an error of the project."""
        path = self.path if error.line is None else self._paths[error.line - 1]
        return InputError(path, None, error.message)
