"""The text of a document, which tells the places of errors in it."""

import re
from array import array
from bisect import bisect_right
from functools import lru_cache

from graphql import Source, SourceLocation

_END = re.compile(r"\r\n|[\n\r]")


class Text(Source):
    """Looks for the ends of its lines once: an answer may hold many errors."""

    def get_location(self, position: int) -> SourceLocation:
        starts = _starts(self.body)
        line = bisect_right(starts, position)
        return SourceLocation(line, position + 1 - starts[line - 1])


@lru_cache(8)
def _starts(text: str) -> "array[int]":
    """Where each line begins."""
    return array("I", (0, *(match.end() for match in _END.finditer(text))))
