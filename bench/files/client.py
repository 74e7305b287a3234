"""A client of the measurements, with the standard library alone: it costs the same whatever it talks to."""

import base64
import http.client
import random
import socket
import threading
from collections.abc import Mapping
from urllib.parse import urlsplit

CHUNK = 1 << 20
META = ",".join(
    f"{name} {base64.b64encode(value.encode()).decode()}"
    for name, value in {"filename": "bench.bin", "purpose": "DATASET"}.items()
)


def connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)


def piece(number: int) -> bytes:
    return random.Random(number).randbytes(CHUNK)


class Source:
    """A file of random megabytes that is made once: eight of them, in turn."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pieces = [piece(number) for number in range(8)]

    def pieces(self, start: int, stop: int) -> "list[memoryview]":
        found = []
        while start < stop:
            number, within = divmod(start, CHUNK)
            end = min(CHUNK, within + stop - start)
            found.append(memoryview(self._pieces[number % 8])[within:end])
            start += end - within
        return found


def request(
    url: str, method: str, path: str, headers: Mapping[str, str], body: "list[memoryview] | None" = None
) -> http.client.HTTPResponse:
    """One request on a connection of its own; its body was read."""
    sending = connection(url)
    sending.putrequest(method, path)
    for name, value in headers.items():
        sending.putheader(name, value)
    if body is not None:
        sending.putheader("Content-Length", str(sum(map(len, body))))
    sending.endheaders()
    for one in body or ():
        sending.send(one)
    answer = sending.getresponse()
    answer.read()
    sending.close()
    return answer


def upload(urls: "list[str]", authorization: str, source: Source, cuts: int) -> str:
    """Upload by tus, cut at so many places, at the gateways in turn; returns the path of the upload."""
    own = {"Tus-Resumable": "1.0.0", "Authorization": authorization}
    begun = request(urls[0], "POST", "/uploads", {**own, "Upload-Length": str(source.size), "Upload-Metadata": META})
    assert begun.status == 201, begun.status
    path = begun.headers["Location"]
    offset, step = 0, source.size // (cuts + 1)
    for number in range(cuts + 1):
        url, stop = urls[number % len(urls)], source.size if number == cuts else offset + step
        _broken_off(url, path, own, source, offset, stop, whole=number == cuts)
        offset = int(request(urls[(number + 1) % len(urls)], "HEAD", path, own).headers["Upload-Offset"])
    assert offset == source.size, offset
    return path


def _broken_off(
    url: str, path: str, own: Mapping[str, str], source: Source, start: int, stop: int, *, whole: bool
) -> None:
    """Announce all that lacks, and send it up to `stop`; then the connection is cut, unless that is the end."""
    sending = connection(url)
    sending.putrequest("PATCH", path)
    given = {"Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
    for name, value in {**own, **given, "Content-Length": str(source.size - start)}.items():
        sending.putheader(name, value)
    sending.endheaders()
    for one in source.pieces(start, stop):
        sending.send(one)
    if whole:
        answer = sending.getresponse()
        assert answer.status == 204, answer.read()
    elif sending.sock is not None:
        sending.sock.shutdown(socket.SHUT_RDWR)
    sending.close()


def put(url: str, source: Source) -> None:
    """The same bytes in one request, to the bare function."""
    assert request(url, "PUT", "/", {}, source.pieces(0, source.size)).status == 204


def fetch(url: str, size: int, ranges: int, headers: Mapping[str, str]) -> None:
    """Fetch a file in ranges, each in a thread of its own."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    step, wrong = -(-size // ranges), []

    def run(number: int) -> None:
        start, stop = number * step, min(size, (number + 1) * step)
        fetching = connection(url)
        fetching.request("GET", path, headers={**headers, "Range": f"bytes={start}-{stop - 1}"})
        answer, came, room = fetching.getresponse(), 0, bytearray(1 << 18)
        while got := answer.readinto(room):
            came += got
        if (answer.status, came) != (206, stop - start):
            wrong.append((answer.status, came))
        fetching.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(ranges)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]
