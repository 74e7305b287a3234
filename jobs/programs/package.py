"""Make the packages of a specification: a wheel, a source distribution, and its models as JSON Schema.

It runs as the program of a task: `python -m jobs.programs.package --input FOLDER --output FOLDER`. The input folder has
the specification as JSON, and `package.json`: `{"name": ..., "version": ..., "title": ..., "description": ...}`.
Nothing of the specification is run; the models that were generated are imported, to find out whether they can be.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from jobs.programs.program import AS_FILES, Program
from jobs.specs.compiling import compiled
from jobs.specs.distributions import Package, source_distribution, wheel
from jobs.specs.faults import Faulty
from jobs.specs.json_schema import json_schema
from jobs.specs.trying import tried

DESCRIPTION, SPECIFICATION = "package.json", "spec.json"
SCHEMA = ".schema.json"
"""How the name of the file with the JSON Schema ends, after name and version."""

PROGRAM = Program(
    name="PACKAGE",
    command=("{python}", "-m", "jobs.programs.package", "--input", "{input}", "--output", "{output}"),
    progress=r"^made (?P<done>\d+) of (?P<total>\d+)",
    results=AS_FILES,
)


def build(source: Path, target: Path) -> None:
    """Write the packages; says what it does. Raises Faulty for a specification that describes no tables, or such as
    SQLAlchemy does not take."""
    package = Package(**json.loads((source / DESCRIPTION).read_text()))
    tables = compiled(json.loads((source / SPECIFICATION).read_text()))
    _say(f"{package.name} {package.version}: {tables.count} models")
    with tempfile.TemporaryDirectory() as folder:
        tried(package, tables, Path(folder))
    _say("its models were imported, and their tables written for SQLite and PostgreSQL")
    schema = json.dumps(json_schema(tables), indent=2, sort_keys=True).encode() + b"\n"
    made = (wheel(package, tables), source_distribution(package, tables), (f"{package.stem}{SCHEMA}", schema))
    for number, (name, content) in enumerate(made, 1):
        (target / name).write_bytes(content)
        _say(f"made {number} of {len(made)}: {name}, {len(content):,} bytes")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    try:
        build(given.input, given.output)
    except Faulty as faulty:
        for fault in faulty.faults:
            _say(f"{fault.pointer or '/'}: {fault.message}")
        sys.exit(1)


if __name__ == "__main__":
    main()
