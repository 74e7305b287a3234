"""FLUKA's unformatted files as rows of records: the run, then for each detector a head and its values.

The layouts are those that FLUKA's manual gives with each estimator.
"""

import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from jobs.programs.readers import OutputError

COUNT = struct.Struct("=i")
"""Before and after each record: its bytes."""
RUNS: Mapping[int, str] = {116: "=80s32sf", 120: "=80s32sfi", 124: "=80s32sfii", 128: "=80s32sfiii"}
"""The first record, by its length: title, time, weight, and what follows: primaries, thousands of millions of them,
cycles."""
MILLIARD = 1_000_000_000
STATISTICS, ISOMERS = b"STATISTICS", b"ISOMERS:"
"""How the records begin before the errors of summed files, and before isomers."""


@dataclass(frozen=True)
class Kind:
    """A kind of detector: its card, the layout of its head, the place in it that says whether groups of low-energy
    neutrons follow, and in summed files the number of records with statistics and the place of the errors in them."""

    card: str
    head: struct.Struct
    groups: int | None = None
    statistics: int = 1
    errors: int = 0


KINDS: Mapping[int, Kind] = {
    kind.head.size: kind
    for kind in (
        Kind("USRBIN", struct.Struct("=i10siiffifffifffififff")),
        Kind("USRTRACK", struct.Struct("=i10siiififfif"), groups=6, statistics=7, errors=6),
        Kind("USRBDX", struct.Struct("=i10siiiifiiiffifffif"), groups=9, statistics=7, errors=6),
        Kind("RESNUCLE", struct.Struct("=i10siif3i"), statistics=6, errors=5),
    )
}
"""Kinds by the length of the head."""


@dataclass(frozen=True)
class Run:
    title: str
    time: str
    primaries: int
    cycles: int
    decays: bool
    """Whether residual nuclei are those after a time of decay."""


@dataclass
class Detector:
    """`head` has the ordinal, the name, the type and what else the kind has; `groups` the borders of the groups of
    low-energy neutrons in GeV, the highest first; `errors` are relative. `only_groups` asks for the groups alone."""

    kind: Kind
    head: Sequence[object]
    values: "array[float]"
    groups: Sequence[float] = ()
    errors: "array[float] | None" = None
    only_groups: bool = False

    @property
    def name(self) -> str:
        name = self.head[1]
        assert isinstance(name, bytes)
        return text(name)

    def number(self, place: int) -> float:
        """A number of the head, without the noise of its single precision."""
        value = self.head[place]
        assert isinstance(value, int | float)
        return float(f"{value:.7g}") if isinstance(value, float) else value


@dataclass
class File:
    run: Run
    detectors: list[Detector] = field(default_factory=list)


class Records:
    """The records of a file. Raises OutputError when it is of another kind or cut short."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._spans = list(_spans(path))

    def __len__(self) -> int:
        return len(self._spans)

    def size(self, number: int) -> int:
        return self._spans[number][1]

    def read(self, number: int, most: int | None = None) -> bytes:
        place, size = self._spans[number]
        with self.path.open("rb") as stream:
            stream.seek(place)
            return stream.read(size if most is None else min(size, most))

    def floats(self, number: int) -> "array[float]":
        """A record of numbers of single precision."""
        if self.size(number) % 4:
            raise OutputError(self.path.name, f"record {number} of {self.size(number)} bytes holds no numbers")
        return array("f", self.read(number))


def read(path: Path) -> File:
    """The detectors of a file, all of one kind; raises OutputError."""
    records = Records(path)
    file = File(_run(records))
    place = 2 if file.run.decays else 1
    while place < len(records):
        beginning = records.read(place, len(STATISTICS))
        if beginning == STATISTICS:
            _statistics(records, place + 1, file.detectors)
            break
        if beginning.startswith(ISOMERS):
            place += 2
            continue
        detector, place = _detector(records, place, file)
        file.detectors.append(detector)
    if not file.detectors:
        raise OutputError(path.name, "it holds no results")
    return file


def text(data: bytes) -> str:
    return data.decode(errors="replace").strip("\0 ")


def _run(records: Records) -> Run:
    title, time, _, *counts = struct.unpack(RUNS[records.size(0)], records.read(0))
    primaries = counts[0] if counts else 1
    decays = primaries <= 0
    primaries = abs(primaries) + (counts[1] * MILLIARD if len(counts) == 3 else 0)
    return Run(text(title), text(time), primaries, counts[-1] if len(counts) > 1 else 1, decays)


def _detector(records: Records, place: int, file: File) -> tuple[Detector, int]:
    """The detector at a record, and the place of the next."""
    kind = KINDS.get(records.size(place))
    if kind is None or any(known.kind is not kind for known in file.detectors):
        cards = ", ".join(known.card for known in KINDS.values())
        raise OutputError(records.path.name, f"record {place} is no detector that can be read; those of {cards} can")
    head = kind.head.unpack(records.read(place))
    place += 1
    groups: Sequence[float] = ()
    if kind.groups is not None and head[kind.groups]:
        groups = _groups(records, place)
        place += 1
    if file.run.decays:
        place += 1
    if place >= len(records):
        raise OutputError(records.path.name, f"it is cut short: detector {len(file.detectors) + 1} has no values")
    return Detector(kind, head, records.floats(place), groups), place + 1


def _groups(records: Records, place: int) -> Sequence[float]:
    """The borders of groups; their number stands before them."""
    if place >= len(records):
        raise OutputError(records.path.name, f"it is cut short before record {place}")
    data = records.read(place)
    if len(data) < COUNT.size or len(data) % COUNT.size:
        raise OutputError(records.path.name, f"record {place} of {len(data)} bytes holds no groups")
    return array("f", data[COUNT.size :])


def _statistics(records: Records, place: int, detectors: Sequence[Detector]) -> None:
    """Give the detectors of a summed file their errors, where these can be told."""
    kind = detectors[0].kind if detectors else None
    if kind is None:
        return
    step, more = divmod(len(records) - place, len(detectors))
    if more or step < kind.statistics:
        return
    for detector in detectors:
        if records.size(place + kind.errors) == len(detector.values) * detector.values.itemsize:
            detector.errors = records.floats(place + kind.errors)
        place += step


def _spans(path: Path) -> Iterator[tuple[int, int]]:
    """Where each record begins, and its bytes."""
    size = path.stat().st_size
    if size == 0:
        raise OutputError(path.name, "it is empty")
    place = 0
    with path.open("rb") as stream:
        while place < size:
            stream.seek(place)
            before = stream.read(COUNT.size)
            length = COUNT.unpack(before)[0] if len(before) == COUNT.size else 0
            if place == 0 and length not in RUNS:
                raise OutputError(path.name, "it is not an unformatted file of FLUKA; units must be negative numbers")
            if length < 0:
                raise OutputError(path.name, f"it is damaged at byte {place}")
            begun = place + COUNT.size
            place = begun + length + COUNT.size
            if place > size:
                raise OutputError(path.name, f"it is cut short at byte {size}")
            stream.seek(length, 1)
            if stream.read(COUNT.size) != before:
                raise OutputError(path.name, f"it is damaged at byte {place - COUNT.size}")
            yield begun, length


def centres(borders: Sequence[float], logarithmic: bool) -> list[float]:
    """The middles of bins: geometric of a logarithmic scale."""
    return [(low * high) ** 0.5 if logarithmic else (low + high) / 2 for low, high in pairwise(borders)]
