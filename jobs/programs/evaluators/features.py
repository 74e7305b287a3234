"""Features of speech: for each file of sound an array of frames x dimensions."""

import warnings
from array import array
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.programs.evaluators.faults import EvaluationError, Faults
from jobs.programs.evaluators.folder import Folder
from jobs.programs.evaluators.items import FILE, Item

Frames = NDArray[np.float64]
"""Frames x dimensions."""

FOLDER = "features"
SUFFIXES = (".npy", ".csv", ".txt")
MOST_DIMENSIONS = 4096
MOST_VALUES = 2**25
"""Of one file."""
MOST_KEPT = 2**26
"""Values of all items together: 512 MiB."""
SHORT = 2
"""So many frames may be missing at the end of a file, where the window of the analysis was not full."""
_LARGEST = 1e100
"""Squares must not overflow."""


def features_of(folder: Folder, items: Sequence[Item], step: float, distributions: bool) -> list[Frames]:
    """The frames of each item. Raises EvaluationError for files that are missing, too short or hold no such numbers.

    `step` is in seconds. With `distributions`, numbers must not be negative, and a frame not all zeros.
    """
    if not folder.has(FOLDER):
        raise folder.faults.fail(FOLDER, None, f"the folder is missing in the {folder.name}")
    by_file: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        by_file.setdefault(item.file, []).append(index)
    found: dict[int, Frames] = {}
    first: tuple[str, int] | None = None
    kept = 0
    for file, indices in by_file.items():
        try:
            name, frames = _load(folder, file)
            _check_values(folder.faults, name, frames, distributions)
        except EvaluationError:
            continue  # the fault is noted, and the next file may have another
        first = first or (name, frames.shape[1])
        if frames.shape[1] != first[1]:
            message = f"there are {frames.shape[1]} dimensions; {first[0]} has {first[1]}, and all must have the same"
            folder.faults.add(name, None, message)
            continue
        needed = max(items[index].end for index in indices) - SHORT
        empty = [items[index] for index in indices if items[index].first >= len(frames)]
        if len(frames) < needed or empty:
            line = (empty or [max((items[index] for index in indices), key=lambda item: item.end)])[0].line
            message = f"there are {len(frames)} frames of {step:g} s; the item in line {line} of {FILE} needs more"
            folder.faults.add(name, None, message)
            continue
        if folder.faults.count == 0:
            for index in indices:
                found[index] = frames[items[index].first : items[index].end].copy()
                kept += found[index].size
            if kept > MOST_KEPT:
                message = f"the items have over {MOST_KEPT} numbers; fewer dimensions or frames are needed"
                raise folder.faults.fail(FOLDER, None, message)
    folder.faults.check()
    return [found[index] for index in range(len(items))]


def _load(folder: Folder, file: str) -> tuple[str, Frames]:
    """The name of the file of features and its frames; raises EvaluationError."""
    path = str(PurePosixPath(FOLDER) / file)
    names = [path + suffix for suffix in SUFFIXES if folder.has(path + suffix)]
    if not names:
        message = f"the file is missing; {', '.join(SUFFIXES)} are allowed"
        raise folder.faults.fail(path + SUFFIXES[0], None, message)
    if len(names) > 1:
        raise folder.faults.fail(names[1], None, f"there is also {names[0]}; one file is allowed for each sound")
    return names[0], _array(folder, names[0]) if names[0].endswith(".npy") else _numbers(folder, names[0])


def _array(folder: Folder, name: str) -> Frames:
    """An array in NumPy's format. Its header is checked before its numbers are read; pickles are never loaded."""
    with folder.open(name) as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                readers: dict[Any, Any] = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }
                shape, by_column, kind = readers[np.lib.format.read_magic(file)](file)
        except Exception:  # of many kinds: the header is Python source, which is tokenized and parsed
            raise folder.faults.fail(name, None, "this is not a .npy file of NumPy, version 1 or 2") from None
        if kind.kind != "f" or kind.itemsize > 8:
            message = "the array must hold floats of 16, 32 or 64 bits; other numbers and objects are not allowed"
            raise folder.faults.fail(name, None, message)
        if len(shape) != 2:
            raise folder.faults.fail(name, None, f"the array has {len(shape)} axes; frames x dimensions are needed")
        _check_shape(folder.faults, name, *shape)
        data = file.read(shape[0] * shape[1] * kind.itemsize + 1)
        if len(data) != shape[0] * shape[1] * kind.itemsize:
            raise folder.faults.fail(name, None, f"the file must hold {shape[0]} x {shape[1]} numbers and nothing else")
    frames = np.frombuffer(data, kind).reshape(shape, order="F" if by_column else "C")
    return np.asarray(frames, np.float64, order="C")


def _numbers(folder: Folder, name: str) -> Frames:
    """Rows of numbers, one a frame, with commas (.csv) or blanks (.txt) between."""
    separator, between = (",", "commas") if name.endswith(".csv") else (None, "blanks")
    values, width, before = array("d"), 0, folder.faults.count
    for number, line in folder.lines(name):
        if line is None or not line.strip():
            continue
        try:
            row = [float(word) for word in line.split(separator)] if "_" not in line else []
        except ValueError:
            row = []
        width = width or len(row)
        if not row:
            folder.faults.add(name, number, f"the line must hold numbers with {between} between")
        elif len(row) != width:
            folder.faults.add(name, number, f"there are {len(row)} numbers; the first line has {width}")
        elif len(values) + width > MOST_VALUES:
            raise folder.faults.fail(name, number, f"at most {MOST_VALUES} numbers are allowed in a file")
        else:
            values.extend(row)
    if folder.faults.count > before:
        raise EvaluationError(f"{name} is wrong", folder.faults.status)
    if not values:
        raise folder.faults.fail(name, None, "the file is empty; at least one frame is needed")
    _check_shape(folder.faults, name, len(values) // width, width)
    return np.frombuffer(values).reshape(-1, width)


def _check_shape(faults: Faults, name: str, frames: int, dimensions: int) -> None:
    if frames < 1:
        raise faults.fail(name, None, "there are no frames; at least one is needed")
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        message = f"there are {dimensions} dimensions; from 1 to {MOST_DIMENSIONS} are allowed"
        raise faults.fail(name, None, message)
    if frames * dimensions > MOST_VALUES:
        raise faults.fail(name, None, f"there are {frames * dimensions} numbers; at most {MOST_VALUES} are allowed")


def _check_values(faults: Faults, name: str, frames: Frames, distributions: bool) -> None:
    """Raise EvaluationError that names the first frame, from 1, with a number that is not allowed."""
    checks: list[tuple[Any, str]] = [
        (~(np.abs(frames) <= _LARGEST), f"NaN, infinity or a number beyond {_LARGEST:g}; finite numbers")
    ]
    if distributions:
        checks.append((frames < 0, "a negative number; with the distance kl, none"))
        checks.append((~frames.any(axis=1, keepdims=True), "zeros alone; with the distance kl, other numbers"))
    for wrong, words in checks:
        if wrong.any():
            frame = int(np.argmax(wrong.any(axis=1))) + 1
            raise faults.fail(name, None, f"frame {frame} has {words} are allowed")
