"""What a conversion may cost."""

MAX_STEPS = 4_000_000


class TooMuchWork(Exception):
    """A conversion would take longer than it may."""


class Work:
    """The steps that one conversion may still take, of some 100 ns each. They are taken before the work is done."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self._left = steps

    def take(self, steps: int) -> None:
        """Count some steps; raises TooMuchWork, and counts nothing, when so many are not left."""
        if steps > self._left:
            raise TooMuchWork
        self._left -= steps
