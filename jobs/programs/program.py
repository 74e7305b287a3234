"""The description of a simulation program for the gateway and the worker. It travels to the worker as plain JSON.

It needs only the standard library, because a worker on a cluster's node has nothing else.
"""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

from jobs.programs import placeholders, readers, tokens
from jobs.programs.decoded import text_by_text, texts
from jobs.programs.edits import Edit, read_edits
from jobs.programs.outputs import Stamp
from jobs.programs.plan import InputError
from jobs.programs.progress import told
from jobs.programs.seeds import MAX_SEED, seed_of
from jobs.programs.texts import unified

AS_FILES, SCORES = "files", "scores"
"""The results of a program whose output folder's files are delivered as they are, and of one that writes scores."""
FILES, EDITOR = "FILES", "EDITOR"
"""The kinds of input: native files by name, or a project of the editor, which is converted to native files."""
FORMATS = ("shieldhit", "fluka")  # that projects of the editor are converted to
MAX_PRIMARIES = 1_000_000_000

Checker = Callable[[Mapping[str, str]], int]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_WORDS = frozenset(("input", "output", "primaries", "task", "seed", "python", "file"))
_EDIT_WORDS = frozenset(("primaries", "task", "seed"))


@dataclass(frozen=True)
class Program:
    """A program that tasks run. Raises ValueError that begins with the field that is wrong.

    `name` is what users choose. `command` is run without a shell in the folder {output}; its words may hold {input},
    {output} (folders), {file} (the input file that fits the first of `files`), {primaries}, {task} (from 1), {seed}
    and {python} (the interpreter of the worker). `files` names required input files, by patterns such as *.inp.
    `primaries` has for such a name the regular expression whose only group is the number of primaries. `progress` is a
    regular expression with the groups `done` and, perhaps, `total`; it is looked for in lines of the standard output,
    and in the file that fits `log`, if given, below {output}. `results` is the reader of {output}, or "files": what
    lies there is delivered as files. `partial` says that results may be read while it runs. `together` says that the
    program reads and writes in one folder, so {input} is {output}. `checker` reads the input better than `primaries`
    does; it stays on the gateway. `format` is that of the native files that a project of the editor becomes. `seed` has
    regular expressions like `primaries`, for the seed that the input names: it is 0 where nothing fits. `error` names
    the file in {input} in which the program says why it failed. `ignored` has
    those of what is no input, such as titles and comments: nothing is read or edited there.
    """

    name: str
    command: tuple[str, ...]
    results: str
    kinds: tuple[str, ...] = (FILES,)
    files: tuple[str, ...] = ()
    primaries: Mapping[str, str] = field(default_factory=dict)
    format: str = FORMATS[0]
    seed: Mapping[str, str] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    progress: str = ""
    log: str = ""
    partial: bool = False
    together: bool = False
    error: str = ""
    checker: Checker | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        _require(_NAME.fullmatch(self.name), "name", "letters, digits, dashes and underscores, a letter first")
        _require(self.command, "command", "at least the program must be named")
        for index, word in enumerate(self.command):
            placeholders.check(word, _WORDS, f"command[{index}]")
        used = {name for word in self.command for name in placeholders.names_in(word)}
        _require("file" not in used or self.files, "command", "{file} needs the pattern of a file in files")
        _require(self.kinds, "kinds", "one of FILES, EDITOR is needed")
        for kind in self.kinds:
            _require(kind in (FILES, EDITOR), "kinds", f"{kind!r} is not one of FILES, EDITOR")
        for index, pattern in enumerate(self.files):
            _check_pattern(pattern, f"files[{index}]")
        known = self.primaries or self.checker or self.results in (AS_FILES, SCORES)
        _require(known, "primaries", "how to find their number in the input is missing")
        _require(self.format in FORMATS, "format", f"{self.format!r} is none of {sorted(FORMATS)}")
        for key, regexes in (("primaries", self.primaries), ("seed", self.seed)):
            for pattern, regex in regexes.items():
                _check_pattern(pattern, key)
                groups = _compiled(regex, f"{key}.{pattern}").groups
                _require(groups == 1, f"{key}.{pattern}", f"one group is needed, not {groups}")
        for pattern, regex in self.ignored.items():
            _check_pattern(pattern, "ignored")
            _compiled(regex, f"ignored.{pattern}")
        for index, edit in enumerate(self.edits):
            _check_pattern(edit.file, f"edits[{index}].file")
            _compiled(edit.find, f"edits[{index}].find")
            placeholders.check(edit.put, _EDIT_WORDS, f"edits[{index}].put")
        if self.progress:
            groups_of = set(_compiled(self.progress, "progress").groupindex)
            _require("done" in groups_of, "progress", "the group (?P<done>...) is missing")
            _require(groups_of <= {"done", "total"}, "progress", "only the groups done and total may have names")
        _require(self.progress or not self.log, "log", "without progress nothing is looked for in it")
        _require(not self.log.startswith("/") and ".." not in self.log, "log", "it must lie in the output folder")
        taken = {*readers.READERS, AS_FILES}
        _require(self.results in taken, "results", f"{self.results!r} is none of {sorted(taken)}")

    @classmethod
    def read(cls, description: object, ready: Mapping[str, "Program"] | None = None) -> "Program":
        """The program of a decoded JSON object; raises ValueError that begins with the wrong field.

        `like` names one of `ready`, from which missing fields are taken. A command of one word then is only the
        program's path, and the arguments stay.
        """
        if not isinstance(description, Mapping):
            raise ValueError("a program is an object")
        given = dict(description)
        if "like" in given:
            given = _completed(given, ready or {})
        known = [f.name for f in fields(cls) if f.name != "checker"]
        for key in given:
            _require(key in known, str(key), f"there is no such field; there are {', '.join(known)}")
        for key in ("name", "command", "results"):
            _require(key in given, key, "it is missing")
        for key in ("name", "results", "progress", "log", "format", "error"):
            _require(isinstance(given.get(key, ""), str), key, "it must be a text")
        for key in ("partial", "together"):
            _require(isinstance(given.get(key, False), bool), key, "it must be true or false")
        for key in ("command", "kinds", "files"):
            if key in given:
                given[key] = texts(given[key], key)
        for key in ("primaries", "seed", "ignored"):
            if key in given:
                given[key] = text_by_text(given[key], key)
        if "edits" in given:
            given["edits"] = read_edits(given["edits"])
        return cls(**given)

    def description(self) -> dict[str, Any]:
        """A description from which `read` makes the same program, except its checker: plain JSON, complete."""
        result: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "checker"}
        for key in ("command", "kinds", "files"):
            result[key] = list(result[key])
        for key in ("primaries", "seed", "ignored"):
            result[key] = dict(result[key])
        if not self.error:  # workers of earlier versions don't know it
            del result["error"]
        result["edits"] = [{"file": edit.file, "find": edit.find, "put": edit.put} for edit in self.edits]
        return result

    def accept(self, kind: str, given: object) -> tuple[dict[str, str], int]:
        """Native input files, by name, of a user's input of this kind, and the primaries that they ask for.

        Raises InputError, which names file and line, or the path in the editor's project.
        """
        if kind not in self.kinds:
            raise InputError("input", None, f"{self.name} takes {' and '.join(self.kinds)}, not {kind}")
        if kind == EDITOR:
            conversion = import_module("jobs.programs.editor.conversion").convert(given, self.format)
            try:
                return dict(conversion.files), self.check(conversion.files)
            except InputError as error:
                raise conversion.blame(error) from None
        if not isinstance(given, Mapping) or not all(isinstance(item, str) for pair in given.items() for item in pair):
            raise InputError("input", None, "input files are an object of file name to text")
        files = {name: unified(text) for name, text in given.items()}
        return files, self.check(files)

    def check(self, files: Mapping[str, str]) -> int:
        """The primaries that native input files, by name, ask for; raises InputError."""
        if self.checker is not None:
            return self.checker(files)
        for pattern in self.files:
            if not _fitting(files, pattern):
                raise InputError(pattern, None, f"file is missing; required are {', '.join(self.files)}")
        if any("file" in placeholders.names_in(word) for word in self.command):
            several = _fitting(files, self.files[0])
            if len(several) > 1:
                raise InputError(several[1], None, f"only one file may be named like {self.files[0]}")
        for edit in self.edits:
            if not self._found(files, {edit.file: edit.find}):
                name = next(iter(_fitting(files, edit.file)), edit.file)
                message = f"card {tokens.card(edit.find)} is missing, where a task's own numbers are put"
                raise InputError(name, None, message)
        if self.seed:
            tokens.number(self._found(files, self.seed), "seed", 0, tokens.MAX_WHOLE)
        number = tokens.number(self._found(files, self.primaries), "number of primaries", 1, MAX_PRIMARIES)
        if number is None:
            pattern, regex = next(iter(self.primaries.items()))
            name = next(iter(_fitting(files, pattern)), pattern)
            raise InputError(name, None, f"the number of primaries is missing: there is no card {tokens.card(regex)}")
        return number

    def _found(self, files: Mapping[str, str], regexes: Mapping[str, str]) -> list[tuple[str, re.Match[str]]]:
        return [
            (name, match)
            for pattern, regex in regexes.items()
            for name in _fitting(files, pattern)
            for match in tokens.matches(regex, files[name], self._ignored_in(name))
        ]

    def _ignored_in(self, name: str) -> str | None:
        return "|".join(f"(?:{regex})" for pattern, regex in self.ignored.items() if fnmatchcase(name, pattern)) or None

    def seed_in(self, input: Path, task: int) -> int:
        """The seed of a task (from 1) by the seed that the files in `input` name."""
        paths = {path for pattern in self.seed for path in _paths(input, pattern)}
        files = {path.name: path.read_text(encoding="utf-8") for path in sorted(paths)}
        named = [tokens.whole(match[1] or "") for _, match in self._found(files, self.seed)]
        return seed_of((named[0] if named else None) or 0, task)

    def prepare(self, input: Path, primaries: int, task: int, seed: int) -> None:
        """Insert the numbers of a task into the files in `input`, where `edits` says so, before the program starts.

        Raises ValueError when a number is out of range or has no place in the files.
        """
        values = _numbers(primaries, task, seed)
        for edit in self.edits:
            places = 0
            for path in _paths(input, edit.file):
                text, count = edit.apply(path.read_text(encoding="utf-8"), values, self._ignored_in(path.name))
                path.write_text(text, encoding="utf-8")
                places += count
            if not places:
                raise ValueError(f"{edit.file}: nothing fits {edit.find!r}")

    def start_command(self, input: Path, output: Path, primaries: int, task: int, seed: int) -> list[str]:
        """The words of the command for task number `task` (from 1); raises ValueError when {file} is not there."""
        values: dict[str, object] = {**_numbers(primaries, task, seed), "input": input, "output": output}
        values["python"] = sys.executable
        if any("file" in placeholders.names_in(word) for word in self.command):
            found = _paths(input, self.files[0])
            if len(found) != 1:
                raise ValueError(f"{self.files[0]}: one input file is needed, not {len(found)}")
            values["file"] = found[0]
        return [placeholders.filled(word, values) for word in self.command]

    def progress_of(self, line: str) -> tuple[int, int | None] | None:
        """The primaries done and, if known, to do, when a line of the output or the log tells them. Raises ValueError
        for what is no number of primaries."""
        return told(self.progress, line)

    def results_in(
        self, folder: Path, primaries: int | None = None, before: Mapping[str, Stamp] | None = None
    ) -> readers.Reading:
        """What was written to a folder; `primaries` are those of the task, for files that do not say, and `before` has
        the files as they were at its start. Raises readers.OutputError."""
        return readers.read(self.results, folder, primaries, before)


def _completed(given: dict[str, Any], ready: Mapping[str, Program]) -> dict[str, Any]:
    like = given.pop("like")
    if not isinstance(like, str) or like not in ready:
        raise ValueError(f"like: {like!r} is none of {sorted(ready)}")
    model = ready[like].description()
    command = given.get("command")
    if isinstance(command, (list, tuple)) and len(command) == 1:
        given["command"] = [command[0], *model["command"][1:]]
    return {**model, **given}


def _require(condition: object, name: str, message: str) -> None:
    if not condition:
        raise ValueError(f"{name}: {message}")


def _compiled(regex: str, name: str) -> re.Pattern[str]:
    try:
        return re.compile(regex, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"{name}: {regex!r} is not a regular expression: {error}") from None


def _check_pattern(pattern: str, name: str) -> None:
    _require(re.fullmatch(r"[A-Za-z0-9._*?-]{1,128}", pattern), name, f"{pattern!r} is not the pattern of a file name")


def _numbers(primaries: int, task: int, seed: int) -> dict[str, object]:
    _require(1 <= primaries <= MAX_PRIMARIES, "primaries", f"{primaries} is not within 1 to {MAX_PRIMARIES}")
    _require(task >= 1, "task", f"{task} is less than 1")
    _require(1 <= seed <= MAX_SEED, "seed", f"{seed} is not within 1 to {MAX_SEED}")
    return {"primaries": primaries, "task": task, "seed": seed}


def _paths(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.iterdir() if fnmatchcase(path.name, pattern))


def _fitting(files: Mapping[str, str], pattern: str) -> list[str]:
    return sorted(name for name in files if fnmatchcase(name, pattern))
