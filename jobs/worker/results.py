"""Send what a program computed: estimators, their numbers apart where those are many, and the program's own files."""

import base64
import json
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from jobs.programs.readers import Reading
from jobs.programs.texts import LEFT_OUT
from jobs.results import slabs
from jobs.results.bounds import SENTENCE, bounded, shortened
from jobs.results.names import printable
from jobs.worker.files import CHECKED, upload
from jobs.worker.gateway import PATIENCE, Gateway, Refused

RESULTS = """
mutation Results(
  $estimators: JSON!, $done: BigInt, $delivery: String, $warnings: [String!]! = [], $uploads: [ID!]! = []
) {
  workerPutResults(
    estimators: $estimators, done: $done, delivery: $delivery, warnings: $warnings, uploads: $uploads
  ) { state }
}"""
NUMBERS = """
mutation Numbers($delivery: String!, $number: Int!, $data: String!) {
  workerPutNumbers(delivery: $delivery, number: $number, data: $data) { state }
}"""
TOGETHER = 50_000
"""The most numbers that are sent with their estimators."""
SENTENCES = 1000
"""The most sentences that are taken of an input file of warnings."""
FILES = 100
"""The most files that are kept of one run."""
PARTS: Mapping[str, Sequence[str]] = {
    **{f"axis_dim{number}": ("values",) for number in (1, 2, 3)},
    "data": ("values", "errors", "weights"),
}
"""The numbers of a page."""


@dataclass
class Room:
    """How many values a page may have, and how many numbers all pages that are still to come."""

    page: int
    numbers: int

    def take(self, count: int) -> None:
        """Take the numbers of a page; raises ValueError where there is no room for them."""
        if count > self.numbers:
            raise ValueError(f"{count} numbers; of all pages together, there is room for {self.numbers} more")
        self.numbers -= count


def deliver(gateway: Gateway, reading: Reading, task: Any) -> None:
    """Send results and files, and end the task. Files that are not taken are named as warnings. Raises Refused, and
    Unreachable."""
    warnings = [*left_out(task["files"]), *reading.warnings]
    uploads = list(_uploads(gateway, reading, str(task["purpose"]), int(task["fileLimit"]), warnings))
    if not uploads and not reading.estimators:
        if reading.files:  # and none of them could be read, or be kept
            raise ValueError((reading.warnings or warnings)[0])
        warnings.insert(0, "the result is empty: the program wrote no estimators")
    room = Room(int(task["valueLimit"]), int(task["numberLimit"]))
    send(gateway, reading.estimators, room, warnings=warnings, uploads=uploads)


def left_out(files: Mapping[str, str]) -> list[str]:
    """What the input files say that they lack of the project that they were made from."""
    try:
        given = json.loads(files.get(LEFT_OUT, "[]"))
    except (ValueError, RecursionError):
        return []
    texts = [text for text in given if isinstance(text, str)] if isinstance(given, list) else []
    return [printable(text)[:SENTENCE] for text in texts[:SENTENCES]]


def _uploads(gateway: Gateway, reading: Reading, purpose: str, largest: int, warnings: list[str]) -> Iterator[str]:
    for file in reading.files[:FILES]:
        try:
            size = file.stat().st_size
            if not 0 < size <= largest:
                raise ValueError(f"it has {size} bytes, and a file at most {largest}" if size else "it is empty")
            yield upload(gateway, file, purpose, _name(file, reading.root))
        except (OSError, ValueError, Refused) as error:
            why = error.strerror if isinstance(error, OSError) else error
            warnings.append(f"{printable(file.name)} is not kept: {why}")
    if left := reading.files[FILES:]:
        names = ", ".join(printable(file.name) for file in left[:3]) + (", ..." if len(left) > 3 else "")
        warnings.append(f"{len(left)} files are not kept ({names}): of one run {FILES} are kept at most")


def _name(file: Path, root: Path | None) -> str:
    """The name of a file; with dashes between it and the folders that it lies in, from a root on."""
    return file.name if root is None else "-".join(file.relative_to(root).parts)


def send(
    gateway: Gateway,
    estimators: Any,
    room: Room,
    *,
    done: str | None = None,
    warnings: Sequence[str] = (),
    uploads: Sequence[str] = (),
) -> None:
    """Send results; what is too much or no numbers is left out, and named."""
    told: list[str] = []
    made, delivery = estimators, None
    if isinstance(estimators, list):
        within, told = bounded(estimators)
        made = [one for given in within if (one := _estimator(given, room, told)) is not None]
        if sum(len(series[kind]) for series, kind in _numbers_of(made)) > TOGETHER:
            delivery = _sent_apart(gateway, made)
        for series, kind in _numbers_of(made):
            series[kind] = [number if math.isfinite(number) else None for number in series[kind]]
    every = shortened((*told, *warnings))
    patience = CHECKED if uploads else PATIENCE
    gateway.ask(RESULTS, patience, estimators=made, done=done, delivery=delivery, warnings=every, uploads=list(uploads))


def _estimator(estimator: Any, room: Room, told: list[str]) -> Any:
    """A copy of the estimator with arrays of numbers, None when no page of it is left. What has another shape is left
    as it is: the gateway says what is wrong."""
    if not isinstance(estimator, dict) or not isinstance(estimator.get("pages"), list):
        return estimator
    pages = []
    for index, page in enumerate(estimator["pages"]):
        try:
            pages.append(_page(page, room))
        except ValueError as error:
            told.append(f"{estimator.get('file_name')}, pages[{index}]: {error}")
    return {**estimator, "pages": pages} if pages or not estimator["pages"] else None


def _page(page: Any, room: Room) -> Any:
    if not isinstance(page, dict):
        return page
    made = dict(page)
    for part, kinds in PARTS.items():
        if isinstance(page.get(part), dict):
            made[part] = dict(page[part])
            for kind in kinds:
                if (given := page[part].get(kind)) is not None:
                    made[part][kind] = _numbers(given, f"{part}.{kind}")
                    if len(given) > room.page:
                        raise ValueError(f"{len(given)} {kind}; at most {room.page} are taken")
    room.take(sum(len(series[kind]) for series, kind in _numbers_of([{"pages": [made]}])))
    return made


def _numbers(given: Any, where: str) -> "array[float]":
    """Numbers of a list, NaN for null and for what no double holds; raises ValueError."""
    if isinstance(given, array):
        return given
    if not isinstance(given, list):
        raise ValueError(f"{where} is no list of numbers")
    return array("d", (_number(one, where, place) for place, one in enumerate(given)))


def _number(given: Any, where: str, place: int) -> float:
    if given is None:
        return math.nan
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError(f"{where}[{place}] is no number")
    try:
        return float(given)
    except OverflowError:
        return math.nan


def _numbers_of(estimators: Sequence[Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Where arrays of numbers stand: the object, and the key."""
    for estimator in estimators:
        for page in _pages_of(estimator):
            for part, kinds in PARTS.items():
                if isinstance(page, dict) and isinstance(series := page.get(part), dict):
                    yield from ((series, kind) for kind in kinds if isinstance(series.get(kind), array))


def _pages_of(estimator: Any) -> Sequence[Any]:
    pages = estimator.get("pages") if isinstance(estimator, dict) else None
    return pages if isinstance(pages, list) else ()


def _sent_apart(gateway: Gateway, estimators: Sequence[Any]) -> str:
    """Send all numbers in slabs, and put their places where they were; returns the name of the delivery."""
    delivery, first = str(uuid4()), 0
    found = list(_numbers_of(estimators))
    for number, slab in enumerate(slabs.slabs(series[kind] for series, kind in found)):
        data = base64.b64encode(slabs.packed(slab)).decode()
        gateway.ask(NUMBERS, delivery=delivery, number=number, data=data)
    for series, kind in found:
        count = len(series[kind])
        series[kind] = {"first": first, "count": count}
        first += count
    return delivery
