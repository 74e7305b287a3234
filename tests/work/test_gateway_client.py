"""The worker's client of the gateway: what it tries again, and what it does not."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobs.worker.gateway import Gateway, Refused, Unreachable
from jobs.worker.main import run

Answer = tuple[int, bytes]
GOOD: Answer = 200, json.dumps({"data": {"x": 1}}).encode()


def failure(code: str, status: int = 200) -> Answer:
    return status, json.dumps({"errors": [{"message": f"it is {code}", "extensions": {"code": code}}]}).encode()


@contextmanager
def answering(*answers: Answer, read: bool = True) -> Iterator[tuple[Gateway, list[int]]]:
    """A server that gives these answers in turn, the last again and again; the lengths of the requests that came."""
    left, came = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(int(self.headers["Content-Length"]))
            if read:
                self.rfile.read(came[-1])
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Gateway(f"http://127.0.0.1:{server.server_port}", "token"), came
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    "first",
    [failure("UNAVAILABLE", 503), failure("TIMEOUT", 503), failure("RATE_LIMITED", 429), (502, b"<html>"), (200, b"{")],
    ids=["UNAVAILABLE", "TIMEOUT", "RATE_LIMITED", "a proxy's 502", "half an answer"],
)
def test_what_may_pass_is_tried_again(first: Answer) -> None:
    with answering(first, GOOD) as (gateway, came):
        assert gateway.ask("{x}") == {"x": 1}
    assert len(came) == 2


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (failure("INTERNAL_SERVER_ERROR", 500), "INTERNAL_SERVER_ERROR", "it is INTERNAL_SERVER_ERROR"),
        (failure("BAD_REQUEST", 413), "BAD_REQUEST", "it is BAD_REQUEST"),
        (failure("STATE"), "STATE", "it is STATE"),
        ((413, b"<html>too large</html>"), "BAD_REQUEST", "HTTP 413"),
        ((500, b"<html>"), "BAD_REQUEST", "HTTP 500"),
    ],
    ids=["an error of the gateway", "413", "STATE", "a proxy's 413", "a proxy's 500"],
)
def test_what_does_not_pass_is_sent_once(answer: Answer, code: str, words: str) -> None:
    with answering(answer) as (gateway, came), pytest.raises(Refused, match=f"^{words}$") as refusal:
        gateway.ask("{x}", 3_600.0)
    assert (refusal.value.code, len(came)) == (code, 1)


def test_a_request_that_the_gateway_would_not_take_is_not_sent() -> None:
    with answering(GOOD) as (gateway, came):
        ours = gateway.of_task("token", 1_000)
        with pytest.raises(Refused, match=r"a request has \d+ bytes, and the gateway takes 1000"):
            ours.ask("{x}", text="x" * 1_000)
        assert ours.ask("{x}") == {"x": 1}
    assert len(came) == 1


def test_a_gateway_that_can_not_take_it_for_as_long_as_one_waits_is_given_up() -> None:
    with (
        answering(failure("UNAVAILABLE", 503)) as (gateway, came),
        pytest.raises(Unreachable, match="it is UNAVAILABLE"),
    ):
        gateway.ask("{x}", 0.0)
    assert len(came) == 1


def test_an_answer_that_comes_before_a_request_is_sent_whole_is_read() -> None:
    with (
        answering((413, b"<html>too large</html>"), read=False) as (gateway, came),
        pytest.raises(Refused, match=r"^HTTP 413$"),
    ):
        gateway.ask("{x}", text="x" * 50_000_000)
    assert len(came) == 1


def test_a_report_that_is_refused_for_what_it_says_fails_the_task_and_no_program_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program = {
        "name": "DUMMY", "command": ["{python}", "-c", "print(1)"], "files": ["run.cfg"],
        "primaries": {"run.cfg": "(.+)"}, "results": "yaptide-json",
    }  # fmt: skip
    task = {
        "token": "other", "program": program, "files": {}, "checksums": {}, "fetched": [], "purpose": None, "ordinal": 1,
        "attempt": 1, "requested": "1", "reportSeconds": 0.05, "silenceSeconds": 9.0, "valueLimit": 9,
        "bodyLimit": 1_000_000, "fileLimit": "9",
    }  # fmt: skip
    claimed = 200, json.dumps({"data": {"workerClaim": task}}).encode()
    with answering(claimed, failure("BAD_USER_INPUT", 422), GOOD) as (gateway, came):
        assert run(gateway) == 0
    assert len(came) == 3, "it claims, reports, and tells that it can't"
