"""The answers of a submission, each beside the truth of the same id."""

from dataclasses import dataclass

from jobs.programs.evaluators.faults import NAMED, shown
from jobs.programs.evaluators.folder import Folder
from jobs.programs.evaluators.tables import rows

LONGEST_ID = 1000
"""Characters."""


@dataclass(frozen=True)
class Field:
    """A table's file and the field beside `id`: its name, the longest value in characters, whether it may be empty."""

    file: str
    name: str
    longest: int
    empty: bool = False

    def fault(self, value: str) -> str | None:
        if not value and not self.empty:
            return f"the {self.name} is empty"
        if len(value) > self.longest:
            return f"the {self.name} has {len(value)} characters; at most {self.longest} are allowed"
        return None


@dataclass(frozen=True)
class Truth:
    """A row of the reference: its line, and its value."""

    line: int
    value: str


def truths(folder: Folder, field: Field) -> dict[str, Truth]:
    """The values of the reference by id; raises EvaluationError, which names lines and no values."""
    found: dict[str, Truth] = {}
    for line, (id, value) in rows(folder, field.file, ("id", field.name)):
        fault = _id_fault(id) or field.fault(value)
        if id in found:
            fault = f"the id is the same as in line {found[id].line}; each id is allowed once"
        if fault:
            folder.faults.add(field.file, line, fault)
        else:
            found[id] = Truth(line, value)
    folder.faults.check()
    if not found:
        raise folder.faults.fail(field.file, None, "there are no rows; at least one is needed")
    return found


def answers(folder: Folder, field: Field, asked: dict[str, Truth], reference: str) -> list[str]:
    """The values of a submission in the order of the reference, whose file is named `reference`.

    Raises EvaluationError for ids that are double, unknown or missing, and for values that are not allowed.
    """
    found: dict[str, tuple[int, str]] = {}
    for line, (id, value) in rows(folder, field.file, ("id", field.name)):
        if id in found:
            fault: str | None = f"the id {shown(id)} is the same as in line {found[id][0]}; each id is allowed once"
        elif fault := _id_fault(id):
            pass
        elif id not in asked:
            fault = f"the id {shown(id)} is unknown; the ids of the reference are allowed"
        else:
            found[id] = line, value
            fault = field.fault(value)
        if fault:
            folder.faults.add(field.file, line, fault)
    missing = [truth.line for id, truth in asked.items() if id not in found]
    if missing:
        lines = ", ".join(map(str, missing[:NAMED])) + (", ..." if len(missing) > NAMED else "")
        where = f"line{'s' if len(missing) > 1 else ''} {lines} of {reference}"
        message = f"{len(missing)} of {len(asked)} ids are missing ({where}); each id of the reference is needed"
        folder.faults.add(field.file, None, message)
    folder.faults.check()
    return [found[id][1] for id in asked]


def _id_fault(id: str) -> str | None:
    if not id:
        return "the id is empty"
    return f"the id has more than {LONGEST_ID} characters" if len(id) > LONGEST_ID else None
