"""What a program's output folder gives to the worker."""

import os
from pathlib import Path

import pytest

from jobs.sandbox.collection import Collection, plain
from tests.sandbox.running import Sandboxes, python


def test_files_are_copied_with_their_names_and_folders(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        ["bash", "-c", "mkdir -p a/b; echo 1 > a/b/c.txt; echo 2 > 'two words'; echo 3 > ünï; cd; echo > x"]
    )
    assert ran.ended.good
    assert ran.files() == {"a/b/c.txt": b"1\n", "two words": b"2\n", "ünï": b"3\n"}
    assert ran.ended.left_out == ()
    status = (ran.output / "a" / "b" / "c.txt").stat()
    assert (status.st_uid, status.st_mode & 0o7133) == (os.geteuid(), 0)


def test_what_is_no_regular_file_is_not_copied(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python("""
import os, socket
os.symlink("/etc/shadow", "link")
os.symlink("/etc", "folder")
os.mkfifo("pipe")
socket.socket(socket.AF_UNIX).bind("socket")
open("good", "w").write("1")
""")
    )
    assert ran.ended.good
    assert ran.files() == {"good": b"1"}
    assert ran.ended.left_out == (
        "folder is not taken: it is a link",
        "link is not taken: it is a link",
        "pipe is not taken: it is no regular file",
        "socket is not taken: it is no regular file",
    )


def test_names_that_are_not_plain_are_not_copied(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python(r"""
for name in (b"a\nb", b"\xff", b"a\\b", b"c:x", b" a", b"a\x1b[1m", b"good.txt"):
    open(name, "w").close()
""")
    )
    assert list(ran.files()) == ["good.txt"]
    assert len(ran.ended.left_out) == 6
    assert all(
        text.isprintable() and text.endswith("is not taken: its name is not plain") for text in ran.ended.left_out
    )


def test_folders_that_lie_too_deep_are_not_copied(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python("""
import os
for _ in range(40):
    open("here", "w").close()
    os.mkdir("in")
    os.chdir("in")
"""),
        files=100,
    )
    assert len(ran.files()) == 17
    assert ran.ended.left_out == (f"{'in/' * 16}in is not taken: it lies in more than 16 folders",)


def test_rights_that_were_taken_away_keep_nothing_back(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["bash", "-c", "mkdir a; echo 1 > a/b; echo 2 > c; chmod 0 a/b c; chmod 0 a; chmod 0 ."])
    assert ran.files() == {"a/b": b"1\n", "c": b"2\n"}


def test_no_more_than_some_sentences_are_told(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["bash", "-c", "for n in {10..40}; do ln -s x $n; done"])
    assert len(ran.ended.left_out) == 21
    assert ran.ended.left_out[-1] == "and 11 more"


def test_output_is_taken_of_a_program_that_failed(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["bash", "-c", "echo why > log; exit 1"])
    assert (ran.ended.status, ran.ended.why, ran.ended.code) == (1, "the program ended with exit status 1", "")
    assert not ran.ended.good
    assert ran.files() == {"log": b"why\n"}


@pytest.mark.parametrize("name", ["a.txt", "Ünï cödé", "-a", ".hidden", "a b"])
def test_names_of_people_are_plain(name: str) -> None:
    assert plain(name)


def test_files_that_are_there_are_not_replaced(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "a").write_text("new")
    (target / "a").write_text("old")
    folder = os.open(source, os.O_RDONLY)
    try:
        assert Collection(folder, str(target), 100).run() == ["a is not taken: File exists"]
    finally:
        os.close(folder)
    assert (target / "a").read_text() == "old"
