"""Numbers in the columns of SHIELD-HIT12A's files."""

WIDTH = 10


def column(value: float) -> str:
    """A number right-aligned in ten characters, as precise as fits; columns may touch."""
    for digits in range(WIDTH - 2, -1, -1):
        text = f"{round(value, digits) + 0.0:.{digits}f}"
        if len(text) <= WIDTH and digits:
            break
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}".rjust(WIDTH)
