"""The bounds of a program, and what a launcher is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.sandbox.bounds import Bounds, spelled
from jobs.sandbox.order import Order
from tests.sandbox.running import BOUNDS


def test_a_description_is_plain_json_and_makes_the_same_bounds() -> None:
    bounds = Bounds(**BOUNDS)
    assert Bounds.read(json.loads(json.dumps(bounds.description()))) == bounds


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seconds", 0),
        ("seconds", float("nan")),
        ("seconds", float("inf")),
        ("seconds", True),
        ("seconds", "10"),
        ("memory", 1000),
        ("memory", 1e9),
        ("processes", 0),
        ("processes", 100_000),
        ("output", -1),
        ("output", None),
        ("files", 0),
        ("files", False),
    ],
)
def test_a_wrong_bound_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        Bounds.read({**BOUNDS, field: value})


def test_a_bound_that_is_missing_or_unknown_is_named() -> None:
    with pytest.raises(ValueError, match=r"^memory: is missing"):
        Bounds.read({name: value for name, value in BOUNDS.items() if name != "memory"})
    with pytest.raises(ValueError, match=r"^cores: is none of"):
        Bounds.read({**BOUNDS, "cores": 2})
    with pytest.raises(ValueError, match=r"^bounds are an object"):
        Bounds.read([])


def test_bytes_are_spelled_for_people() -> None:
    assert [spelled(count) for count in (5, 1536, 512 << 20, 3 << 30)] == ["5 bytes", "1.5 KiB", "512 MiB", "3 GiB"]


def order(at: Path, **changes: Any) -> Order:
    given: dict[str, Any] = {
        "means": "namespaces",
        "bounds": Bounds(**BOUNDS),
        "words": ("true",),
        "read_only": {},
        "output": str(at / "output"),
        "report": str(at / "report"),
        "runtime": ("/opt/python",),
        "modules": "/opt/worker",
        "python": "/opt/python/bin",
    }
    return Order(**{**given, **changes})


@pytest.mark.parametrize(
    "target",
    [
        "submission",
        "/",
        "/usr/submission",
        "/etc",
        "/dev/x",
        "/proc",
        "/output/in",
        "/tmp",
        "/opt",
        "/opt/python/in",
        "/a/../usr",
        "/a//b",
        "/a/",
        "/.old",
        "/a b",
        "/a\n",
    ],
)
def test_a_path_inside_that_is_the_place_of_something_else_is_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(ValueError, match=r"^read_only: "):
        order(tmp_path, read_only={target: str(tmp_path)})


def test_paths_inside_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^read_only: /a"):
        order(tmp_path, read_only={"/a": str(tmp_path), "/a/b": str(tmp_path)})


def test_what_is_not_there_can_not_be_shown(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^read_only: /a is to show what is not there"):
        order(tmp_path, read_only={"/a": str(tmp_path / "nothing")})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("words", ()),
        ("words", ("a", "")),
        ("words", ("a\0b",)),
        ("runtime", ("/",)),
        ("runtime", ("/opt/..",)),
        ("runtime", ("/proc/1",)),
        ("runtime", ("python",)),
        ("output", "output"),
        ("report", "report"),
    ],
)
def test_a_wrong_argument_is_named(tmp_path: Path, field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        order(tmp_path, **{field: value})


@pytest.mark.parametrize("report", ["output/report", "output/../output/report", "link/report", "inputs/report"])
def test_a_report_that_the_program_would_see_is_refused(tmp_path: Path, report: str) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "inputs").mkdir()
    (tmp_path / "link").symlink_to("output")
    with pytest.raises(ValueError, match=r"^report: "):
        order(tmp_path, report=str(tmp_path / report), read_only={"/inputs": str(tmp_path / "inputs")})


def test_an_order_is_the_same_after_its_way_as_text(tmp_path: Path) -> None:
    given = order(tmp_path, read_only={"/submission": str(tmp_path)}, report="/nowhere/report")
    assert Order.read(given.text()).text() == given.text()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"image": "image"}, "image"),
        ({"image": "/nowhere"}, "image"),
        ({"runtime": ("/opt/python",)}, "runtime"),
        ({"variables": {"a=b": ""}}, "variables"),
        ({"variables": {"": "a"}}, "variables"),
        ({"variables": {"a": "b\0"}}, "variables"),
        ({"folder": "app"}, "folder"),
        ({"folder": "/app\0"}, "folder"),
    ],
)
def test_a_wrong_image_is_named(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    given = {"image": str(tmp_path / "image"), "runtime": (), **changes}
    (tmp_path / "image").mkdir()
    with pytest.raises(ValueError, match=f"^{named}: "):
        order(tmp_path, **given)
    for name in ("output", "report"):
        with pytest.raises(ValueError, match=f"^{name}: "):
            order(tmp_path, **{"image": str(tmp_path / "image"), "runtime": (), name: str(tmp_path / "image" / "x")})


def test_an_image_gets_its_own_variables_and_folders_of_ours(tmp_path: Path) -> None:
    given = order(tmp_path, image=str(tmp_path), runtime=(), variables={"PATH": "/own", "HOME": "/root", "A": "1"},
                  output="/nowhere/output", report="/nowhere/report")  # fmt: skip
    again = Order.read(given.text())
    assert again.text() == given.text()
    assert again.environment() == {
        "PATH": "/own", "HOME": "/tmp", "A": "1", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
