"""The command that starts a program in the sandbox, and whether there can be one on this machine."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from jobs.sandbox import bubblewrap, calls, reports
from jobs.sandbox.bounds import Bounds
from jobs.sandbox.launcher import BUBBLEWRAP, NAMESPACES
from jobs.sandbox.order import OUTPUT, Order

_TRIAL = Bounds(seconds=20.0, memory=1 << 30, processes=32, output=1 << 20, files=64)
_TRIED = 60.0


@dataclass(frozen=True)
class RootImage:
    """The folder of a root file system, the variables that its programs get, and where they work inside."""

    root: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: str = OUTPUT


class Unavailable(Exception):
    """Why no sandbox can be made on this machine, for its operator."""


@cache
def available() -> str:
    """The means by which sandboxes are made on this machine: "namespaces" or "bubblewrap". It is tried once, really.
    Raises Unavailable."""
    if sys.platform != "linux":
        raise Unavailable("The sandbox needs Linux.")
    if not calls.known():
        raise Unavailable("The sandbox needs a machine of x86-64 or 64-bit ARM.")
    reasons = []
    for means in (NAMESPACES, BUBBLEWRAP):
        if means == BUBBLEWRAP and (os.geteuid() == 0 or shutil.which("bwrap") is None):
            continue  # root would keep too much of its power in it
        why = _tried(means)
        if not why:
            return means
        reasons.append(f"By {means}: {why}.")
    raise Unavailable(
        "No program can be isolated on this machine. Let the worker's user make user namespaces, or install "
        f"Bubblewrap. {' '.join(reasons)}"
    )


def launch_command(
    bounds: Bounds,
    words: Sequence[str],
    *,
    read_only: Mapping[str, Path],
    output: Path,
    report: Path,
    runtime: Sequence[Path] = (),
    image: RootImage | None = None,
) -> list[str]:
    """The command of a launcher that runs `words` within the bounds.

    `read_only` has for a path inside, such as /submission, a folder or file outside. The program works in /output; its
    regular files are copied into the folder `output`, which is there and empty, when all inside has ended, whether it
    did well or not. It has the standard output and errors of the launcher, and no input. `runtime` are further paths
    that are shown at their own place. With an `image` the program sees its files in place of the machine's, and works
    in the folder that it names. `reports.ended` reads the file `report` afterwards. Raises Unavailable, and
    ValueError that begins with the argument that is wrong.
    """
    means = available()
    if image is not None and means == BUBBLEWRAP:
        raise Unavailable(
            "No image of a container can be run on this machine. Let the worker's user make user namespaces: by "
            "Bubblewrap the first process is one of the machine."
        )
    return _command(
        means, bounds, words, read_only=read_only, output=output, report=report, runtime=runtime, image=image
    )


def _command(
    means: str,
    bounds: Bounds,
    words: Sequence[str],
    *,
    read_only: Mapping[str, Path],
    output: Path,
    report: Path,
    runtime: Sequence[Path] = (),
    image: RootImage | None = None,
) -> list[str]:
    package = Path(__file__).parents[1]
    modules = package.parent  # a folder, or the zip application that the package lies in
    own = (Path(sys.prefix), Path(sys.base_prefix), package if modules.is_dir() else modules)
    order = Order(
        means=means,
        bounds=bounds,
        words=tuple(words),
        read_only={target: str(source.absolute()) for target, source in read_only.items()},
        output=str(output.absolute()),
        report=str(report.absolute()),
        runtime=() if image else tuple(str(path.absolute()) for path in (*own, *runtime)),
        modules=str(modules.absolute()),
        python=os.path.dirname(sys.executable),
        image=str(image.root.absolute()) if image else None,
        variables=image.variables if image else {},
        folder=image.folder if image else OUTPUT,
    )
    start = bubblewrap.START.format("launcher")
    return [sys.executable, "-I", "-S", "-c", start, order.modules, order.text()]


def _tried(means: str) -> str:
    """Why a means does not work; empty when it does."""
    with tempfile.TemporaryDirectory() as folder:
        output, report = Path(folder, "output"), Path(folder, "report")
        output.mkdir()
        try:
            command = _command(means, _TRIAL, ["true"], read_only={}, output=output, report=report)
            trial = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TRIED, check=False, cwd=folder
            )
        except subprocess.TimeoutExpired:
            return "it took too long"
        except (OSError, ValueError) as error:
            return str(getattr(error, "strerror", None) or error)
        ended = reports.ended(report, trial.returncode)
        return "" if ended.good else ended.why
