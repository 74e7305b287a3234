"""Python as text: literals, calls and docstrings, formatted as ruff formats them.

Whatever a specification says is inert in them: it stands in literals alone.
"""

from collections.abc import Iterable, Sequence
from typing import Any

WIDTH = 120


def literal(value: Any) -> str:
    """A JSON value as Python writes it."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text(str(key))}: {literal(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    return repr(value)


def text(value: str) -> str:
    """A text in the quotes that need fewer escapes."""
    quote = "'" if value.count('"') > value.count("'") else '"'
    body = "".join(_escaped(letter, quote) for letter in value)
    return f"{quote}{body}{quote}"


def _escaped(letter: str, quote: str) -> str:
    if letter in (quote, "\\"):
        return "\\" + letter
    return letter if letter.isprintable() else repr(letter)[1:-1]


def docstring(value: str, indent: str = "    ") -> list[str]:
    """The lines of a docstring."""
    lines = [" ".join(line.split()) for line in value.strip().splitlines()] or [""]
    shown = ["".join(_escaped(letter, '"') for letter in line) for line in lines]
    while shown and not shown[0]:
        shown.pop(0)
    if len(shown) < 2:
        return [f'{indent}"""{"".join(shown) or "A model."}"""']
    return [f'{indent}"""{shown[0]}', *(f"{indent}{line}" if line else "" for line in shown[1:]), f'{indent}"""']


def call(name: str, arguments: Sequence[str], start: str = "", end: str = "") -> list[str]:
    """The lines of a call: on one line where that fits, else an argument a line."""
    whole = f"{start}{name}({', '.join(arguments)}){end}"
    if len(whole) <= WIDTH or not arguments:
        return [whole]
    indent = start[: len(start) - len(start.lstrip())]
    return [f"{start}{name}(", *(f"{indent}    {one}," for one in arguments), f"{indent}){end}"]


def tuple_(start: str, items: Sequence[str]) -> list[str]:
    """The lines of a tuple: on one line where that fits."""
    whole = f"{start}({', '.join(items)}{',' if len(items) == 1 else ''})"
    if len(whole) <= WIDTH:
        return [whole]
    indent = start[: len(start) - len(start.lstrip())]
    return [f"{start}(", *(f"{indent}    {one}," for one in items), f"{indent})"]


def keywords(given: Iterable[tuple[str, Any]]) -> list[str]:
    """Keyword arguments of literals."""
    return [f"{name}={literal(value)}" for name, value in given]
