"""Boxes, cylinders and spheres in space. Lengths are in cm, angles in degrees."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

Vector = tuple[float, float, float]

_QUARTERS = ((0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0))


@dataclass(frozen=True)
class Body:
    """A box has three edges, full lengths and at right angles; a cylinder its axis and a radius; a sphere a radius."""

    path: str
    kind: Literal["box", "cylinder", "sphere"]
    centre: Vector
    edges: tuple[Vector, ...]
    radius: float

    @property
    def corner(self) -> Vector:
        """Where the edges of a box, or the axis of a cylinder, begin."""
        x, y, z = (c - sum(edge[k] for edge in self.edges) / 2 for k, c in enumerate(self.centre))
        return x, y, z

    @property
    def numbers(self) -> list[float]:
        """What describes the body, as the programs' files have it: where it begins, its edges, its radius."""
        start = self.centre if self.kind == "sphere" else self.corner
        return [*start, *(part for edge in self.edges for part in edge), *([self.radius] if self.radius else [])]

    @cached_property
    def half(self) -> Vector:
        """Half the extent along x, y and z."""
        if self.kind == "box":
            x, y, z = (sum(abs(edge[k]) for edge in self.edges) / 2 for k in range(3))
        elif self.kind == "cylinder":
            height = math.hypot(*self.edges[0])
            x, y, z = (abs(h) / 2 + self.radius * math.sqrt(max(0.0, 1 - (h / height) ** 2)) for h in self.edges[0])
        else:
            x = y = z = self.radius
        return x, y, z

    @property
    def upright(self) -> bool:
        """Whether the edges lie along x, y and z, in any order."""
        return all(sum(part != 0 for part in edge) == 1 for edge in self.edges)

    def grown(self, margin: float) -> "Body":
        """The body with its surface moved outwards."""
        edges = tuple(_longer(edge, 2 * margin) for edge in self.edges)
        return replace(self, edges=edges, radius=self.radius + margin if self.radius else 0.0)

    def apart(self, other: "Body") -> bool:
        """Whether the extents of two bodies have nothing in common."""
        return any(
            abs(a - b) >= mine + theirs
            for a, b, mine, theirs in zip(self.centre, other.centre, self.half, other.half, strict=True)
        )

    @property
    def volume(self) -> float:
        """Volume in cm3."""
        lengths = [math.hypot(*edge) for edge in self.edges]
        if self.kind == "box":
            return math.prod(lengths)
        return math.pi * self.radius**2 * (lengths[0] if lengths else 4 / 3 * self.radius)


def turned(vector: Vector, angles: Vector) -> Vector:
    """A vector turned as the editor shows it: about its own x axis, then its new y axis, then its new z axis.

    That is Rx·Ry·Rz, so z comes first when fixed axes are turned about. Quarter turns are exact.
    """
    x, y, z = vector
    (sa, ca), (sb, cb), (sc, cc) = (_sine(angle) for angle in angles)
    x, y = cc * x - sc * y, sc * x + cc * y
    x, z = cb * x + sb * z, cb * z - sb * x
    y, z = ca * y - sa * z, sa * y + ca * z
    return x + 0.0, y + 0.0, z + 0.0


def _sine(angle: float) -> tuple[float, float]:
    quarters, rest = divmod(angle, 90.0)
    if rest == 0:
        return _QUARTERS[int(quarters) % 4]
    return math.sin(math.radians(angle)), math.cos(math.radians(angle))


def _longer(edge: Vector, by: float) -> Vector:
    length = math.hypot(*edge)
    x, y, z = (part * (length + by) / length for part in edge)
    return x, y, z
