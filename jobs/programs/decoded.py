"""Checks of decoded JSON; each raises ValueError that begins with the name of the value."""

from collections.abc import Mapping


def texts(value: object, name: str) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name}: it must be a list of texts")
    return tuple(value)


def text_by_text(value: object, name: str) -> dict[str, str]:
    """An object of text to text."""
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for pair in value.items() for item in pair):
        raise ValueError(f"{name}: it must be an object of file name to regular expression")
    return dict(value)
