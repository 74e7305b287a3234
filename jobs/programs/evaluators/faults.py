"""What is wrong with the input of an evaluation, and the exit status that tells whose fault it is."""

SUBMISSION_WRONG, REFERENCE_WRONG, PACKAGE_MISSING, STOPPED = 1, 2, 3, 4
"""Exit statuses. 1: the submission can't be evaluated. 2: the reference data or the options are wrong, which is for the
organiser. 3: a package is not installed. 4: the program or the machine failed."""
NAMED = 10
"""Of several faults, so many are named."""
_SHOWN = 60


class EvaluationError(Exception):
    """Ends an evaluation with a sentence and an exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Faults:
    """The faults of one folder: all are counted, the first are kept."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.count = 0
        self._named: list[str] = []

    def add(self, file: str, line: int | None, message: str) -> None:
        self.count += 1
        if self.count <= NAMED:
            file = file if file.isprintable() else shown(file)
            self._named.append(f"{file}, line {line}: {message}" if line else f"{file}: {message}")

    def check(self) -> None:
        """Raise EvaluationError that names the faults, if there are any."""
        if self.count:
            more = f"; and {self.count - NAMED} more" if self.count > NAMED else ""
            raise EvaluationError("; ".join(self._named) + more, self.status)

    def fail(self, file: str, line: int | None, message: str) -> EvaluationError:
        """The error of a fault after which nothing more can be read; those found before are named too."""
        self.add(file, line, message)
        try:
            self.check()
        except EvaluationError as error:
            return error
        raise AssertionError("a fault was added")


def shown(text: str) -> str:
    """A text of a submission as a message shows it: cut, in quotes, on one line."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
