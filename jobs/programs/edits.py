"""Edits of input files that insert a task's own numbers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jobs.programs import placeholders


@dataclass(frozen=True)
class Edit:
    """An edit of the lines of an input file that give the number of primaries or the seed, for programs without options
    for these.

    What `find`, a regular expression, finds in the files named like `file` becomes `put`, with {primaries}, {task} and
    {seed}, each with a width if need be: {seed:>10}.
    """

    file: str
    find: str
    put: str

    def apply(self, text: str, values: Mapping[str, object]) -> tuple[str, int]:
        """The edited text, and the number of places."""
        filled = placeholders.filled(self.put, values)
        return re.subn(self.find, lambda _: filled, text, flags=re.MULTILINE)


def read_edits(value: object) -> tuple[Edit, ...]:
    """Read edits from decoded JSON; raises ValueError that begins with the wrong field."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("edits: it must be a list of objects")
    edits = []
    for index, item in enumerate(value):
        if not isinstance(item, Mapping) or set(item) != {"file", "find", "put"}:
            raise ValueError(f"edits[{index}]: it must be an object with file, find and put")
        for key, text in item.items():
            if not isinstance(text, str):
                raise ValueError(f"edits[{index}].{key}: it must be a text")
        edits.append(Edit(**item))
    return tuple(edits)
