"""Names of files and estimators, as they are shown and stored."""


def printable(text: str) -> str:
    """A name as it is shown and stored: control characters and bytes that are no UTF-8 are replaced."""
    return "".join(one if one == " " or one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
