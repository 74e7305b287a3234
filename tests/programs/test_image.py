"""Evaluators that are images of containers: unpacked without a runtime, and run in the sandbox."""

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest

from jobs.programs import image
from jobs.programs.image import Image, unpack_image
from jobs.programs.image_tree import ImageRefused
from jobs.sandbox.commands import Unavailable, available
from jobs.worker.bundle import bundle
from tests.sandbox.running import interpreter
from tests.support import images
from tests.support.images import changed, folder, hard_link, laid_out, layer, link, member, saved, shell

NOBODY = 65534
CONFIG = {"Entrypoint": ["/score"], "Cmd": ["usual"], "Env": ["PATH=/own:/bin", "HOME=/root"], "WorkingDir": "/app"}


def files_of(root: Path) -> dict[str, str | bytes | None]:
    """Links, files and folders below a folder."""
    found: dict[str, str | bytes | None] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        found[name] = os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
    return found


def unpacked(tmp_path: Path, *members: Any) -> Image:
    return unpack_image(saved(tmp_path / "image.tar", layer(*members)), tmp_path / "root")


def refused(archive: Path, match: str) -> None:
    root = archive.parent / "refused"
    shutil.rmtree(root, ignore_errors=True)
    with pytest.raises(ImageRefused, match=match) as refusal:
        unpack_image(archive, root)
    assert str(archive.parent) not in str(refusal.value)
    assert sorted(path.name for path in archive.parent.iterdir()) in (["image.tar"], ["image.tar", "refused"])


@pytest.mark.parametrize("made", [saved, laid_out])
def test_layers_lie_on_each_other(tmp_path: Path, made: Any) -> None:
    lower = layer(
        *(folder("app"), member("app/a", b"1"), member("app/b", b"2"), member("old/x/y", b"3"), member("kept/z", b"4")),
        *(link("lib", "usr/lib"), folder("usr/lib"), member("tool", b"5", 0o4755), hard_link("same", "tool")),
    )
    upper = layer(
        *(member("app/.wh.b"), member("app/a", b"6"), member("old/new", b"7"), member("old/.wh..wh..opq")),
        *(member("lib/so", b"8"), member("tool", b"9", 0o2644), link("kept/z", "/app/a")),
    )
    found = unpack_image(made(tmp_path / "image.tar", lower, upper, config=CONFIG), tmp_path / "root")
    assert files_of(found.root) == {
        "app": None, "app/a": b"6", "old": None, "old/new": b"7", "kept": None, "kept/z": "/app/a", "lib": "usr/lib",
        "usr": None, "usr/lib": None, "usr/lib/so": b"8", "tool": b"9", "same": b"5",
    }  # fmt: skip
    assert {path.lstat().st_mode & 0o7111 for path in (found.root / "same", found.root / "old")} == {0o111}
    assert (found.root / "tool").stat().st_mode & 0o7111 == 0
    assert (found.entrypoint, found.command, found.folder) == (["/score"], ["usual"], "/app")
    assert found.variables == {"PATH": "/own:/bin", "HOME": "/root"}


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ([member("../../x", b"x")], "leads out of it"),
        ([member("a/../../x", b"x")], "leads out of it"),
        ([hard_link("a", "../../x")], "leads out of it"),
        ([hard_link("a", "/etc/hostname")], "a link to what is no file"),
        ([hard_link("a", ".")], "a link to what is no file"),
        ([member("a", b"x"), member("a/b", b"x")], "lies below a file"),
        ([link("a", "b"), link("b", "a"), member("a/x", b"x")], "more than 40 links"),
        ([member("a/.wh...")], "a file without a name"),
        ([member("/".join("a" * 150), b"x")], "more than 100 folders"),
        ([member("a" * 300, b"x")], "File name too long"),
        ([member("a", pax_headers={"comment": "x" * 2_000_000})], "the header of an entry is too large"),
        ([member(f"{number}", b"x") for number in range(101)], "more than 100 entries"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_hostile_layer_is_refused_and_writes_nothing_outside(tmp_path: Path, members: Any, match: str) -> None:
    refused(saved(tmp_path / "image.tar", layer(*members)), match)


def test_links_lead_to_places_within_the_root(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    deep = "/".join([".."] * 30)
    found = unpacked(
        tmp_path,
        *(link("absolute", str(outside)), member("absolute/made", b"1"), link("up", f"{deep}{outside}")),
        *(member("up/made2", b"2"), link("etc", "/etc"), link("chain", "/absolute"), member("chain/made3", b"3")),
        *(
            link("file", str(outside / "secret")),
            member("file", b"4"),
            link("etc", "/conf"),
            member("etc/passwd", b"5"),
        ),
        *(link("self", "/proc/self/root"), member("self/etc/made", b"6"), member("/slash", b"7")),
    )
    assert files_of(outside) == {"secret": b"secret"}
    inside = str(outside).strip("/")
    within = files_of(found.root / inside)
    assert within == {"made": b"1", "made2": b"2", "made3": b"3"}
    assert (found.root / "conf/passwd").read_bytes() == b"5"
    assert (found.root / "proc/self/root/etc/made").read_bytes() == b"6"
    assert (found.root / "slash").read_bytes() == b"7"
    assert (found.root / "file").read_bytes() == b"4"


def test_a_hard_link_through_a_link_is_one_within_the_root(tmp_path: Path) -> None:
    refused(saved(tmp_path / "image.tar", layer(link("etc", "/etc"), hard_link("a", "etc/hostname"))), "more than 40")
    refused_again = tmp_path / "again"
    refused_again.mkdir()
    archive = saved(refused_again / "image.tar", layer(link("up", "/../../etc"), hard_link("a", "up/hostname")))
    refused(archive, "a link to what is no file")


def test_what_a_hard_link_shares_is_not_changed_through_the_other_name(tmp_path: Path) -> None:
    found = unpacked(tmp_path, member("a", b"1"), hard_link("b", "/a"), member("b", b"2"), hard_link("a", "a"))
    assert files_of(found.root) == {"a": b"1", "b": b"2"}


def test_devices_and_pipes_are_left_out(tmp_path: Path) -> None:
    kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    found = unpacked(tmp_path, *(member(f"{n}", type=kind, devmajor=8) for n, kind in enumerate(kinds)), member("a"))
    assert files_of(found.root) == {"a": b""}


def test_a_bomb_of_a_million_files_meets_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "FILES", 5_000)
    many = gzip.compress(member("a/b")[0].tobuf() * 1_000, 9) * 1_000
    assert len(many) < 3_000_000
    archive = saved(tmp_path / "image.tar", many, rootfs={})
    refused(archive, "more than 5,000 files")


def test_bombs_of_bytes_and_of_layers_meet_the_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "BYTES", 50_000_000)
    many = gzip.compress(layer(member("a", bytes(60_000_000))), 9)
    refused(saved(tmp_path / "image.tar", many, rootfs={}), "layers have more than 50,000,000 bytes")
    refused(saved(tmp_path / "image.tar", *[layer(member("a"))] * 129), "more than 128 layers")


def test_a_layer_of_another_digest_is_refused(tmp_path: Path) -> None:
    other = layer(member("other"))
    archive = saved(tmp_path / "image.tar", layer(member("a")))
    refused(changed(archive, "0/layer.tar", other), "another than its description says")
    archive = laid_out(tmp_path / "image.tar", layer(member("a")))
    packed = images.sha256(gzip.compress(layer(member("a")), 1, mtime=0))
    refused(changed(archive, packed, gzip.compress(other)), "another digest than its name says")


def test_only_the_platform_of_this_machine_is_taken(tmp_path: Path) -> None:
    for made in (saved, laid_out):
        refused(made(tmp_path / "image.tar", layer(), architecture="s390x"), "it is for linux/s390x, and this machine")
        refused(made(tmp_path / "image.tar", layer(), os="windows"), "it is for windows/")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"no archive", "can't be unpacked: ReadError"),
        (b"", "can't be unpacked: ReadError"),
        (gzip.compress(layer(member("manifest.json", b"[]"))), "the archive is compressed"),
        (layer(member("x")), "save it by docker save"),
        (layer(member("manifest.json", b"[]")), "must hold one image"),
        (layer(member("manifest.json", b"{")), "can't be unpacked: JSONDecodeError"),
        (layer(member("manifest.json", b"[" * 200_000)), "can't be unpacked: RecursionError"),
        (layer(member("manifest.json", b'[{"Config": "x", "Layers": []}]')), "the archive has no x"),
        (layer(link("manifest.json", "manifest.json")), r"the archive has no manifest\.json"),
        (layer(member("manifest.json", b'[{"Config": "../x", "Layers": 3}]')), "not as it should be"),
        (layer(member("index.json", b"{}"), member("oci-layout", b'{"imageLayoutVersion": "2"}')), "another version"),
        (layer(member("index.json", b"{}"), member("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')), "holds no image"),
    ],
)  # fmt: skip
def test_an_archive_that_is_none_is_refused(tmp_path: Path, data: bytes, match: str) -> None:
    archive = tmp_path / "image.tar"
    archive.write_bytes(data)
    refused(archive, match)


def test_layers_by_zstd_are_refused_by_name(tmp_path: Path) -> None:
    refused(
        saved(tmp_path / "image.tar", b"\x28\xb5\x2f\xfd rest", rootfs={}), "compressed by zstd: only gzip is taken"
    )


def test_names_of_docker_save_may_be_links_to_other_names(tmp_path: Path) -> None:
    described = images.config_of([layer(member("a"))] * 2, {})
    manifest = [{"Config": "c.json", "Layers": ["x/layer.tar", "y/layer.tar"]}]
    members = [member("manifest.json", json.dumps(manifest).encode()), member("c.json", described)]
    members += [member("./x/layer.tar", layer(member("a"))), link("y/layer.tar", "../x/layer.tar")]
    (tmp_path / "image.tar").write_bytes(layer(*members))
    assert files_of(unpack_image(tmp_path / "image.tar", tmp_path / "root").root) == {"a": b""}


# In the sandbox, by the program of evaluations ----------------------------------------------------------------------

SCORE = b"""#!/bin/bash
echo "evaluated 1 of 2"
for last; do :; done
value=$(< "${@: -3:1}/answer.txt")
echo "{\\"score\\": $value, \\"said\\": \\"$*\\", \\"path\\": \\"$PATH\\", \\"home\\": \\"$HOME\\", \\"at\\": \\"$PWD\\"}" > "$last/scores.json"
"""


def describe(archive: Path, **described: Any) -> None:
    """Write what an evaluation is told, and the other files that it is given."""
    given = archive.parent
    (given / "0").write_text("42")
    (given / "2").write_text("reference")
    description = {
        "executor": "CONTAINER", "program": None, "executorArguments": [], "arguments": [], "entryPoint": None,
        "bounds": {"seconds": 20, "memory": 1 << 28, "processes": 16},
        "submission": {"file": "0", "name": "answer.txt"},
        "files": {"PROGRAM": [{"file": archive.name, "name": "score.tar"}], "REFERENCE": [{"file": "2", "name": "r"}],
                  "GIVEN": []},
        **described,
    }  # fmt: skip
    (given / "evaluation.json").write_text(json.dumps(description))


def evaluated(tmp_path: Path, archive: Path, **described: Any) -> "tuple[subprocess.CompletedProcess[str], Path, str]":
    """Run an evaluation whose evaluator is an image; returns the folder of its output, and why it failed."""
    try:
        available()
    except Unavailable as why:
        pytest.skip(str(why))
    given, output = archive.parent, tmp_path / "output"
    output.mkdir()
    describe(archive, **described)
    command = [sys.executable, "-m", "jobs.programs.evaluation", "--input", str(given), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    error = given / "error.txt"
    return done, output, error.read_text() if error.exists() else ""


@pytest.fixture
def given(tmp_path: Path) -> Path:
    (tmp_path / "input").mkdir()
    return tmp_path / "input"


@pytest.mark.parametrize("made", [saved, laid_out])
def test_an_image_writes_scores(tmp_path: Path, given: Path, made: Any) -> None:
    archive = made(given / "1.tar", shell(), layer(member("score", SCORE, 0o755)), config=CONFIG)
    done, output, error = evaluated(tmp_path, archive, executorArguments=["-v"])
    assert (done.returncode, error, done.stderr) == (0, "", "")
    assert "evaluated 50 of 100" in done.stdout.splitlines()
    assert json.loads((output / "scores.json").read_text()) == {
        "score": 42, "said": "-v usual /submission /reference /output", "path": "/own:/bin", "home": "/tmp", "at": "/app",
    }  # fmt: skip


def test_arguments_take_the_place_of_the_images_own(tmp_path: Path, given: Path) -> None:
    archive = saved(given / "1.tar", shell(), layer(member("score", SCORE, 0o755)), config=CONFIG)
    files = {"PROGRAM": [{"file": "1.tar", "name": "score.tar"}], "REFERENCE": [], "GIVEN": []}
    done, output, error = evaluated(tmp_path, archive, arguments=["mine"], files=files)
    assert (done.returncode, error) == (0, "")
    assert json.loads((output / "scores.json").read_text())["said"] == "mine /submission /submission /output"


@pytest.mark.parametrize(
    ("config", "changes", "error"),
    [
        ({}, {}, "IMAGE: the image of the evaluator names no program"),
        ({"Cmd": ["bash", "-c", "exit 3"]}, {}, "PROGRAM_FAILED: the evaluator ended with exit status 3"),
        (
            {"Cmd": ["python3"]},
            {},
            "REFUSED: the evaluator could not be started: No such file or directory",
        ),
        (
            {"Cmd": ["bash"]},
            {"architecture": "s390x"},
            "IMAGE: the image of the evaluator is not run: it is for linux/s39",
        ),
        ({"Cmd": ["bash", "-c", ":(){ :|:& :; }; :"]}, {}, "PROCESSES: the evaluator"),
        ({"Cmd": ["bash", "-c", "exit 2"]}, {}, "REFERENCE: the evaluator says that its reference data are wrong"),
    ],
)
def test_why_an_image_failed_is_told(tmp_path: Path, given: Path, config: Any, changes: Any, error: str) -> None:
    done, _, told = evaluated(tmp_path, saved(given / "1.tar", shell(), config=config, **changes))
    assert done.returncode == 1
    assert told.startswith(error)


def test_the_outer_archive_is_read_in_any_order(tmp_path: Path) -> None:
    archive = saved(tmp_path / "image.tar", layer(member("a", b"1")))
    with tarfile.open(archive) as opened:
        held = [(one, opened.extractfile(one).read()) for one in opened]  # type: ignore[union-attr]
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as changed_order:
        for one, data in reversed(held):
            changed_order.addfile(one, io.BytesIO(data))
    archive.write_bytes(target.getvalue())
    assert files_of(unpack_image(archive, tmp_path / "root").root) == {"a": b"1"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_user_who_is_not_root_runs_an_image_out_of_the_zip_application() -> None:
    python = interpreter(NOBODY)
    if python is None:
        pytest.skip("no Python that this user can run")
    here = Path(tempfile.mkdtemp())
    try:
        (here / "worker.pyz").write_bytes(bundle())
        (here / "worker.pyz").chmod(0o644)
        (here / "input").mkdir()
        (here / "output").mkdir()
        archive = saved(here / "input/1.tar", shell(), layer(member("score", SCORE, 0o700)), config=CONFIG)
        describe(archive)
        for path in (here, *here.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        command = [
            python,
            "-m",
            "jobs.programs.evaluation",
            "--input",
            str(here / "input"),
            "--output",
            str(here / "output"),
        ]
        given = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "env": {"PYTHONPATH": str(here / "worker.pyz")}}
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=here, **given)
        if "By namespaces:" in done.stderr or "No image" in done.stderr:
            pytest.skip("this user has no namespaces here")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads((here / "output/scores.json").read_text())["score"] == 42
    finally:
        shutil.rmtree(here)
