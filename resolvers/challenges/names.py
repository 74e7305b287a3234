"""Names that people give: labels, authors, teams, versions."""

from db.searching.folding import composed
from resolvers.failures import Invalid
from resolvers.mail.templates import printable


def one_line(text: str, most: int, what: str, field: str) -> str:
    """The text, composed and without blanks around it. INVALID unless it is one line of 1 to so many characters."""
    line = composed(text.strip())
    if not 1 <= len(line) <= most or not printable(line):
        raise Invalid(f"{what} is one line of 1 to {most} characters", field=field)
    return line
