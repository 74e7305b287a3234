"""Archives of ZeroSpeech: challenges with folders of entries become challenges, leaderboards and external entries."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from db.searching.folding import composed
from resolvers.documents import Unreadable, document
from resolvers.importing import challenges
from resolvers.importing.challenges import Described, checked_label
from resolvers.importing.entries import Entry, entry
from resolvers.importing.folders import ENTRIES, Archive, Folders, Track
from resolvers.importing.report import Report

BOARDS = "leaderboard.json"
BYTES = 200_000_000
"""The most bytes of all entries of one import."""
_NAMED = 20
"""The most lost values of one entry that are named."""


@dataclass
class Board:
    """A leaderboard, its settings, and the entries that its folder holds, in the order of the files."""

    label: str
    source: str
    challenge: str
    settings: Mapping[str, Any]
    entries: list[Entry] = field(default_factory=list)


@dataclass
class Plan:
    """What a folder becomes."""

    challenges: dict[str, Described]
    boards: dict[str, Board]


@dataclass(frozen=True, slots=True)
class _Named:
    """A leaderboard that `leaderboard.json` describes, with its folder or file, where that is here."""

    label: str
    source: str
    challenge: str
    settings: Mapping[str, Any]
    place: Path | None


def read(root: Path, report: Report) -> Plan:
    """Read a folder: an archive, or one above several. What is wrong in it is in the report, and keeps nothing else
    out."""
    return _Reader(root, report).plan()


class _Reader:
    def __init__(self, root: Path, report: Report) -> None:
        self.folders, self.report = Folders(root, report), report
        self.made = Plan({}, {})
        self.bytes = 0

    def plan(self) -> Plan:
        found = challenges.listed(self.folders)
        self.made.challenges.update(found.by_label)
        named = list(self._named(found))
        places = {one.place.resolve(): one for one in named if one.place is not None}
        archives = self.folders.archives()
        if not archives and not found.by_label:
            self.report.problem(".", f"there is no folder {ENTRIES} in it, and no challenges.json")
        for archive in archives:
            try:
                described = challenges.of_archive(self.folders, archive, found)
            except Unreadable as error:
                self.report.problem(self.folders.name(archive.folder), str(error))
                continue
            self.made.challenges.setdefault(described.label, described)
            for track in self.folders.tracks(archive):
                own = places.pop(track.folder.resolve(), None)
                self._take(archive, described.label, track, own)
        for one in named:
            if one.label not in self.made.boards:
                self._take_named(one)
        return self.made

    def _take(self, archive: Archive, challenge: str, track: Track, named: _Named | None) -> None:
        source = self.folders.name(track.folder)
        try:
            if named is not None:
                board = Board(named.label, source, named.challenge, named.settings)
            else:
                origin = "/".join((archive.name, ENTRIES, *track.parts))
                settings = {"archived": True, "static_files": False, "external_entries": origin[:2000]}
                board = Board(label_of(challenge, track.parts), source, challenge, settings)
            self._add(board)
        except Unreadable as error:
            self.report.problem(source, f"{error}; its {len(track.files)} files are left out")
            return
        self._fill(board, track, archive.folder / ENTRIES)

    def _take_named(self, one: _Named) -> None:
        board = Board(one.label, one.source, one.challenge, one.settings)
        self._add(board)
        track = self.folders.track(one.place) if one.place is not None else None
        if track is not None and one.place is not None:
            self._fill(board, track, one.place.parent)

    def _add(self, board: Board) -> None:
        if (other := self.made.boards.setdefault(board.label, board)) is not board:
            raise Unreadable(f"{other.source} is the leaderboard {board.label} already")

    def _fill(self, board: Board, track: Track, base: Path) -> None:
        """Read the entries. The key of one is its path from `base`, with its number where the file is a list."""
        known: set[str] = set()
        for path in track.files:
            file = self.folders.name(path)
            try:
                given = self._document(path)
            except Unreadable as error:
                self.report.problem(file, str(error))
                continue
            key = path.relative_to(base).as_posix()
            for n, one in enumerate(given if isinstance(given, list) else [given]):
                at = f"#{n}" if isinstance(given, list) else ""
                try:
                    made = entry(composed(f"{key}{at}"), one, file)
                    if made.key in known:
                        raise Unreadable(f"another entry of {board.label} has this key")
                except Unreadable as error:
                    self.report.problem(f"{file}{at}", str(error))
                    continue
                known.add(made.key)
                board.entries.append(made)
                self.report.numbers += made.numbers
                for lost in made.lost[:_NAMED]:
                    self.report.note(f"{file}{at}", f"{lost[:200]} is no finite number, and becomes null")

    def _document(self, path: Path) -> Any:
        try:
            self.bytes += path.stat().st_size
        except OSError as error:
            raise Unreadable(f"it can't be read: {error.strerror}") from None
        if self.bytes > BYTES:
            raise Unreadable(f"the entries of one import have at most {BYTES:,} bytes")
        return document(self.folders.root, path)

    def _named(self, found: challenges.Listed) -> Iterator[_Named]:
        """The leaderboards of `leaderboard.json`."""
        labels: set[str] = set()
        for source, given in challenges.objects(self.folders, BOARDS):
            try:
                label = checked_label(given.get("label"))
                if label in labels:
                    raise Unreadable(f"{label} is described twice")
                challenge = found.by_number.get(given["challenge_id"]) if _is_number(given, "challenge_id") else None
                if challenge is None:
                    raise Unreadable(f"the challenge of {label} is not among those of challenges.json")
                place = self._place(given.get("external_entries"))
                settings = _described(label, given)
            except Unreadable as error:
                self.report.problem(source, str(error))
                continue
            labels.add(label)
            if place is None and given.get("external_entries") is not None:
                self.report.note(source, f"{label} comes without its external entries: they are not in this folder")
            yield _Named(label, source, challenge, settings, place)

    def _place(self, given: object) -> Path | None:
        """Where entries lie that had another place before: the longest end of the path that is in this folder."""
        parts = [part for part in PurePosixPath(given).parts if part != "/"] if isinstance(given, str) else []
        if ".." in parts or len(parts) > 64 or "\0" in "".join(parts):
            return None
        for start in range(len(parts)):
            path = self.folders.root.joinpath(*parts[start:])
            try:
                if path.exists():
                    return path
            except OSError:
                return None
        return None


def label_of(challenge: str, parts: Sequence[str]) -> str:
    """The label of the leaderboard of a folder: that of the challenge, and the names of the folders down to it."""
    words = (re.sub(r"[^\w.]+|_+", "-", part).strip("-") for part in parts)
    return checked_label("-".join([challenge, *filter(None, words)]))


def _described(label: str, given: Mapping[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {name: given.get(name, False) for name in ("archived", "static_files")}
    for name in list(settings):
        if not isinstance(settings[name], bool):
            raise Unreadable(f"{name} of {label} is true or false")
    for name in ("entry_file", "sorting_key"):
        value = given.get(name)
        if value is not None and not (isinstance(value, str) and 1 <= len(value) <= 255 and value.isprintable()):
            raise Unreadable(f"{name} of {label} is a text of 1 to 255 characters")
        if value is not None:
            settings[name] = value
    return settings


def _is_number(given: Mapping[str, Any], name: str) -> bool:
    return type(given.get(name)) is int
