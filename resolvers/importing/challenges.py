"""Challenges as archives describe them: by `challenges.json`, else by a README and the folder's name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from db.searching.folding import composed
from resolvers.documents import Unreadable, content, document, text_of
from resolvers.importing.folders import Archive, Folders
from resolvers.mail.templates import printable

LISTS = ("challenges.json", "challenge.json")
"""The files with challenges. Where both describe one, the first counts."""
LABEL = 100
"""The most characters of a label."""
_DAY = re.compile(r"\b((?:19|20)\d\d-\d\d-\d\d)\b")
_YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)(?!\d)")
_ADDRESS = re.compile(r"https?://[^\s<>()\"'\]]+")


@dataclass(frozen=True)
class Described:
    """A challenge. What is `stated` is brought in line again; what is `guessed` is for a new one alone."""

    label: str
    source: str
    stated: Mapping[str, Any] = field(default_factory=dict)
    guessed: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Listed:
    """The challenges of the lists by their labels, and their labels by the numbers that leaderboards name them by."""

    by_label: dict[str, Described] = field(default_factory=dict)
    by_number: dict[int, str] = field(default_factory=dict)


def listed(folders: Folders) -> Listed:
    """The challenges that the lists describe; what is wrong with others is in the report."""
    found = Listed()
    for name in LISTS:
        for source, given in objects(folders, name):
            try:
                described = _described(source, given)
                known = found.by_label.setdefault(described.label, described)
                if known is not described and known.stated != described.stated:
                    raise Unreadable(f"{described.label} is described in {known.source} already, and otherwise")
            except Unreadable as error:
                folders.report.problem(source, str(error))
                continue
            if type(given.get("id")) is int:
                found.by_number.setdefault(given["id"], described.label)
            if given.get("evaluator") is not None:
                folders.report.note(source, f"{described.label} comes without its evaluator; discover that, and set it")
    return found


def objects(folders: Folders, name: str) -> list[tuple[str, dict[str, Any]]]:
    """The objects of a JSON list in the folder of the import, each with its place; none where there is no such file."""
    path = folders.root / name
    if not (path.exists() or path.is_symlink()):
        return []
    try:
        given = document(folders.root, path)
    except Unreadable as error:
        folders.report.problem(name, str(error))
        return []
    found = []
    for n, one in enumerate(given if isinstance(given, list) else [given]):
        if isinstance(one, dict):
            found.append((f"{name}#{n}", one))
        else:
            folders.report.problem(f"{name}#{n}", "this is not an object")
    return found


def _described(source: str, given: Mapping[str, Any]) -> Described:
    label = checked_label(given.get("label"))
    stated = {
        "start_date": _date(given, "start_date"),
        "end_date": _date(given, "end_date") if given.get("end_date") is not None else None,
        "active": given.get("active", False),
        "url": given.get("url") or "",
    }
    if stated["end_date"] is not None and stated["end_date"] < stated["start_date"]:
        raise Unreadable(f"{label} ends before it begins")
    if not isinstance(stated["active"], bool):
        raise Unreadable(f"active of {label} is true or false")
    if not isinstance(stated["url"], str) or len(stated["url"]) > 2000 or not printable(stated["url"]):
        raise Unreadable(f"url of {label} is an address of up to 2000 characters")
    return Described(label, source, stated)


def checked_label(given: object) -> str:
    """A label as it is stored. Raises Unreadable for what is none."""
    label = composed(given.strip()) if isinstance(given, str) else ""
    if not 1 <= len(label) <= LABEL or not printable(label):
        raise Unreadable(f"a label is one line of 1 to {LABEL} characters")
    return label


def _date(given: Mapping[str, Any], name: str) -> date:
    try:
        return date.fromisoformat(given[name][:10])
    except (KeyError, TypeError, ValueError):
        raise Unreadable(f"{name} is a day, such as 2017-01-20") from None


def of_archive(folders: Folders, archive: Archive, found: Listed) -> Described:
    """The challenge of an archive: the listed one with the name of its folder, else one that its README tells of. Its
    days are those that the README names; else the year that the README or the folder's name has."""
    label = checked_label(archive.name)
    if label in found.by_label:
        return found.by_label[label]
    text = _readme(folders, archive)
    days = sorted(_days(text))
    year = _YEAR.search(text) or _YEAR.search(archive.name)
    guessed: dict[str, Any] = {"active": False, "url": ""}
    if address := _ADDRESS.search(text):
        guessed["url"] = address[0][:2000]
    if days:
        guessed |= {"start_date": days[0], "end_date": days[-1]}
    elif year:
        guessed |= {"start_date": date(int(year[1]), 1, 1), "end_date": date(int(year[1]), 12, 31)}
    return Described(label, folders.name(archive.folder), {}, guessed)


def _days(text: str) -> list[date]:
    found = []
    for one in _DAY.findall(text):
        try:
            found.append(date.fromisoformat(one))
        except ValueError:  # such as the 31st of February
            continue
    return found


def _readme(folders: Folders, archive: Archive) -> str:
    for name in ("README.md", "README.txt", "README"):
        path: Path = archive.folder / name
        if path.is_file():
            try:
                return text_of(content(folders.root, path))
            except Unreadable as error:
                folders.report.note(folders.name(path), str(error))
    return ""
