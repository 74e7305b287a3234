"""Read the geometries that converted projects have, and the project's own, each as sets of points.

Nothing here is shared with the conversion: columns are cut as the programs cut them, and the project is evaluated as the
editor draws it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Depth = npt.NDArray[np.float64]
"""How far points lie within a surface (cm), negative outside."""
Solid = Callable[[Points], Depth]


@dataclass
class Read:
    """Bodies, and zones by name in their order: the numbers or names of bodies in signed terms, and the medium."""

    bodies: dict[str, tuple[str, list[float]]] = field(default_factory=dict)
    zones: dict[str, list[set[str]]] = field(default_factory=dict)
    media: dict[str, str] = field(default_factory=dict)

    def mask(self, name: str, points: Points) -> Mask:
        """Which points lie in a zone."""
        inside = {body: solid(*self.bodies[body])(points) > 0 for body in self.bodies}
        union = np.zeros(points.shape[1], dtype=np.bool_)
        for terms in self.zones[name]:
            mask = np.ones(points.shape[1], dtype=np.bool_)
            for term in terms:
                mask &= inside[term[1:]] == (term[0] == "+")
            union |= mask
        return union


def shieldhit(text: str) -> Read:
    """geo.dat, in fixed columns."""
    read = Read()
    rows = iter(text.split("\n")[2:])
    for row in rows:
        if row.strip() == "END":
            break
        if row[2:5].strip():
            name = row[6:10].strip()
            read.bodies[name] = (row[2:5], [])
        read.bodies[name][1].extend(float(row[k : k + 10]) for k in range(10, len(row), 10))
    for row in rows:
        if row.strip() == "END":
            break
        if row[2:5].strip():
            zone = row[2:5].lstrip("0")
            read.zones[zone] = [set()]
        for k in range(10, len(row), 7):
            if row[k : k + 2] == "OR":
                read.zones[zone].append(set())
            read.zones[zone][-1].add(
                f"{row[k + 2]}{row[k + 3 : k + 7].strip()}" if row[k + 2] in "+-" else _term(row[k + 2 : k + 7])
            )
    numbers = [row[k : k + 5].strip() for row in rows for k in range(0, len(row), 5)]
    half = len(numbers) // 2
    assert numbers[:half] == list(read.zones)
    read.media = dict(zip(read.zones, numbers[half:], strict=True))
    return read


def _term(cell: str) -> str:
    number = int(cell)
    return f"{'+' if number > 0 else '-'}{abs(number)}"


def fluka(text: str) -> Read:
    """An input of FLUKA with names."""
    read = Read()
    lines = text.split("\n")
    begin = next(k for k, line in enumerate(lines) if line.startswith("GEOBEGIN"))
    words: list[list[str]] = [[], []]
    section = 0
    for line in lines[begin + 2 :]:
        assert len(line) <= 132
        if line == "END":
            section += 1
            if section == 2:
                break
            continue
        words[section].append(line)
    for line in _joined(words[0]):
        key, name, *numbers = line.split()
        read.bodies[name] = (key, [float(number) for number in numbers])
    for line in _joined(words[1]):
        name, _, *terms = line.split()
        assert len(name) <= 8
        read.zones[name] = [set()]
        for term in terms:
            if term == "|":
                read.zones[name].append(set())
            else:
                read.zones[name][-1].add(term)
    read.media = {line[20:30].strip(): line[10:20].strip() for line in lines if line.startswith("ASSIGNMA")}
    return read


def _joined(lines: list[str]) -> list[str]:
    joined: list[str] = []
    for line in lines:
        if line.startswith(" "):
            joined[-1] += line
        else:
            joined.append(line)
    return joined


def solid(key: str, numbers: list[float]) -> Solid:
    """A body of either program."""
    values = np.array(numbers)
    match key:
        case "RPP":
            low, high = values[::2], values[1::2]
            return _box((low + high) / 2, np.diag(high - low))
        case "BOX":
            edges = values[3:].reshape(3, 3)
            return _box(values[:3] + edges.sum(axis=0) / 2, edges)
        case "RCC":
            return _cylinder(values[:3] + values[3:6] / 2, values[3:6], values[6])
    assert key == "SPH", key
    return lambda points: values[3] - np.linalg.norm(points - values[:3, None], axis=0)


def _box(centre: Points, edges: Points) -> Solid:
    lengths = np.linalg.norm(edges, axis=1)
    away = (edges / lengths[:, None]) @ np.eye(3)
    return lambda points: (lengths[:, None] / 2 - np.abs(away @ (points - centre[:, None]))).min(axis=0)


def _cylinder(centre: Points, axis: Points, radius: float) -> Solid:
    height = float(np.linalg.norm(axis))

    def depth(points: Points) -> Depth:
        away = points - centre[:, None]
        along = axis @ away / height
        across = np.sqrt(np.maximum((away**2).sum(axis=0) - along**2, 0))
        return np.asarray(np.minimum(height / 2 - np.abs(along), radius - across))

    return depth


def drawn(figure: dict[str, Any]) -> Solid:
    """A figure as the editor draws it: three.js turns it by Euler angles of the order XYZ."""
    geometry, sizes = figure["geometryData"], figure["geometryData"]["parameters"]
    a, b, c = np.radians(geometry["rotation"])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    turn, centre = about_x @ about_y @ about_z, np.array(geometry["position"], dtype=float)
    match geometry["geometryType"]:
        case "BoxGeometry":
            return _box(centre, (turn @ np.diag([sizes["width"], sizes["height"], sizes["depth"]])).T)
        case "SphereGeometry":
            return lambda points: sizes["radius"] - np.linalg.norm(points - centre[:, None], axis=0)
    return _cylinder(centre, turn @ np.array([0, 0, sizes["depth"]]), sizes["radius"])


def evaluated(zone: dict[str, Any], inside: dict[str, Mask]) -> Mask:
    """The points of a zone: its rows from left to right, united."""
    union = np.zeros(len(next(iter(inside.values()))), dtype=np.bool_)
    for row in zone["unionOperations"]:
        mask = inside[row[0]["objectUuid"]].copy()
        for operation in row[1:]:
            other = inside[operation["objectUuid"]]
            match operation["mode"]:
                case "union":
                    mask |= other
                case "intersection":
                    mask &= other
                case "subtraction":
                    mask &= ~other
        union |= mask
    return union
