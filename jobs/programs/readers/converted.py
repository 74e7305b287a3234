"""Pages and metadata from what pymchelper has read of a file. Its values lie as we want them, the first axis
fastest."""

import math
from array import array
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from jobs.programs.readers import OutputError, library
from jobs.programs.readers.pages import Axis

_NOT_TEXT = frozenset(("estimator", "data_raw", "error_raw", "diff_axis1", "diff_axis2", "pages", "x", "y", "z"))
_OF_THE_FILE = frozenset(("file_corename", "error_type", "data_order", "page_count"))


def load(paths: Sequence[str], file: str) -> Any:
    """pymchelper's estimator of files, averaged over them; raises OutputError."""
    numpy_errors = _numpy().errstate(all="ignore")  # results per primary of a run without primaries
    reading = library("input_output", file)
    try:
        with numpy_errors:
            estimator = reading.fromfilelist(list(paths))
    except Exception as error:
        raise OutputError(file, f"it cannot be read: {error}") from error
    if estimator is None or not estimator.pages:
        raise OutputError(file, "it holds no results")
    return estimator


def values(page: Any) -> "array[float]":
    """All numbers of a page."""
    return array("d", _numpy().asarray(page.data_raw, dtype=float).tobytes())


def axis(mesh: Any, file: str, where: str, most: int, name: str | None = None, unit: str | None = None) -> Axis:
    """An axis of pymchelper's, under another name and unit if given; raises OutputError when its bins are absurd, or
    more than `most`."""
    if not 1 <= mesh.n <= most:
        raise OutputError(file, f"{where}: {mesh.n} bins along {mesh.name}, but {most} values")
    own = (str(mesh.name) if name is None else name, str(mesh.unit) if unit is None else unit)
    if mesh.n == 1:
        return Axis(*own, [math.nan])
    try:
        return Axis(*own, mesh.data.tolist())
    except Exception as error:
        raise OutputError(file, f"{where}: the axis {own[0]}: {error}") from error


def metadata(thing: Any) -> dict[str, str]:
    """The other attributes of an estimator or a page, as texts."""
    return {
        key: (value.decode(errors="replace") if isinstance(value, bytes) else str(value)).strip()
        for key, value in vars(thing).items()
        if key not in _NOT_TEXT and key not in _OF_THE_FILE and value is not None
    }


def _numpy() -> Any:
    return import_module("numpy")
