"""The bounds of a program hold for it and all that it starts."""

import os
import resource
import time
from uuid import uuid4

from tests.sandbox.running import Sandboxes, python, with_mark

FORKS = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
"""


def test_forks_without_end_are_ended(sandbox: Sandboxes) -> None:
    mark = str(uuid4())
    ran = sandbox.run(python(FORKS, mark))
    assert (ran.ended.status, ran.ended.code) == (-9, "PROCESSES")
    assert ran.ended.why == "it had more than 24 processes and threads and was ended"
    assert with_mark(mark) == []


def test_threads_without_end_are_ended(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python("""
import threading, time
while True:
    try:
        threading.Thread(target=time.sleep, args=(60,)).start()
    except RuntimeError:
        time.sleep(0.01)
""")
    )
    assert ran.ended.code == "PROCESSES"


COUNTED = """
import os, sys, time
for _ in range(23):
    if os.fork() == 0:
        time.sleep(60)
print("up", flush=True)
if len(sys.argv) > 1:
    time.sleep(60)
"""


def test_two_at_once_have_each_all_their_processes(sandbox: Sandboxes) -> None:
    with sandbox.started(python(COUNTED, "stay")) as first:
        assert first.process.stdout is not None
        assert first.process.stdout.readline() == "up\n"
        second = sandbox.run(python(COUNTED))
        assert (second.errors, second.said, second.ended.good) == ("", "up\n", True)
        assert first.process.poll() is None


def test_memory_over_the_bound_ends_it(sandbox: Sandboxes) -> None:
    ran = sandbox.run(python("held = bytearray(2 << 30)"))
    assert (ran.ended.status, ran.ended.code) == (-9, "MEMORY")
    assert ran.ended.why == "it used more than 256 MiB of memory and was ended"


def test_memory_of_several_processes_is_one(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python("""
import os, time
for _ in range(4):
    if os.fork() == 0:
        break
held = b"1" * (70 << 20)
time.sleep(60)
""")
    )
    assert ran.ended.code == "MEMORY"


def test_memory_that_processes_share_counts_once(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python("""
import os
held = b"1" * (70 << 20)
ends = [os.pipe() for _ in range(4)]
for reading, _ in ends:
    if os.fork() == 0:
        os.read(reading, 1)
        os._exit(0)
import time
time.sleep(0.3)  # in which it is looked at
for _, writing in ends:
    os.write(writing, b"1")
""")
    )
    assert ran.ended.good


def test_files_count_as_memory(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["bash", "-c", "head -c 1G /dev/zero > /tmp/x; sleep 60"], output=1 << 30, memory=64 << 20)
    assert ran.ended.code == "MEMORY"
    assert ran.files() == {}


def test_memory_that_hides_is_found(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python("""
import mmap
held = mmap.mmap(-1, 1 << 30)
for begin in range(0, 1 << 30, 1 << 20):
    held[begin:begin + (1 << 20)] = b"1" * (1 << 20)
    held.madvise(mmap.MADV_DONTNEED, begin, 1 << 20)
print("hidden")
""")
    )
    assert (ran.ended.code, ran.said) == ("MEMORY", "")


def test_what_lies_in_sockets_counts_as_memory(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python("""
import socket, time
held = []
for _ in range(400):
    one, other = socket.socketpair()
    held += [one, other]
    one.setblocking(False)
    try:
        while True:
            one.send(b"1" * 4096)
    except OSError:
        pass
time.sleep(60)
"""),
        memory=128 << 20,
    )
    assert ran.ended.code == "MEMORY"


def test_ten_gigabytes_are_not_written(sandbox: Sandboxes) -> None:
    before = os.statvfs(sandbox.folder).f_bavail
    ran = sandbox.run(["bash", "-c", "head -c 10G /dev/zero > x; sleep 60"])
    assert ran.ended.code == "OUTPUT"
    assert ran.ended.why in {
        "it wrote more than 8 MiB and was ended",
        "it wrote a larger file than it may and was ended",
    }
    assert ran.files() == {}
    assert (before - os.statvfs(sandbox.folder).f_bavail) * os.statvfs(sandbox.folder).f_frsize < 1 << 30


def test_output_and_scratch_share_one_bound(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["bash", "-c", "head -c 5M /dev/zero > /output/x; head -c 5M /dev/zero > /tmp/x; sleep 60"])
    assert ran.ended.code == "OUTPUT"


def test_all_that_it_may_write_is_taken(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["bash", "-c", "head -c 8M /dev/zero > x"])
    assert ran.ended.good
    assert [len(content) for content in ran.files().values()] == [8 << 20]


def test_too_many_files_end_it(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["bash", "-c", "for n in {1..200}; do : > $n; done 2> /dev/null; sleep 60"])
    assert (ran.ended.code, ran.ended.why) == ("FILES", "it wrote more than 50 files and folders and was ended")


def test_all_files_that_it_may_write_are_taken(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["bash", "-c", "for n in {1..50}; do : > $n; done"])
    assert (ran.errors, ran.ended.good, len(ran.files())) == ("", True, 50)


def test_files_of_holes_count_with_their_size(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["truncate", "-s", "6M", "a", "b", "c"])
    assert (ran.ended.status, ran.ended.code) == (0, "OUTPUT")
    assert {name: len(content) for name, content in ran.files().items()} == {"a": 6 << 20}


def test_a_file_can_not_be_made_larger_than_the_bound(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["truncate", "-s", "1T", "a"])
    assert (ran.ended.code, ran.files()) == ("OUTPUT", {"a": b""})


def test_time_beyond_the_bound_ends_it_whatever_it_does_about_signals(sandbox: Sandboxes) -> None:
    begun = time.monotonic()
    ran = sandbox.run(["bash", "-c", "trap '' TERM INT HUP QUIT; echo x > kept; while :; do :; done"], seconds=0.4)
    assert (ran.ended.status, ran.ended.code) == (-9, "TIME")
    assert ran.ended.why == "it ran longer than 0.4 s and was ended"
    assert ran.files() == {"kept": b"x\n"}
    assert time.monotonic() - begun < 5


def test_locked_memory_and_dumps_are_bounded(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python("""
import resource
print(resource.getrlimit(resource.RLIMIT_CORE)[1], resource.getrlimit(resource.RLIMIT_MEMLOCK)[1])
""")
    )
    core, locked = map(int, ran.said.split())
    assert core <= 1
    assert 0 <= locked <= 1 << 16
    assert resource.RLIM_INFINITY not in {core, locked}


def test_it_is_ready_soon(sandbox: Sandboxes) -> None:
    taken = []
    for _ in range(5):
        begun = time.monotonic()
        assert sandbox.run(["true"]).ended.good
        taken.append(time.monotonic() - begun)
    assert min(taken) < 1.0
