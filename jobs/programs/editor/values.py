"""Values of a decoded JSON document, each with its path, and text files that remember which value a line comes from."""

import re
import unicodedata
from collections.abc import Callable, Container, Iterable, Mapping
from typing import TypeVar

from jobs.programs.plan import InputError
from jobs.programs.shieldhit.cards import quoted
from jobs.programs.texts import unified

ROOT = "$"
"""Path of the whole document."""

AMBIGUOUS = -1
"""The place of what has its uuid together with others."""

MAX_TEXT = 255
MAX_NAME = 100
MAX_LENGTH = 1e5
MIN_LENGTH = 1e-6

_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_NO_WORD = re.compile(r"[^A-Za-z0-9_.-]")

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
        return Value(self.value.get(key), self.below(key))

    def below(self, key: str) -> str:
        """The path of a member."""
        return key if self.path == ROOT else f"{self.path}.{key}"

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
        """A name: one line of 1 to MAX_NAME printable characters."""
        text = self.text()
        if not text.strip() or len(text) > MAX_NAME:
            raise self.error(f"found {self.found()}; allowed is one line of 1 to {MAX_NAME} printable characters")
        return text

    def content(self) -> str:
        """The text of a file, with plain line ends and no mark of its byte order."""
        if not isinstance(self.value, str):
            raise self.error(f"found {self.found()}; allowed is the text of a file")
        text = unified(self.value)
        if _NO_TEXT.search(text):
            raise self.error("found characters that no text file has")
        return text if not text or text.endswith("\n") else f"{text}\n"

    def file_name(self, taken: Iterable[str]) -> str:
        """The name of a file, other than those `taken`, in whatever case."""
        text = self.text()
        if not _FILE.fullmatch(text):
            raise self.error(f"found {self.found()}; allowed are letters of a to z, digits, '.', '_' and '-'")
        if text.lower() in {name.lower() for name in taken}:
            raise self.error(f"found {self.found()}; another file has this name already")
        return text

    def choice(self, allowed: Mapping[str, T]) -> T:
        """What `allowed` has for this text."""
        if not isinstance(self.value, str) or self.value not in allowed:
            raise self.error(f"found {self.found()}; allowed are {', '.join(allowed)}")
        return allowed[self.value]

    def one_of(self, allowed: Iterable[str]) -> str:
        """The text itself, when it is allowed."""
        return self.choice({text: text for text in allowed})


def sifted(
    values: Iterable["Value"], used: Container[str], read: Callable[["Value", bool], T]
) -> tuple[list[T], dict[str, int]]:
    """What is made of the elements of a list, and the place of each by its uuid.

    An element that nothing uses, and that is wrong, is left out: it stands in nobody's way. `read` is told whether its
    element is used.
    """
    made: list[T] = []
    places: dict[str, int] = {}
    for value in values:
        uuid = _uuid(value)
        needed = uuid is not None and uuid in used
        try:
            one = read(value, needed)
        except InputError:
            if needed:
                raise
            continue
        if uuid is not None:
            places[uuid] = AMBIGUOUS if uuid in places else len(made)
        made.append(one)
    return made, places


def by_uuid(uuids: Iterable[str]) -> dict[str, int]:
    """The place of each uuid in a list."""
    places: dict[str, int] = {}
    for index, uuid in enumerate(uuids):
        places[uuid] = AMBIGUOUS if uuid in places else index
    return places


def _uuid(value: "Value") -> str | None:
    uuid = value.value.get("uuid") if isinstance(value.value, dict) else None
    return uuid if isinstance(uuid, str) else None


def place(reference: Value, places: Mapping[str, int], where: str) -> int:
    """What a reference by uuid stands for; `where` is the path of the list it must be in, once."""
    uuid = reference.text()
    index = places.get(uuid) if uuid else None
    if index == AMBIGUOUS:
        raise reference.error(f"found {reference.found()}, which several elements of {where} have; allowed is one")
    if index is None:
        raise reference.error(f"found {reference.found()}; allowed is the uuid of an element of {where}")
    return index


def words(names: Iterable[str]) -> list[str]:
    """Names as words of a native file, of letters of a to z, digits, '.', '_' and '-', no two alike."""
    found: dict[str, str] = {}
    last: dict[str, int] = {}
    for name in names:
        letters = unicodedata.normalize("NFKD", name.replace("ł", "l").replace("Ł", "L"))
        plain = _NO_WORD.sub("_", "".join(letter for letter in letters if not unicodedata.combining(letter)))
        word = f"_{plain}" if plain[:1] in ("", ".", "-") else plain
        word = word[:60]
        number = last.get(word.lower(), 1)
        while (numbered := word if number == 1 else f"{word}_{number}").lower() in found:
            number += 1
        last[word.lower()] = number
        found[numbered.lower()] = numbered
    return list(found.values())


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

    def blamed(self, line: int | None) -> str:
        """The path of the value that a line, counted from 1, comes from."""
        return self._paths[line - 1] if line is not None and line <= len(self._paths) else self.path
