"""What a target can't score: left out of its output, and named."""

from collections.abc import Callable
from typing import TypeVar

from jobs.programs.editor.model import Output, Quantity
from jobs.programs.plan import InputError

T = TypeVar("T")


class Omissions:
    """The quantities that were left out; `warnings` has a sentence for each."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def expressible(self, output: Output, express: Callable[[Quantity], T]) -> list[tuple[Quantity, T]]:
        """The quantities of an output that can be expressed, and how. Raises InputError where none can."""
        found: list[tuple[Quantity, T]] = []
        errors: list[InputError] = []
        for quantity in output.quantities:
            try:
                found.append((quantity, express(quantity)))
            except InputError as error:
                errors.append(error)
                self.warnings.append(f"{quantity.name!r} of {output.name!r} is left out: {error}")
        if not found:
            raise errors[0]
        return found
