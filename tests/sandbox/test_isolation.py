"""What a program in the sandbox can't reach."""

import os
import socket
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from jobs.sandbox.reports import ended
from tests.sandbox.running import ROOT, Sandboxes, python

CONNECT = """
import socket, sys
family, address = getattr(socket, sys.argv[1]), sys.argv[2]
made = socket.socket(family)
made.settimeout(5)
try:
    made.connect(("127.0.0.1", int(address)) if family == socket.AF_INET else "\\0" + address)
    print("connected")
except OSError as error:
    print(type(error).__name__, error.errno)
"""


def test_a_server_of_this_machine_is_not_reached(sandbox: Sandboxes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ran = sandbox.run(python(CONNECT, "AF_INET", str(port)))
        assert ran.ended.good
        assert "connected" not in ran.said
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_an_abstract_socket_of_this_machine_is_not_reached(sandbox: Sandboxes) -> None:
    name = str(uuid4())
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        ran = sandbox.run(python(CONNECT, "AF_UNIX", name))
        assert ran.ended.good
        assert ran.said.startswith("ConnectionRefusedError")


def test_sockets_of_other_kinds_are_not_made(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python("""
import socket
for family in (16, 17, 38, 40):  # of the kernel, of network cards, of ciphers, of virtual machines
    try:
        socket.socket(family, socket.SOCK_STREAM)
        print("made", family)
    except OSError as error:
        print(error.errno)
""")
    )
    assert ran.said.split() == ["97"] * 4


def test_files_of_the_machine_are_not_there(sandbox: Sandboxes, tmp_path: Path) -> None:
    paths = ["/etc/shadow", "/etc/hostname", "/var", "/run", "/sys", "/home", str(tmp_path), str(ROOT / "README.md")]
    paths += [str(ROOT / "db"), str(ROOT / "tests"), str(tmp_path / "task1" / "secret"), "/dev/tty", "/dev/kmsg"]
    ran = sandbox.run(python("import os, sys\nprint([one for one in sys.argv[1:] if os.path.lexists(one)])", *paths))
    assert ran.said == "[]\n"


def test_python_and_its_packages_are_there(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["python", "-c", "import numpy, jobs.results.names; print(jobs.__path__)"])
    assert ran.errors == ""
    assert ran.said == f"['{ROOT / 'jobs'}']\n"


def test_a_shell_is_there(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["bash", "-c", "pwd; id -un; echo $HOME; cat < /dev/stdin; echo x > /dev/null; cd /tmp && pwd"])
    assert (ran.errors, ran.said.split()) == ("", ["/output", "sandbox", "/tmp", "/tmp"])


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder that only its owner reads."""
    folder = tmp_path / "private"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("content")
    (folder / "deep" / "file").chmod(0o600)
    for one in (folder / "deep", folder):
        one.chmod(0o700)
    return folder


def test_what_is_shown_is_read_and_not_written(sandbox: Sandboxes, private: Path) -> None:
    ran = sandbox.run(
        python("""
import os
for path in ("/submission/deep/file", "/reference/only"):
    print(open(path).read())
def refused(what, *given):
    try:
        what(*given)
        print("done", what, given)
    except OSError as error:
        assert error.errno in (1, 13, 16, 18, 30), error
for path in ("/submission/deep/file", "/reference/only"):
    refused(open, path, "w")
    refused(open, path, "a")
    refused(os.chmod, path, 0o777)
    refused(os.unlink, path)
    refused(os.utime, path)
    refused(os.rename, path, path + "2")
    refused(os.truncate, path, 0)
    refused(os.setxattr, path, "user.a", b"1")
refused(open, "/submission/new", "w")
refused(os.mkdir, "/submission/new")
refused(os.chmod, "/submission", 0o777)
refused(os.link, "/submission/deep/file", "/output/file")
"""),
        {"/submission": private, "/reference/only": private / "deep" / "file"},
    )
    assert (ran.errors, ran.said) == ("", "content\ncontent\n")
    assert (private / "deep" / "file").read_text() == "content"
    assert (private.stat().st_mode & 0o777, (private / "deep" / "file").stat().st_mode & 0o777) == (0o700, 0o600)


def test_devices_and_privileges_of_shown_files_do_nothing(sandbox: Sandboxes) -> None:
    ran = sandbox.run(["cat", "/proc/self/mounts"])
    mounts = [line.split() for line in ran.said.splitlines()]
    assert len(mounts) > 5
    for _, place, _, flags, *_ in mounts:
        given = flags.split(",")
        assert "nosuid" in given
        assert "nodev" in given or place.startswith("/dev/")
        assert "ro" in given or place in {"/output", "/tmp", "/proc"}
    assert [one[3].split(",")[0] for one in mounts if one[1] == "/proc"][-1] == "ro"


def test_nothing_but_its_output_and_scratch_is_written(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python("""
import os
for folder, _, _ in os.walk("/"):
    if folder.startswith("/proc/") and folder.count("/") > 2:
        continue
    try:
        open(folder + "/made", "w").close()
        print(folder)
    except OSError:
        pass
"""),
    )
    assert sorted(ran.said.split()) == ["/output", "/tmp"]


def test_settings_of_the_kernel_are_not_written(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python("""
for path in ("sys/kernel/hostname", "sys/kernel/core_pattern", "sys/user/max_user_namespaces", "sysrq-trigger"):
    try:
        open("/proc/" + path, "w").write("1")
        print("written", path)
    except OSError:
        pass
""")
    )
    assert (ran.errors, ran.said) == ("", "")


def test_the_environment_is_a_clean_one(sandbox: Sandboxes) -> None:
    ran = sandbox.run(python("import os\nprint(*sorted(os.environ))"))
    names = "HOME LANG OMP_NUM_THREADS OPENBLAS_NUM_THREADS PATH PYTHONDONTWRITEBYTECODE PYTHONPATH"
    assert ran.said.split() == names.split()


def test_no_other_file_is_open(sandbox: Sandboxes, tmp_path: Path) -> None:
    program = python("import os\nprint(*[os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')[:-1]])")
    command, _, report = sandbox.command(program, {})
    with (tmp_path / "secret").open("w") as secret:
        given = {"capture_output": True, "text": True, "pass_fds": [secret.fileno()], "check": False}
        ran = subprocess.run(command, stdin=secret, **given)
    assert ended(report, ran.returncode).good
    first, *others = ran.stdout.split()
    assert first == "/dev/null"
    assert [one.partition(":")[0] for one in others] == ["pipe", "pipe"]


def test_other_processes_are_neither_seen_nor_signalled(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python(
            """
import os, signal, sys
print([one for one in os.listdir("/proc") if one.isdigit()] == [str(os.getpid())])
for number in (1, int(sys.argv[1])):
    for path in ("environ", "mem", "root", "fd", "cwd"):
        assert not os.access(f"/proc/{number}/{path}", os.R_OK), path
try:
    os.kill(int(sys.argv[1]), signal.SIGKILL)
    print("killed")
except ProcessLookupError:
    pass
for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGINT, signal.SIGTERM):
    os.kill(1, number)
try:
    os.kill(-1, signal.SIGKILL)
except ProcessLookupError:
    pass
print("still there")
""",
            str(os.getpid()),
        )
    )
    assert (ran.errors, ran.said) == ("", "True\nstill there\n")
    assert ran.ended.good


def test_it_gains_no_power(sandbox: Sandboxes) -> None:
    ran = sandbox.run(
        python("""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def refused(name, *given):
    done = getattr(libc, name)(*given)
    assert done == -1, (name, given)
    assert ctypes.get_errno() in (1, 38), (name, ctypes.get_errno())
for flag in (0x10000000, 0x20000, 0x20000000, 0x40000000, 0x10020000):
    refused("unshare", flag)
    refused("syscall", 56 if os.uname().machine == "x86_64" else 220, ctypes.c_long(flag | 17), 0, 0, 0, 0)
refused("mount", b"none", b"/tmp", b"tmpfs", 0, None)
refused("mount", None, b"/usr", None, 4096 | 32, None)
refused("umount2", b"/usr", 2)
refused("pivot_root", b"/tmp", b"/tmp")
refused("setns", 0, 0)
refused("chroot", b"/tmp")
refused("ptrace", 16, 1, None, None)
refused("setgroups", 0, None)
refused("sethostname", b"x", 1)
refused("memfd_create", b"x", 0)
refused("shmget", 0, 4096, 0o1600)
refused("mknod", b"/tmp/device", 0o060666, ctypes.c_ulong(0xfe00))
try:
    os.setuid(0)
    print("root")
except OSError:
    pass
for line in open("/proc/self/status"):
    name, _, value = line.partition(":")
    if name.startswith("Cap"):
        assert int(value, 16) == 0, line
    if name == "NoNewPrivs":
        assert int(value) == 1
""")
    )
    assert (ran.errors, ran.said) == ("", "")


def test_the_report_can_not_be_forged(sandbox: Sandboxes, tmp_path: Path) -> None:
    text = """
import glob, os, sys
for path in [sys.argv[1], *glob.glob("/proc/*/root" + sys.argv[1]), *glob.glob("/proc/*/fd/*")]:
    try:
        if os.path.basename(path) == "0" or os.path.realpath(path).startswith("/dev/"):
            continue
        with open(path, "r+") as file:
            print("opened", path)
    except OSError:
        pass
sys.exit(7)
"""
    ran = sandbox.run(python(text, str(tmp_path / "task1" / "report")))
    assert ran.said == ""
    assert (ran.ended.status, ran.ended.why, ran.ended.code) == (7, "the program ended with exit status 7", "")
