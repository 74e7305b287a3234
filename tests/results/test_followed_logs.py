"""Logs that are written anew, and those that can't be followed."""

import os
from pathlib import Path

from jobs.programs.outputs import Outputs, stamps
from jobs.programs.program_log import MOST, Logs


def added(logs: Logs) -> list[tuple[str, bytes]]:
    return list(logs.added())


def test_a_log_that_was_cut_and_written_anew_is_read_from_its_start(tmp_path: Path) -> None:
    logs, path = Logs(Outputs(tmp_path), "*.log"), tmp_path / "a.log"
    path.write_bytes(b"first run, line 1\nline 2\n")
    added(logs)
    path.write_bytes(b"second\n")
    assert added(logs) == [("a.log", b"second\n")]
    path.write_bytes(b"third, and longer than all before it together\n")
    assert added(logs) == [("a.log", b"third, and longer than all before it together\n")]


def test_a_status_of_the_same_length_is_read_again_once_it_is_written_anew(tmp_path: Path) -> None:
    logs, path = Logs(Outputs(tmp_path), "*.log"), tmp_path / "a.log"
    for moment, text in enumerate((b"done 001\n", b"done 002\n", b"done 002\n"), 1):
        path.write_bytes(text)
        os.utime(path, ns=(0, moment * 10**9))
        assert added(logs) == [("a.log", text)], "each is a sign of life"
        assert added(logs) == []


def test_another_file_of_the_same_name_is_read_from_its_start(tmp_path: Path) -> None:
    logs, path = Logs(Outputs(tmp_path), "*.log"), tmp_path / "a.log"
    path.write_bytes(b"same line\n")
    added(logs)
    (tmp_path / "new").write_bytes(b"same line\nand more\n")
    (tmp_path / "new").rename(path)
    assert added(logs) == [("a.log", b"same line\nand more\n")]


def test_a_line_that_had_no_end_is_ended_when_its_file_is_written_anew(tmp_path: Path) -> None:
    logs, path = Logs(Outputs(tmp_path), "*.log"), tmp_path / "a.log"
    path.write_bytes(b"half a li")
    added(logs)
    path.write_bytes(b"anew\n")
    assert added(logs) == [("a.log", b"\nanew\n")]


def test_a_log_that_was_given_is_followed_only_once_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"of another run\n")
    logs = Logs(Outputs(tmp_path, stamps(tmp_path)), "*.log")
    assert added(logs) == []
    path.write_bytes(b"of this run\n")
    assert added(logs) == [("a.log", b"of this run\n")]


def test_what_is_no_file_is_named_and_further_logs_than_are_followed_too(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    logs = Logs(outputs, "*.log")
    for number in range(MOST + 2):
        (tmp_path / f"{number:02}.log").write_bytes(b"line\n")
    (tmp_path / "folder.log").mkdir()
    os.mkfifo(tmp_path / "pipe.log")
    assert len(added(logs)) == MOST
    assert added(logs) == []
    assert logs.warnings == [f"not every log is followed: of one run {MOST} are at most"]
    assert outputs.warnings == [
        "folder.log is not read: it is a folder",
        "pipe.log is not read: it is no regular file",
    ]


def test_a_log_that_becomes_a_pipe_is_not_opened(tmp_path: Path) -> None:
    logs, path = Logs(Outputs(tmp_path), "*.log"), tmp_path / "a.log"
    path.write_bytes(b"line\n")
    added(logs)
    path.unlink()
    os.mkfifo(path)
    assert added(logs) == []


def test_control_characters_in_the_name_of_a_log_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "a\n\x1b.log").write_bytes(b"line\n")
    assert added(Logs(Outputs(tmp_path), "*.log")) == [("a\ufffd\ufffd.log", b"line\n")]
