"""Files of a task: fetch those that it needs, and upload those that it delivers by tus 1.0, with the standard library.

Both go on where they were when the gateway was away for a while.
"""

import base64
import hashlib
import http.client
import json
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from jobs.worker.gateway import PASSING, PATIENCE, Gateway, Refused, Unreachable

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


def upload(gateway: Gateway, file: Path, purpose: str) -> str:
    """Upload a file; returns the global id of the upload."""
    digest, size = _digest(file), file.stat().st_size
    meta = {"filename": file.name, "purpose": purpose, "checksum": f"sha256 {digest}"}
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
                _sent(place, gateway.bearer | headers | sized, "PATCH", content).close()

    _patiently(send, lambda: done)
    key = place.rpartition("/")[2]
    return base64.b64encode(f"Upload:{key}".encode()).decode()


def deliver(gateway: Gateway, folder: Path, purpose: str) -> None:
    """Upload all files of a folder, and end the task with them. Raises Refused, Unreachable, and OSError."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
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
        code, message = _why(error)
        if error.code in AGAIN or code in PASSING:
            raise _Passing(message) from None
        raise Refused(message, code) from None


def _why(error: urllib.error.HTTPError) -> tuple[str, str]:
    try:
        told = json.load(error)["errors"][0]
        return str(told["extensions"]["code"]), str(told["message"])
    except (ValueError, LookupError, TypeError, OSError):
        return "UNAVAILABLE" if error.code >= 500 else "", f"HTTP {error.code}"


def _digest(file: Path) -> str:
    hasher = hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(CHUNK):
            hasher.update(piece)
    return hasher.hexdigest()
