"""Read JSON and YAML files that nobody trusts, in bounds: of bytes, depth, aliases, and of what aliases stand for."""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)
from yaml.nodes import MappingNode, ScalarNode

BYTES = 1_000_000
"""The most bytes of a document."""
DEPTH = 32
"""The most levels of objects and lists."""
ALIASES = 100
"""The most aliases of a YAML document."""
DIGITS = 400
"""The most characters of a whole number of YAML, which has them to the base of 60, too."""
VALUES = 100_000
"""The most values of a document, with all that its aliases stand for."""
ENDS = (".yaml", ".yml", ".json")


class Unreadable(ValueError):
    """A file can't be read, or is not what was asked for; the message says why."""


def within(root: Path, path: Path) -> Path:
    """The real place of a path, which lies in the folder `root`. Raises Unreadable for any other."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise Unreadable("there is no such file") from None
    if not real.is_relative_to(root.resolve()):
        raise Unreadable("it leads out of the folder")
    return real


def content(root: Path, path: Path, most: int = BYTES) -> bytes:
    """The bytes of a regular file in the folder `root`."""
    try:
        opened = os.open(within(root, path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise Unreadable("this is not a file")
            data = file.read(most + 1)
    except OSError as error:
        raise Unreadable(f"it can't be read: {error.strerror}") from None
    if len(data) > most:
        raise Unreadable(f"it has more than {most:,} bytes")
    return data


def text_of(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"it is not UTF-8: byte {error.start}") from None


def document(root: Path, path: Path) -> Any:
    """What a file of JSON or YAML says, by the end of its name. The keys of YAML are texts, as they are written."""
    text = text_of(content(root, path))
    return read_json(text) if path.suffix.lower() == ".json" else read_yaml(text)


def read_json(text: str) -> Any:
    if not text.strip():
        raise Unreadable("it is empty")
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise Unreadable(_DEEP) from None
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(f"it is not JSON: {str(error)[:200]}") from None
    _check_depth(value, 0)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise Unreadable(_twice(next(key for n, key in enumerate(keys) if key in keys[:n])))
    return made


def _check_depth(value: Any, depth: int) -> None:
    if isinstance(value, dict | list):
        if depth > DEPTH:
            raise Unreadable(_DEEP)
        for one in value.values() if isinstance(value, dict) else value:
            _check_depth(one, depth + 1)


def read_yaml(text: str, *, moments: bool = True) -> Any:
    """What a text of YAML says. Without `moments`, dates and times are the texts that they are written as."""
    try:
        _check_events(yaml.parse(text, Loader=yaml.CSafeLoader))
        return yaml.load(text, Loader=_Loader if moments else _PlainLoader)  # noqa: S506 - plain values only
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}: " if mark is not None else ""
        raise Unreadable(f"it is not YAML: {place}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise Unreadable(f"it is not YAML: {str(error).splitlines()[0][:200]}") from None
    except Unreadable:
        raise
    except (ValueError, OverflowError) as error:  # such as the 45th of a month
        raise Unreadable(f"a value of it is none: {str(error)[:200]}") from None


class _Loader(yaml.CSafeLoader):
    """Makes plain values. Keys are texts as they are written, so that the language `no` is not false."""

    def construct_yaml_int(self, node: ScalarNode) -> int:
        if len(node.value) > DIGITS:
            raise ConstructorError(None, None, f"a number has at most {DIGITS} digits", node.start_mark)
        return int(super().construct_yaml_int(node))

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        made: dict[Any, Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise ConstructorError(None, None, "a key is a text", key.start_mark)
            made[key.value] = self.construct_object(value, deep=deep)
        return made


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


class _PlainLoader(_Loader):
    """Takes dates and times for texts, as JSON does."""


_PlainLoader.yaml_implicit_resolvers = {
    letter: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in _Loader.yaml_implicit_resolvers.items()
}


@dataclass
class _Part:
    """A list or an object that is being read: its values with what aliases stand for, its levels, and the keys."""

    anchor: str | None = None
    keys: set[str] | None = None
    values: int = 1
    height: int = 0
    awaits_key: bool = field(init=False)

    def __post_init__(self) -> None:
        self.awaits_key = self.keys is not None

    def take(self, event: Event, values: int, height: int) -> None:
        self.values, self.height = self.values + values, max(self.height, height + 1)
        if self.keys is not None:
            if self.awaits_key and isinstance(event, ScalarEvent) and event.value != "<<":
                if event.value in self.keys:
                    raise Unreadable(_twice(event.value))
                self.keys.add(event.value)
            self.awaits_key = not self.awaits_key
        if self.values > VALUES:
            raise Unreadable(f"it has more than {VALUES:,} values")
        if self.height > DEPTH + 1:
            raise Unreadable(_DEEP)


def _check_events(events: Iterator[Event]) -> None:
    """Refuse a document before any value of it is made: what is small as a text may be huge."""
    known: dict[str, tuple[int, int]] = {}
    open_: list[_Part] = [_Part()]
    aliases = documents = 0
    for event in events:
        documents += isinstance(event, DocumentStartEvent)
        if documents > 1:
            raise Unreadable("it has several documents")
        if isinstance(event, CollectionStartEvent):
            open_.append(_Part(event.anchor, set() if isinstance(event, MappingStartEvent) else None))
            if len(open_) > DEPTH + 2:
                raise Unreadable(_DEEP)
        elif isinstance(event, CollectionEndEvent):
            part = open_.pop()
            if part.anchor is not None:
                known[part.anchor] = part.values, part.height
            open_[-1].take(event, part.values, part.height)
        elif isinstance(event, AliasEvent):
            aliases += 1
            if aliases > ALIASES:
                raise Unreadable(f"it has more than {ALIASES} aliases")
            if event.anchor not in known:
                raise Unreadable(f"the alias *{event.anchor} stands for nothing, or for itself")
            open_[-1].take(event, *known[event.anchor])
        elif isinstance(event, ScalarEvent):
            if event.anchor is not None:
                known[event.anchor] = 1, 0
            open_[-1].take(event, 1, 0)
    if open_[0].values == 1:
        raise Unreadable("it is empty")


_DEEP = f"it is more than {DEPTH} levels deep"


def _twice(key: str) -> str:
    return f"the key {key[:100]} stands twice in one object"
