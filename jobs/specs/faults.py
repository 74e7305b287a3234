"""What is wrong in a specification, and where."""

from collections.abc import Sequence
from typing import NamedTuple

MOST = 100
"""The most faults that are told of one specification."""


class Fault(NamedTuple):
    """A JSON pointer (RFC 6901) into the specification, and what is wrong there."""

    pointer: str
    message: str


class Faulty(ValueError):
    """A specification has faults."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults[0].message)
        self.faults = sorted(set(faults))[:MOST]


def below(pointer: str, *names: object) -> str:
    """The pointer to something below another one."""
    return "/".join([pointer, *(str(name).replace("~", "~0").replace("/", "~1") for name in names)])
