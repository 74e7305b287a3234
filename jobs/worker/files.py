"""Files of a task: fetch those that it needs, and upload those that it delivers by tus 1.0, with the standard library.

Both go on where they were when the gateway was away for a while.
"""

import base64
import hashlib
import http.client
import os
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from jobs.programs.outputs import Outputs
from jobs.results.names import printable
from jobs.worker.gateway import PASSING, PATIENCE, Gateway, Refused, Unreachable, why

T = TypeVar("T")

CHUNK = 1 << 20
SILENCE = 60.0
"""Seconds for which a connection may be silent."""
AGAIN = (409, 423)
"""Statuses of tus after which the offset is asked for again."""
DELIVER = "mutation Deliver($uploads: [ID!]!) { workerDeliver(uploads: $uploads) { state } }"
CHECKED = 3_600.0
"""Seconds for which a worker waits until its files were checked."""


def fetch(gateway: Gateway, path: str, target: Path, digest: str | None) -> None:
    """Fetch a file; raises Refused, Unreachable, and ValueError for other bytes than those of the digest."""

    def once() -> None:
        hasher = hashlib.sha256()
        with _sent(gateway.address + path, {}) as answer, target.open("wb") as file:
            while piece := answer.read(CHUNK):
                file.write(piece)
                hasher.update(piece)
        if digest is not None and hasher.hexdigest() != digest:
            raise ValueError(f"{target.name} did not arrive as it was sent")

    _patiently(once)


def upload(gateway: Gateway, file: Path, purpose: str, name: str | None = None) -> str:
    """Upload a file, by another name if one is given; returns the global id of the upload. Raises Refused, Unreachable,
    OSError, and ValueError for a file that something still writes."""
    before = file.stat()
    digest, size = _digest(file, before.st_size), before.st_size
    _check_same(before, file.stat())
    meta = {"filename": printable(name or file.name), "purpose": purpose, "checksum": f"sha256 {digest}"}
    spelled = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in meta.items())

    def begin() -> str:
        headers = {"Upload-Length": str(size), "Upload-Metadata": spelled}
        with _sent(f"{gateway.address}/uploads", gateway.bearer | headers, "POST", b"") as answer:
            return str(answer.headers["Location"])

    place = urllib.parse.urljoin(f"{gateway.address}/", _patiently(begin))
    done = 0

    def send() -> None:
        nonlocal done
        with _sent(place, gateway.bearer, "HEAD") as answer:
            done = int(answer.headers["Upload-Offset"])
        with file.open("rb") as content:
            content.seek(done)
            headers = {"Upload-Offset": str(done), "Content-Type": "application/offset+octet-stream"}
            sized = {"Content-Length": str(size - done)}
            if done < size:
                _sent(place, gateway.bearer | headers | sized, "PATCH", _Rest(content, size - done)).close()

    _patiently(send, lambda: done)
    _check_same(before, file.stat())
    key = place.rpartition("/")[2]
    return base64.b64encode(f"Upload:{key}".encode()).decode()


def deliver(gateway: Gateway, outputs: Outputs, purpose: str) -> None:
    """Upload all files that a program wrote, and end the task with them. Raises Refused, Unreachable, OSError, and
    ValueError."""
    files = outputs.fitting("*")
    if not files:
        raise ValueError("the program wrote no file")
    gateway.ask(DELIVER, CHECKED, uploads=[upload(gateway, file, purpose) for file in files])


def _patiently(work: Callable[[], T], progress: Callable[[], int] = lambda: 0) -> T:
    """Try for as long as it may pass by itself, ever more slowly; what gets further begins to wait anew."""
    deadline, pause, before = time.monotonic() + PATIENCE, 0.2, 0
    while True:
        try:
            return work()
        except _Passing as failure:
            why = str(failure)
        except (OSError, http.client.HTTPException) as failure:
            why = type(failure).__name__
        if (now := progress()) > before:
            deadline, pause, before = time.monotonic() + PATIENCE, 0.2, now
        if time.monotonic() > deadline:
            raise Unreachable(f"the gateway did not answer: {why}")
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
        pause = min(pause * 2, 5.0)


class _Passing(Exception):
    """The gateway said that it may be tried again."""


def _sent(address: str, headers: Mapping[str, str], method: str = "GET", body: Any = None) -> Any:
    given = {"Tus-Resumable": "1.0.0", **headers}
    request = urllib.request.Request(address, body, given, method=method)  # noqa: S310
    try:
        return urllib.request.urlopen(request, timeout=SILENCE)  # noqa: S310
    except urllib.error.HTTPError as error:
        code, message = why(error)
        if error.code in AGAIN or code in PASSING:
            raise _Passing(message) from None
        raise Refused(message, code) from None


class _Rest:
    """The next bytes of a file, as many as it had before its upload began."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = CHUNK) -> bytes:
        piece = self._file.read(min(size, self._left))
        if self._left and not piece:
            raise ValueError("it shrank during its upload")
        self._left -= len(piece)
        return piece


def _digest(file: Path, size: int) -> str:
    hasher = hashlib.sha256()
    with file.open("rb") as content:
        rest = _Rest(content, size)
        while piece := rest.read():
            hasher.update(piece)
    return hasher.hexdigest()


def _check_same(before: os.stat_result, now: os.stat_result) -> None:
    if now.st_size != before.st_size:
        how = "grew" if now.st_size > before.st_size else "shrank"
        raise ValueError(f"it {how} during its upload: something that the program left behind still writes it")
    if now.st_mtime_ns != before.st_mtime_ns:
        raise ValueError("it changed during its upload: something that the program left behind still writes it")
