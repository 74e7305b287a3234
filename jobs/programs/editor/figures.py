"""Read the figures of a project, and the body of its world."""

from collections.abc import Callable

from jobs.programs.editor.bodies import Body, Vector, turned
from jobs.programs.editor.values import MAX_LENGTH, MIN_LENGTH, Value


def body(figure: Value) -> Body:
    """The body of a figure or of the world; raises InputError with the path of what is wrong.

    The inner radius of a cylinder means nothing.
    """
    geometry = figure.member("geometryData")
    made = geometry.member("geometryType").choice(_KINDS)
    centre = geometry.member("position").vector(MAX_LENGTH)
    rotation = geometry.option("rotation")
    angles = rotation.vector(1e6) if rotation else (0.0, 0.0, 0.0)
    return made(
        figure.path,
        centre,
        angles,
        geometry.member("parameters"),
    )


def _box(path: str, centre: Vector, angles: Vector, parameters: Value) -> Body:
    x, y, z = (_length(parameters, key) for key in ("width", "height", "depth"))
    edges = ((x, 0.0, 0.0), (0.0, y, 0.0), (0.0, 0.0, z))
    return Body(path, "box", centre, tuple(turned(edge, angles) for edge in edges), 0.0)


def _cylinder(path: str, centre: Vector, angles: Vector, parameters: Value) -> Body:
    axis = turned((0.0, 0.0, _length(parameters, "depth")), angles)
    return Body(path, "cylinder", centre, (axis,), _length(parameters, "radius"))


def _sphere(path: str, centre: Vector, _: Vector, parameters: Value) -> Body:
    return Body(path, "sphere", centre, (), _length(parameters, "radius"))


def _length(parameters: Value, key: str) -> float:
    return parameters.member(key).real(MIN_LENGTH, MAX_LENGTH)


_KINDS: dict[str, Callable[[str, Vector, Vector, Value], Body]] = {
    "BoxGeometry": _box,
    "HollowCylinderGeometry": _cylinder,
    "CylinderGeometry": _cylinder,
    "CyliderGeometry": _cylinder,
    "SphereGeometry": _sphere,
}
