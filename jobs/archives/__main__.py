"""`python -m jobs.archives PATH NAME`: print as JSON what is wrong with an archive, or null."""

import contextlib
import json
import resource
import sys
import tempfile
from typing import BinaryIO

from jobs.archives import tars, zips
from jobs.archives.findings import DEPTH, NESTED, Finding, Tally

MEMORY = 1 << 30
"""Bytes of memory that the process may have."""
SECONDS = 1_800
"""Seconds of the processor that it may take."""
ENDS = (".zip", *tars.OPENED)


def look(name: str, file: BinaryIO, tally: Tally, depth: int = 1) -> None:
    """Raise Finding for an archive that is not taken, or that holds one that is not."""

    def below(inner: str, content: BinaryIO, tally: Tally) -> None:
        if inner.lower().endswith(ENDS):
            _inside(inner, content, tally, depth + 1)

    if name.lower().endswith(".zip"):
        zips.look(file, tally, below)
    else:
        tars.look(name, file, tally, below)


def _inside(name: str, content: BinaryIO, tally: Tally, depth: int) -> None:
    if depth > DEPTH:
        raise Finding("ARCHIVE_NESTED", f"archives lie more than {DEPTH} deep in each other", name)
    with tempfile.TemporaryFile() as spooled:
        done = 0
        while piece := content.read(zips.CHUNK):
            done += len(piece)
            if done > NESTED:
                raise Finding("ARCHIVE_NESTED", f"an archive inside has more than {NESTED:,} bytes", name)
            spooled.write(piece)
        spooled.seek(0)
        try:
            look(name, spooled, tally, depth)
        except Finding as finding:
            if finding.told["code"] == "ARCHIVE_BROKEN":  # a file of this name need not be one
                return
            raise


def main() -> None:
    path, name = sys.argv[1:3]
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # already lower
            resource.setrlimit(what, (most, most))
    finding = None
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            look(name, file, Tally(size))
    except Finding as found:
        finding = found.told
    except (MemoryError, RecursionError):
        finding = {"code": "ARCHIVE_UNREADABLE", "message": "it could not be looked through within its bounds"}
    json.dump(finding, sys.stdout)


main()
