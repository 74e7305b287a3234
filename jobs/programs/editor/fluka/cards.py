"""Cards of FLUKA's input in fixed columns, and numbers for them."""

import math

WIDTH = 10
LINE = 110
"""After so many characters a line of a body or of a region goes on in the next."""


def card(keyword: str, *what: float | str | None, sdum: str = "") -> str:
    """A card: the keyword, six columns of ten characters, and a name in the column after them."""
    columns = [_column(value) for value in (*what, *(None for _ in range(6 - len(what))))]
    return f"{keyword:<10}{''.join(columns)}{sdum}".rstrip()


def _column(value: float | str | None) -> str:
    return (("" if value is None else value) if isinstance(value, str | None) else number(value)).rjust(WIDTH)


def number(value: float, width: int = WIDTH) -> str:
    """A number as precise as fits into so many characters, always with a point."""
    value += 0.0
    written = [_short(f"{value:.{digits}f}") for digits in range(width - 2, 0, -1)]
    written += [_short(f"{value:.{digits}E}") for digits in range(width - 5, 0, -1)]
    written += [text.replace("0.", ".", 1) for text in written if text.startswith(("0.", "-0."))]
    written.append(f"{value:.0f}.")
    fitting = [text for text in written if len(text) <= width]
    return min(fitting, key=lambda text: (abs(float(text) - value), not _usual(text), len(text)))


def _usual(text: str) -> bool:
    """Whether there are digits on both sides of the point."""
    return text.lstrip("-")[0] != "." and text[-1] != "."


def _short(text: str) -> str:
    """Without zeros that say nothing."""
    mantissa, mark, exponent = text.partition("E")
    whole, _, fraction = mantissa.partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}{mark}{exponent}"


def free(value: float) -> str:
    """A number of the free format of bodies."""
    return "0.0" if math.isclose(value, 0.0, abs_tol=1e-14) else number(value, 20)


def broken(start: str, words: list[str]) -> list[str]:
    """A line of words, in several where it gets too long."""
    lines = [start]
    for word in words:
        if len(lines[-1]) + len(word) > LINE:
            lines.append(" " * 6)
        lines[-1] += f" {word}"
    return lines
