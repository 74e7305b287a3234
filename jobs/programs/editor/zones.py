"""Read the zones of a project and its world."""

from collections.abc import Mapping, Sequence

from jobs.programs.editor.csg import bit, without_larger
from jobs.programs.editor.figures import body
from jobs.programs.editor.materials import Materials
from jobs.programs.editor.model import Terms, World, Zone
from jobs.programs.editor.values import Value, place
from jobs.programs.editor.work import TooMuchWork, Work

MAX_ZONES = 900
MAX_OPERATIONS = 1000
MAX_TERMS = 2000
"""Figures in the terms of one zone, each as often as it stands there."""
FIGURES = "figureManager.figures"
_SIGNS = {"union": 0, "intersection": 1, "subtraction": -1}


def figures_of(zones: list[Value]) -> set[str]:
    """The uuids of the figures that zones are made of."""
    operations = (
        operation
        for zone in zones
        for row in zone.member("unionOperations").elements(MAX_OPERATIONS)
        for operation in row.elements(MAX_OPERATIONS)
    )
    return {operation.member("objectUuid").text() for operation in operations}


def zone(value: Value, figures: Mapping[str, int], materials: Materials, work: Work) -> Zone:
    """A zone; `figures` has the place of each by its uuid. Raises InputError."""
    uuid = value.option("uuid")
    return Zone(
        value.path,
        uuid.text() if uuid else "",
        _terms(value.member("unionOperations"), figures, work),
        materials.of(value),
    )


def world(value: Value | None, materials: Materials) -> World | None:
    """The world, as the editor computed it: its margin is in the sizes already."""
    return World(value.path, body(value), materials.of(value)) if value else None


def _terms(operations: Value, figures: Mapping[str, int], work: Work) -> tuple[Terms, ...]:
    rows = [row for row in operations.elements(MAX_OPERATIONS) if row.elements(MAX_OPERATIONS)]
    if not rows:
        raise operations.error("found no operation; allowed are a union and what is cut from it")
    try:
        terms = _union(rows, operations, figures, work)
    except TooMuchWork:
        raise operations.error("found too many operations in all zones; allowed are fewer") from None
    if not terms:
        raise operations.error("found a zone that no point lies in: it takes away what it is made of")
    return tuple(terms)


def _union(rows: Sequence[Value], operations: Value, figures: Mapping[str, int], work: Work) -> list[Terms]:
    terms: list[Terms] = []
    for row in rows:
        terms += _row(row, figures, work)
        _bounded(terms, operations)
    return without_larger(terms, work)


def _row(row: Value, figures: Mapping[str, int], work: Work) -> list[Terms]:
    """A row from left to right; a later union adds to what the row has so far."""
    first, *others = row.elements(MAX_OPERATIONS)
    mode = first.member("mode")
    if mode.choice(_SIGNS) < 0:
        raise mode.error(f"found {mode.found()}; a row begins with a union")
    start = _figure(first, figures)
    terms: list[tuple[Terms, int]] = [((start,), bit(start))]
    for operation in others:
        sign, figure = operation.member("mode").choice(_SIGNS), _figure(operation, figures)
        work.take(2 * len(terms) + 10)
        if sign == 0:
            terms.append(((figure,), bit(figure)))
        else:
            terms = _narrowed(terms, sign * figure)
        _bounded([one for one, _ in terms], row)
    return [one for one, _ in terms]


def _narrowed(terms: Sequence[tuple[Terms, int]], term: int) -> list[tuple[Terms, int]]:
    """Terms, each with its bits, with one more; without those that contradict it."""
    own, contrary = bit(term), bit(-term)
    return [
        (one, known) if known & own else ((*one, term), known | own) for one, known in terms if not known & contrary
    ]


def _bounded(terms: Sequence[Terms], where: Value) -> None:
    if sum(map(len, terms)) > MAX_TERMS:
        raise where.error(f"found a zone of more than {MAX_TERMS} terms, which is not allowed")


def _figure(operation: Value, figures: Mapping[str, int]) -> int:
    return place(operation.member("objectUuid"), figures, FIGURES) + 1
