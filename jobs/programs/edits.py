"""Edits of input files that insert a task's own numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.programs import placeholders, tokens


@dataclass(frozen=True)
class Edit:
    """An edit of the lines of an input file that give the number of primaries or the seed, for programs without options
    for these.

    What `find`, a regular expression, finds in the files named like `file` becomes `put`, with {primaries}, {task} and
    {seed}, each with a width if need be: {seed:>10}. Where `find` has a group `here`, that alone is replaced.
    """

    file: str
    find: str
    put: str

    def apply(self, text: str, values: Mapping[str, object], ignored: str | None = None) -> tuple[str, int]:
        """The edited text, and the number of places, beside what `ignored` finds."""
        filled = placeholders.filled(self.put, values)
        parts, end, places = list[str](), 0, 0
        for match in tokens.matches(self.find, text, ignored):
            start, after = match.span(tokens.HERE if tokens.HERE in match.re.groupindex else 0)
            parts += [text[end:start], filled]
            end, places = after, places + 1
        return "".join([*parts, text[end:]]), places


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
