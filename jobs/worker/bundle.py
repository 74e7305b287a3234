"""Pack the worker into one file that any Python from 3.11 on runs without installation. It is sent to clusters."""

import io
import zipfile
from functools import cache
from pathlib import Path

MAIN = """\
import os
import sys

if sys.version_info < (3, 11):
    sys.exit("the worker needs Python 3.11, this is " + sys.version.split()[0])

# Programs that are modules of this file, such as the built-in one, are started by their name.
paths = [os.path.dirname(os.path.abspath(__file__)), os.environ.get("PYTHONPATH")]
os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)

from jobs.worker.main import main

main()
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@cache
def bundle() -> bytes:
    """A zip application of the package `jobs`, the same bytes for the same sources."""
    here = Path(__file__).parents[1]
    files = {f"jobs/{path.relative_to(here).as_posix()}": path.read_bytes() for path in sorted(here.rglob("*.py"))}
    target = io.BytesIO(b"#!/usr/bin/env python3\n")
    target.seek(0, io.SEEK_END)
    with zipfile.ZipFile(target, "a") as archive:
        for name, content in {"__main__.py": MAIN.encode(), **files}.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return target.getvalue()
