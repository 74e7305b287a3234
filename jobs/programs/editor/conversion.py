"""Convert projects of YAPTIDE's editor to native input, by the format of that input alone: what a program can do with
it is for the program to check."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from jobs.programs.editor.fluka.files import files as fluka
from jobs.programs.editor.project import read
from jobs.programs.editor.shieldhit.files import files as shieldhit
from jobs.programs.editor.values import NativeFile
from jobs.programs.editor.work import Work
from jobs.programs.plan import InputError
from jobs.programs.texts import LEFT_OUT

FORMATS = {"shieldhit": shieldhit, "fluka": fluka}


@dataclass(frozen=True)
class Conversion:
    """Native files (name -> text), and where in the project they come from."""

    files: Mapping[str, str]
    sources: Mapping[str, NativeFile]

    def blame(self, error: InputError) -> InputError:
        """An error in the files, as one of the project: its `file` is the path of what is to blame."""
        source = self.sources.get(error.file)
        return error if source is None else InputError(source.blamed(error.line), None, error.message)


def convert(project: object, format: str = "shieldhit") -> Conversion:
    """The native files of a decoded project for programs that read `format`: "shieldhit" or "fluka".

    Lengths are in cm, energies in MeV. Raises InputError, whose `file` is the path in the project, such as
    `beam.particle.id`, or "$" for the whole, and whose `line` is None. A quantity that the format can't express is
    left out, and named in warnings.json; an output that would have no quantity is an error. So is a project that takes
    more than about a second or 50 MB.
    """
    work = Work()
    native, others, warnings = FORMATS[format](read(project, work), work)
    texts = {**{file.name: file.text() for file in native}, **others}
    if warnings:
        texts[LEFT_OUT] = json.dumps(warnings, indent=2) + "\n"
    return Conversion(texts, {file.name: file for file in native})
