"""names.json: the users' names of outputs and quantities, stored beside the native files, which have no place for
them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobs.programs.outputs import Outputs
from jobs.programs.plan import InputError, Output
from jobs.programs.shieldhit.cards import checked, quoted

FILE = "names.json"
MAX_NAME = 100


@dataclass(frozen=True)
class Named:
    """What a user calls an output, and its quantities in the order of their pages."""

    name: str
    quantities: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: Any) -> "Named | None":
        """The name alone, or an object of `name` and `quantities`; None for anything else."""
        if isinstance(given, str):
            return cls(given)
        if not isinstance(given, dict) or given.keys() != {"name", "quantities"}:
            return None
        name, quantities = given["name"], given["quantities"]
        if not isinstance(name, str) or not isinstance(quantities, list):
            return None
        return cls(name, tuple(quantities)) if all(isinstance(one, str) for one in quantities) else None

    def title(self, number: int) -> str | None:
        """What the quantity of a page is called, if anything."""
        return self.quantities[number] if number < len(self.quantities) else None

    def metadata(self, number: int) -> dict[str, str]:
        """The same, as metadata of the page."""
        title = self.title(number)
        return {"title": title} if title else {}


def write(names: Mapping[str, Named]) -> str:
    """Text of names.json for names by file name."""
    given = {file: {"name": one.name, "quantities": one.quantities} for file, one in names.items()}
    return json.dumps(given, indent=2) + "\n"


def found(outputs: Outputs) -> dict[str, Named]:
    """What names.json says, by file name; what has another shape says nothing."""
    try:
        given = json.loads(outputs.text(FILE))
    except (OSError, ValueError, RecursionError):
        return {}
    pairs = given.items() if isinstance(given, dict) else ()
    return {file: named for file, one in pairs if (named := Named.of(one)) is not None}


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
    called: dict[str, Named] = {}
    for file_name, given in names.items():
        if file_name not in known:
            raise InputError(FILE, None, f"{quoted(file_name)} is not a Filename of detect.dat")
        named = Named.of(given)
        if named is None or not all(map(_is_name, (named.name, *named.quantities))):
            message = f"the name of {file_name} must be one line of 1 to {MAX_NAME} printable characters"
            raise InputError(FILE, None, f"{message}, or an object of such a name and a list of them as quantities")
        called[file_name] = named
    return tuple(_named(output, called.get(output.filename)) for output in outputs)


def _is_name(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME and text.isprintable()


def _named(output: Output, named: Named | None) -> Output:
    if named is None:
        return output
    pages = tuple(replace(page, title=named.title(page.number)) for page in output.pages)
    return replace(output, name=named.name, pages=pages)
