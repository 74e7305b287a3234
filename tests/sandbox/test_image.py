"""What a program sees whose root file system is an image."""

import socket
from pathlib import Path

import pytest

from jobs.programs.image import unpack_image
from jobs.sandbox import commands
from jobs.sandbox.bounds import Bounds
from jobs.sandbox.commands import RootImage, Unavailable, launch_command
from tests.sandbox.running import BOUNDS, ROOT, Ran, Sandboxes
from tests.support.images import folder, layer, link, member, saved, shell

EXTRA = layer(
    *(member("etc/own", b"own", 0o600), folder("dev"), member("dev/made", b"x"), member("proc/made", b"x")),
    *(
        member("submission/made", b"x"),
        member("tmp/made", b"x"),
        member("output/made", b"x"),
        link("out", "/proc/1/root"),
    ),
    *(link("up", "../../etc"), member(".old/made", b"x"), member(".write", b"x"), member("odd \\ name/a", b"y")),
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> RootImage:
    folder = tmp_path_factory.mktemp("image")
    return RootImage(unpack_image(saved(folder / "image.tar", shell(), EXTRA), folder / "root").root, {"OWN": "1"})


class Images(Sandboxes):
    def __init__(self, folder: Path, image: RootImage) -> None:
        super().__init__(folder)
        self.image = image

    def script(self, text: str, *arguments: str, **bounds: object) -> Ran:
        return self.run(["bash", "-c", text, "bash", *arguments], **bounds)


@pytest.fixture
def inside(tmp_path: Path, means: str, image: RootImage) -> Images:
    if means != "namespaces":
        pytest.skip("images need namespaces")
    return Images(tmp_path, image)


def test_it_sees_the_files_of_the_image_and_none_of_the_machine(inside: Images, tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "file").write_text("given")
    paths = ["/etc/hostname", "/etc/passwd", "/usr/bin/python3", "/usr/share", "/var", "/home", str(ROOT)]
    paths += [
        str(tmp_path),
        "/dev/made",
        "/proc/made",
        "/tmp/made",
        "/output/made",
        "/.old/made",
        "/submission/made",
        "/dev/kmsg",
    ]
    text = 'for path; do [ -e "$path" ] && echo "$path"; done; cat /etc/own /up/own "/odd \\\\ name/a" /submission/file'
    ran = inside.run(["bash", "-c", text, "bash", *paths], {"/submission": tmp_path / "given"})
    assert (ran.errors, ran.said, ran.ended.good) == ("", "ownownygiven", True)
    seen = inside.script("printf '%s,' /* /.[!.]*").said
    ours = "/bin,/dev,/etc,/lib,/lib64,/odd \\ name,/out,/output,/proc,/submission,/tmp,/up,/usr,/.write,"
    assert seen == ours
    assert inside.script("cat /proc/1/root/etc/own /out/etc/own").said == ""


def test_its_environment_is_the_images_with_folders_of_our_own(inside: Images) -> None:
    ran = inside.script("echo $OWN $HOME $TMPDIR $OMP_NUM_THREADS $PYTHONPATH; pwd; id -u; type -p cat")
    assert ran.said.split() == ["1", "/tmp", "/tmp", "1", "/output", "1000", "/usr/bin/cat"]


def test_it_works_in_the_folder_of_the_image(inside: Images, image: RootImage) -> None:
    for place, seen in (("/etc", "/etc"), ("/tmp/new/folder", "/tmp/new/folder"), ("/bin", "/usr/bin")):
        inside.image = RootImage(image.root, {}, place)
        assert inside.script("pwd -P; ../../etc/own; exit 0").said.strip() == seen
    inside.image = RootImage(image.root, {}, "/nowhere")
    assert inside.script("pwd").ended.why.startswith("the program could not be started: Read-only file system")


def test_its_root_is_not_written(inside: Images, image: RootImage) -> None:
    before = sorted(path.name for path in image.root.rglob("*"))
    ran = inside.script(
        "for one in / /etc/ /usr/bin/ /up/ /dev/ /proc/; do echo x > ${one}made; done; echo x > /etc/own; exit 0"
    )
    assert ran.errors.count("Read-only file system") + ran.errors.count("No such file") == 7
    assert sorted(path.name for path in image.root.rglob("*")) == before
    assert (image.root / "etc/own").read_text() == "own"


def test_all_is_mounted_read_only_and_without_devices(inside: Images) -> None:
    mounts = [line.split() for line in inside.script("cat /proc/self/mounts").said.splitlines()]
    assert len(mounts) > 8
    for _, place, _, flags, *_ in mounts:
        given = flags.split(",")
        assert "nosuid" in given
        assert "nodev" in given or place.startswith("/dev/")
        assert "ro" in given or place in {"/output", "/tmp", "/proc"}


def test_it_has_no_network(inside: Images) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ran = inside.script("exec 3<> /dev/tcp/127.0.0.1/$1", str(server.getsockname()[1]))
        assert ran.ended.status == 1
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_its_bounds_hold(inside: Images) -> None:
    assert inside.script(":(){ :|:& :; }; :", seconds=10).ended.code == "PROCESSES"
    assert inside.script("while :; do :; done", seconds=0.5).ended.code == "TIME"
    assert inside.script("head -c 500M /dev/zero | tail -n 1").ended.code == "MEMORY"


def test_its_output_is_taken(inside: Images) -> None:
    assert inside.script("echo 1 > a; echo 2 > /tmp/b; ln -s /etc/own c; exit 0").files() == {"a": b"1\n"}


def test_by_bubblewrap_it_is_refused(tmp_path: Path, image: RootImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "available", lambda: "bubblewrap")
    with pytest.raises(Unavailable, match=r"^No image of a container can be run on this machine\."):
        launch_command(
            Bounds(**BOUNDS), ["true"], read_only={}, output=tmp_path, report=tmp_path / "report", image=image
        )
