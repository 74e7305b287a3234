"""names.json: what users call the outputs, by file name, beside the native files, which have no place for it."""

import json
from collections.abc import Mapping
from dataclasses import replace

from jobs.programs.cards import checked, quoted
from jobs.programs.plan import InputError, Output

FILE = "names.json"
MAX_NAME = 100


def write(names: Mapping[str, str]) -> str:
    """Text of names.json for names by file name."""
    return json.dumps(names, indent=2) + "\n"


def renamed(outputs: tuple[Output, ...], text: str | None) -> tuple[Output, ...]:
    """The outputs with the names of names.json, where it has any; raises InputError."""
    if text is None:
        return outputs
    checked(FILE, text)
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(FILE, None, "file is not JSON") from None
    if not isinstance(names, dict):
        raise InputError(FILE, None, "allowed is an object of file name to name")
    known = {output.filename for output in outputs}
    for file_name, name in names.items():
        if file_name not in known:
            raise InputError(FILE, None, f"{quoted(file_name)} is not a Filename of detect.dat")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
            message = f"the name of {file_name} must be one line of 1 to {MAX_NAME} printable characters"
            raise InputError(FILE, None, message)
    return tuple(replace(output, name=names.get(output.filename, output.name)) for output in outputs)
