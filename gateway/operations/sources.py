"""The source text of a document, which finds the line and column of its errors."""

from functools import lru_cache

from graphql import Source, SourceLocation


class Text(Source):
    """The text of a document, which computes each place once: an answer may hold many errors of one field."""

    def get_location(self, position: int) -> SourceLocation:
        return _place(self.body, position)


@lru_cache(256)
def _place(text: str, position: int) -> SourceLocation:
    ends = text.count("\n", 0, position) + text.count("\r", 0, position) - text.count("\r\n", 0, position)
    begins = max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1
    return SourceLocation(ends + 1, position + 1 - begins)
