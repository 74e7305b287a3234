"""Evaluate one submission in the sandbox: `python -m jobs.programs.evaluation --input FOLDER --output FOLDER`.

The input folder has `evaluation.json`, and the files that it names. Where the submission is a program itself, that runs
first, without the reference data, and what it writes is evaluated. Scores and other files come into the output folder.
Why it failed comes into `error.txt` of the input folder: a code, a colon and a sentence. Submissions, programs and
reference data that are archives are unpacked.
"""

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.programs.evaluators import BUILT_IN
from jobs.programs.evaluators.faults import PACKAGE_MISSING
from jobs.programs.image import Image, unpack_image
from jobs.programs.image_tree import ImageRefused
from jobs.programs.metering import Meter
from jobs.programs.program import SCORES, Program
from jobs.sandbox.bounds import Bounds
from jobs.sandbox.commands import RootImage, Unavailable, launch_command
from jobs.sandbox.reports import Ended, ended

DESCRIPTION, ERROR = "evaluation.json", "error.txt"
PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""The form of a name under which a file is fetched."""
PROGRAM = Program(
    name="EVALUATION",
    command=("{python}", "-m", "jobs.programs.evaluation", "--input", "{input}", "--output", "{output}"),
    progress=r"^evaluated (?P<done>\d+) of (?P<total>100)$",
    results=SCORES,
    error=ERROR,
)
USUAL: Mapping[str, float] = {
    "seconds": 3_600,
    "memory": 4 << 30,
    "processes": 64,
    "output": 1 << 30,
    "files": 10_000,
    "printed": 64_000_000,
}
"""The bounds of a program, where an evaluator has no others. `printed` are bytes."""
MOST: Mapping[str, float] = {
    "seconds": 7 * 86_400,
    "memory": 1 << 40,
    "processes": 4_096,
    "output": 1 << 36,
    "files": 1_000_000,
    "printed": 1_000_000_000,
}
ORGANISERS = 2
"""The exit status by which an evaluator says that its reference data are wrong, and not the submission."""
_SUBMISSION, _REFERENCE, _OUTPUT, _PROGRAM, _GIVEN = "/submission", "/reference", "/output", "/program", "/given"


class Failed(Exception):
    """The evaluation failed: a code for programs, and why."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


def bounds_of(given: Mapping[str, Any]) -> tuple[Bounds, int]:
    """The bounds of a program, and the most bytes that it prints. Raises ValueError that begins with the name of the
    one that is wrong."""
    for name, value in given.items():
        if name not in USUAL:
            raise ValueError(f"{name}: there is no such bound; there are {', '.join(USUAL)}")
        fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MOST[name]
        if not fits or (name != "seconds" and value != int(value)):
            raise ValueError(f"{name}: a number above 0, at most {MOST[name]:,.0f}")
    every = {**USUAL, **given}
    whole = {name: int(every[name]) for name in ("memory", "processes", "output", "files")}
    return Bounds(seconds=float(every["seconds"]), **whole), int(every["printed"])


@dataclass(frozen=True)
class Evaluation:
    """The description of an evaluation, and the folders that it works in."""

    described: Mapping[str, Any]
    input: Path
    output: Path

    def run(self) -> None:
        """Raises Failed."""
        submission = self._unpacked("submission", [self.described["submission"]])
        files = {role: given for role, given in self.described["files"].items() if given}
        image = self._image(files.pop("PROGRAM")) if self.described["executor"] == "CONTAINER" else None
        held = {role: self._unpacked(role.lower(), given) for role, given in files.items()}
        given = {_GIVEN: held["GIVEN"]} if "GIVEN" in held else {}
        if entry := self.described["entryPoint"]:
            submission = self._submitted(submission, str(entry), given)
        shown = {_SUBMISSION: submission, **given}
        shown |= {_REFERENCE: held["REFERENCE"]} if "REFERENCE" in held else {}
        shown |= {_PROGRAM: held["PROGRAM"]} if "PROGRAM" in held else {}
        print("the evaluator runs", flush=True)  # noqa: T201
        words = self._words(image or held.get("PROGRAM"), "REFERENCE" in held)
        how = self._sandboxed("the evaluator", words, shown, self.output, image)
        if how.status == ORGANISERS and not how.code:
            raise Failed("REFERENCE", "the evaluator says that its reference data are wrong; tell the organisers")
        if how.status == PACKAGE_MISSING and not how.code and (name := self.described["program"]):
            needed = ", ".join(BUILT_IN[name].packages)
            raise Failed("PACKAGE", f"{needed}: not all is there on the machine; pip install 'torana[evaluators]'")
        _check("the evaluator", how)

    def _submitted(self, submission: Path, entry: str, given: Mapping[str, Path]) -> Path:
        """Run the submitted program; returns the folder with what it wrote."""
        if not _inside(submission, entry):
            raise Failed("ENTRY_POINT", f"the submission has no file {entry}")
        answers = self.input / "answers"
        answers.mkdir()
        interpreter = [sys.executable, "-B"] if entry.endswith(".py") else ["bash"]
        words = [*interpreter, f"{_SUBMISSION}/{entry}", _GIVEN, _OUTPUT]
        print("the submitted program runs", flush=True)  # noqa: T201
        what = "the submitted program"
        _check(what, self._sandboxed(what, words, {_SUBMISSION: submission, **given}, answers))
        return answers

    def _image(self, files: Sequence[Mapping[str, str]]) -> Image:
        """The root file system of an evaluator that is an image."""
        print("the image of the evaluator is unpacked", flush=True)  # noqa: T201
        try:
            return unpack_image(self.input / files[0]["file"], self.input / "image")
        except ImageRefused as why:
            raise Failed("IMAGE", f"the image of the evaluator is not run: {why}") from None

    def _words(self, program: Path | Image | None, referred: bool) -> list[str]:
        """The command of the evaluator: its program, its arguments, and the folders of the submission, of the reference
        data and of its output."""
        described = self.described
        own, arguments = list(described["executorArguments"]), list(described["arguments"])
        if described["program"]:
            module = BUILT_IN[described["program"]].module
            folders = ("--submission", _SUBMISSION, "--reference", _REFERENCE, "--output", _OUTPUT)
            return [sys.executable, "-B", "-m", module, *folders, *arguments]
        assert program is not None
        last = (_SUBMISSION, _REFERENCE if referred else _SUBMISSION, _OUTPUT)
        if isinstance(program, Image):
            if not (words := [*program.entrypoint, *own, *(arguments or program.command)]):
                raise Failed("IMAGE", "the image of the evaluator names no program")
            return [*words, *last]
        ending = ".py" if described["executor"] == "PYTHON" else ".sh"
        main = _main(program, ending)
        interpreter = [sys.executable, "-B"] if ending == ".py" else ["bash"]
        return [*interpreter, *own, f"{_PROGRAM}/{main}", *arguments, *last]

    def _sandboxed(
        self, what: str, words: Sequence[str], shown: Mapping[str, Path], output: Path, image: Image | None = None
    ) -> Ended:
        bounds, printed = bounds_of(self.described["bounds"])
        report = self.input / f"{output.name}.report"
        try:
            root = RootImage(image.root, image.variables, image.folder or _OUTPUT) if image else None
            command = launch_command(bounds, words, read_only=shown, output=output, report=report, image=root)
        except Unavailable as why:
            raise Failed("NO_SANDBOX", f"{why} Nothing is run without") from None
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=False
        )
        assert process.stdout is not None
        assert process.stderr is not None
        meter = Meter(printed, process)
        readers = [
            threading.Thread(target=meter.pass_on, args=pair, daemon=True)
            for pair in ((process.stdout, sys.stdout.buffer), (process.stderr, sys.stderr.buffer))
        ]
        for reader in readers:
            reader.start()
        status = process.wait()
        for reader in readers:
            reader.join()
        if meter.over:
            raise Failed("PRINTED", f"{what} printed more than {printed:,} bytes and was ended")
        found = ended(report, status)
        for text in found.left_out:
            print(text, flush=True)  # noqa: T201
        return found

    def _unpacked(self, name: str, files: Sequence[Mapping[str, str]]) -> Path:
        """A folder with these files; archives are unpacked into it."""
        what = "the submission" if name == "submission" else "a file of the evaluator"
        return unpacked(what, self.input, files, self.input / f"of-{name}")


def _check(what: str, how: Ended) -> None:
    if how.code:
        named = how.why.replace("the program", what, 1)
        raise Failed(how.code, named if what in named else f"{what}: {named}")
    if how.status < 0:
        raise Failed("PROGRAM_FAILED", f"{what} was ended by signal {-how.status}")
    if how.status > 0:
        raise Failed("PROGRAM_FAILED", f"{what} ended with exit status {how.status}")


def _inside(folder: Path, name: str) -> bool:
    path = (folder / name).resolve()
    return path.is_relative_to(folder.resolve()) and path.is_file()


def _main(program: Path, ending: str) -> str:
    """The file that a program begins with: its only one, or `main`."""
    files = sorted(path.relative_to(program).as_posix() for path in program.rglob(f"*{ending}") if path.is_file())
    if (main := f"main{ending}") in files:
        return main
    if len(files) != 1:
        raise Failed("EVALUATOR", f"the program of the evaluator has no file {main}")
    return files[0]


def unpacked(what: str, source: Path, files: Sequence[Mapping[str, str]], folder: Path) -> Path:
    """A new folder with these files, as a description names them; archives are unpacked into it. The gateway has looked
    into what was uploaded. Raises Failed."""
    folder.mkdir()
    for file in files:
        try:
            _unpack(source / file["file"], file["name"], folder)
        except (OSError, ValueError, RuntimeError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            code = "UNPACK" if what == "the submission" else "EVALUATOR"
            raise Failed(code, f"{what} can't be unpacked: {type(error).__name__}") from None
    return folder


def _unpack(source: Path, name: str, folder: Path) -> None:
    lower = name.lower()
    if lower.endswith(".zip"):
        with zipfile.ZipFile(source) as archive:
            for entry in archive.infolist():
                kind = entry.external_attr >> 28
                if kind not in (0, 0o4, 0o10):  # neither a folder nor a file
                    raise ValueError(entry.filename)
                archive.extract(entry, folder)
    elif lower.endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
    else:
        shutil.move(source, folder / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        Evaluation(json.loads((given.input / DESCRIPTION).read_text()), given.input, given.output).run()
    except Failed as failure:
        (given.input / ERROR).write_text(f"{failure.code}: {failure}")
        print(failure, file=sys.stderr, flush=True)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
