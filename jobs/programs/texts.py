"""Texts of input files, however they were written."""


def unified(text: str) -> str:
    """A text without a mark of its byte order, and with a line feed at the end of each line."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


LEFT_OUT = "warnings.json"
"""An input file of sentences on what the others lack of the project that they were made from. They become warnings of
the job."""
