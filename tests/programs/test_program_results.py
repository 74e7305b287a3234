"""What programs leave behind: the stand-ins' files, whole and damaged."""

import math
import sys
from pathlib import Path

import pytest

from jobs.programs import READY
from jobs.programs.readers import OutputError, named, pages, read
from jobs.results import estimators as results
from tests.support.programs import (
    FLUKA_FILES,
    TOPAS_FILES,
    WITH_LIBRARY,
    Run,
    Starter,
    as_json,
    axes_of,
    ended,
    page_of,
    stand_in,
)

pytestmark = pytest.mark.slow


@WITH_LIBRARY
def test_results_of_shieldhit(start: Starter) -> None:
    run = ended(start("shieldhit12a", task=12))
    assert (run.output / "yz_0001.bdo").exists()
    assert " Random seed: 778" in run.logged
    estimators = run.program.results_in(run.output).estimators
    assert results.read(as_json(estimators)).warnings == []
    assert [(each["name"], each["file_name"]) for each in estimators] == [("slab", "slab.bdo"), ("yz", "yz.bdo")]
    assert estimators[1]["metadata"]["number_of_primaries"] == "100"
    assert estimators[1]["metadata"]["geotyp"] == "MSH"
    dose, fluence = (page_of(estimators, 1, number) for number in (0, 1))
    assert (dose["data"]["name"], dose["data"]["unit"], dose["dimensions"]) == ("DOSE", "MeV/g/prim", 2)
    assert axes_of(dose) == [
        ("Position (Y)", "cm", [-2.0, 0.0, 2.0]),
        ("Position (Z)", "cm", [1.0, 3.0, 5.0, 7.0]),
    ]
    assert dose["data"]["values"] == pytest.approx([10 * y + z for z in range(4) for y in range(3)])
    assert fluence["data"]["values"] == pytest.approx([100 + 10 * y + z for z in range(4) for y in range(3)])
    assert (fluence["metadata"]["page_number"], fluence["metadata"]["page_filter_name"]) == ("1", "Protons")
    energy, spectrum, turned = (page_of(estimators, 0, number) for number in (0, 1, 2))
    assert (energy["dimensions"], energy["data"]["values"], energy["data"]["unit"]) == (0, [148.5], "MeV")
    assert axes_of(spectrum) == [("KINETIC-ENERGY", "MeV", [16.0, 48.0, 80.0, 112.0, 144.0])]
    assert spectrum["data"] == {
        "name": "FLUENCE",
        "unit": "/cm^2/MeV/prim",
        "values": pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5]),
    }
    assert axes_of(turned) == [
        ("KINETIC-ENERGY", "MeV", [16.0, 48.0, 80.0, 112.0, 144.0]),
        ("", "deg", [22.5, 67.5]),
    ]
    assert turned["data"] == {
        "name": "FLUENCE",
        "unit": "/cm^2/MeV/deg/prim",
        "values": pytest.approx([e + 10 * a for a in range(2) for e in range(5)]),
    }


@WITH_LIBRARY
def test_estimators_of_shieldhit_have_the_names_that_users_gave(start: Starter) -> None:
    run = ended(start("shieldhit12a"))
    (run.output / "names.json").write_text('{"yz.bdo": "Seen from the side", "none.bdo": "x", "slab.bdo": 3}')
    names = [(each["name"], each["file_name"]) for each in run.program.results_in(run.output).estimators]
    assert names == [("slab", "slab.bdo"), ("Seen from the side", "yz.bdo")]
    (run.output / "names.json").write_text('{"slab.bdo": {"name": "Slab", "quantities": ["all of it"]}}')
    slab, side = run.program.results_in(run.output).estimators
    assert (slab["name"], slab["pages"][0]["metadata"]["title"], side["name"]) == ("Slab", "all of it", "yz")
    assert "title" not in side["pages"][0]["metadata"]
    (run.output / "names.json").write_text("[")
    assert [each["name"] for each in run.program.results_in(run.output).estimators] == ["slab", "yz"]


@WITH_LIBRARY
def test_results_of_fluka(start: Starter) -> None:
    run = ended(start("fluka"))
    assert "Initial seed 777" in run.said
    estimators = run.program.results_in(run.output).estimators
    assert results.read(as_json(estimators)).warnings == []
    names = [(each["name"], each["file_name"]) for each in estimators]
    assert names == [("fort.21", "water_fort.21"), ("fort.22", "water_fort.22")]
    assert estimators[0]["metadata"]["number_of_primaries"] == "100"
    assert estimators[0]["metadata"]["title"] == "seed 777"
    front, depth, rings = page_of(estimators, 0, 0), page_of(estimators, 0, 1), page_of(estimators, 1, 0)
    assert axes_of(front) == [("Position (X)", "cm", [-0.5, 0.5]), ("Position (Y)", "cm", [-2.0, 0.0, 2.0])]
    assert (front["data"]["name"], front["data"]["unit"], front["metadata"]["title"]) == ("DOSE", "MeV/g", "front")
    assert front["data"]["values"] == pytest.approx([1000.0 * (100 * x + 10 * y) for y in range(3) for x in range(2)])
    assert axes_of(depth) == [("Position (Z)", "cm", [1.0, 3.0, 5.0, 7.0])]
    assert depth["data"] == {"name": "FLUENCE PROTON", "unit": "/cm^2", "values": [0.0, 1.0, 2.0, 3.0]}
    assert axes_of(rings) == [("Radius (R)", "cm", [1.0, 3.0]), ("Position (Z)", "cm", [1.0, 3.0, 5.0])]
    assert rings["data"]["values"] == pytest.approx([1000.0 * (100 * x + z) for z in range(3) for x in range(2)])
    assert [page["metadata"]["page_number"] for page in estimators[0]["pages"]] == ["0", "1"]


@WITH_LIBRARY
def test_cycles_of_fluka_are_averaged_by_their_primaries(start: Starter, tmp_path: Path) -> None:
    run = ended(start("fluka", primaries=300))
    (tmp_path / "second").mkdir()
    second = ended(Run(stand_in("fluka"), FLUKA_FILES, tmp_path / "second", 100))
    data = (second.output / "water001_fort.22").read_bytes()
    last = data[-28:-4]  # the six values; the count of bytes follows them
    (run.output / "water002_fort.22").write_bytes(data[:-28] + bytes(len(last)) + data[-4:])
    rings = page_of(run.program.results_in(run.output).estimators, 1, 0)
    assert rings["data"]["values"] == pytest.approx([750.0 * (100 * x + z) for z in range(3) for x in range(2)])


def test_results_of_topas(tmp_path: Path) -> None:
    more = """s:Sc/Spectrum/Quantity = "Fluence"
i:Sc/Spectrum/ZBins = 2
i:Sc/Spectrum/EBins = 3
d:Sc/Spectrum/EBinMax = 7.5 MeV
sv:Sc/Spectrum/OutputReport = 2 "Sum" "Mean"
s:Sc/Single/Quantity = "ProtonLET"
s:Sc/Point/Quantity = "DoseToMedium"
s:Sc/Point/OutputFile = "deep"
"""
    files = {"topas_config.txt": TOPAS_FILES["topas_config.txt"] + more, "own.csv": "depth,dose\n1,2\n"}
    run = ended(Run(stand_in("topas"), files, tmp_path, 200))
    assert "Seed: 777" in run.said
    estimators = run.program.results_in(run.output, 200).estimators
    assert results.read(as_json(estimators)).warnings == []
    assert [(each["name"], each["file_name"]) for each in estimators] == [
        ("Dose", "Dose.csv"),
        ("Single", "Single.csv"),
        ("Spectrum", "Spectrum.csv"),
        ("deep", "deep.csv"),
    ]
    dose, single, spectrum, point = (page_of(estimators, number, 0) for number in range(4))
    assert estimators[0]["metadata"]["number_of_primaries"] == "200"
    assert (dose["data"]["name"], dose["data"]["unit"], dose["metadata"]["title"]) == ("DoseToMedium", "Gy", "Dose")
    assert dose["metadata"]["page_filter_name"] == 'OnlyIncludeParticlesNamed = 1 "proton"'
    third = 4 / 3
    assert [(name, unit) for name, unit, _ in axes_of(dose)] == [("X", "cm"), ("Z", "cm")]
    assert axes_of(dose)[0][2] == [1.0, 3.0]
    assert axes_of(dose)[1][2] == pytest.approx([third / 2, 1.5 * third, 2.5 * third], rel=1e-5)
    assert dose["data"]["values"] == pytest.approx([100 * x + z for z in range(3) for x in range(2)])
    assert single["dimensions"] == 0
    assert math.isnan(single["data"]["values"][0])
    assert axes_of(spectrum) == [("Z", "cm", [1.0, 3.0]), ("incident track energy", "MeV", [1.25, 3.75, 6.25])]
    assert spectrum["data"]["values"] == pytest.approx([z + e / 10 for e in range(3) for z in range(2)])
    assert point["dimensions"] == 0


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('sv:Sc/Dose/OutputReport = 2 "Sum" "Histories_with_Scorer_Active"', 1.0),
        ('sv:Sc/Dose/OutputReport = 1 "Mean"', 1.0),
        ('b:Sc/Dose/SingleIndex = "True"', 1.0),
        ("u:Sc/Dose/Sparsify = 150", 1.0),
    ],
)
def test_other_shapes_of_topas_tables(tmp_path: Path, more: str, expected: float) -> None:
    run = ended(Run(stand_in("topas"), {"topas_config.txt": TOPAS_FILES["topas_config.txt"] + more}, tmp_path, 100))
    page = page_of(run.program.results_in(run.output, 100).estimators, 0, 0)
    values = [expected * (100 * x + z) for z in range(3) for x in range(2)]
    if "Sparsify" in more:
        values[2] = 0.0
        assert page["metadata"]["left_out_up_to"] == "150 Gy"
    assert page["data"]["values"] == pytest.approx(values)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('sv:Sc/Dose/OutputReport = 1 "Variance"', "reports neither Mean nor Sum"),
        ('sv:Sc/Dose/OutputReport = 1 "Sum"', "must report Mean: Sum of DoseToMedium"),
    ],
)
def test_tables_of_topas_that_cannot_be_used_are_named(tmp_path: Path, more: str, message: str) -> None:
    run = ended(Run(stand_in("topas"), {"topas_config.txt": TOPAS_FILES["topas_config.txt"] + more}, tmp_path, 100))
    reading = run.program.results_in(run.output)
    assert reading.estimators == []
    (warning,) = reading.warnings
    assert warning.startswith("Dose.csv: ")
    assert message in warning
    assert [path.name for path in reading.files] == ["Dose.csv"]


@pytest.mark.parametrize("like", [pytest.param(each, marks=WITH_LIBRARY) for each in sorted(READY)])
def test_values_that_are_not_finite_are_none(start: Starter, like: str) -> None:
    run = ended(start(like, "nan"))
    estimators = run.program.results_in(run.output, 100).estimators
    (found,) = [each for each in estimators if each["name"] in ("yz", "fort.21", "Dose")]
    values = found["pages"][0]["data"]["values"]
    missing = [index for index, value in enumerate(values) if not math.isfinite(value)]
    assert missing == {"shieldhit12a": [1, 2], "fluka": [1], "topas": [2]}[like]


def _written(run: Run) -> list[Path]:
    return sorted(path for path in run.output.iterdir() if path.suffix in (".bdo", ".csv") or "fort" in path.name)


@pytest.mark.parametrize("like", [pytest.param(each, marks=WITH_LIBRARY) for each in sorted(READY)])
def test_a_file_that_is_cut_short_is_named_beside_those_that_are_whole(start: Starter, like: str) -> None:
    run = ended(start(like))
    path = _written(run)[-1]
    data = path.read_bytes()
    whole = run.program.results_in(run.output, 100)
    assert whole.warnings == []
    for length in range(0, len(data), 1 if len(data) < 400 else 7):
        path.write_bytes(data[:length])
        reading = run.program.results_in(run.output, 100)
        assert len(reading.estimators) == len(whole.estimators) - 1
        assert [warning.split(":")[0] for warning in reading.warnings] == [path.name], length
        assert reading.files == _written(run)


@pytest.mark.parametrize("like", sorted(READY))
def test_a_run_that_wrote_nothing_has_no_results(start: Starter, like: str) -> None:
    run = ended(start(like))
    for path in _written(run):
        path.unlink()
    with pytest.raises(OutputError, match="no such file was written"):
        run.program.results_in(run.output, 100)


@WITH_LIBRARY
@pytest.mark.parametrize(
    ("like", "file"), [("shieldhit12a", "yz_0001.bdo"), ("fluka", "water001_fort.22"), ("topas", "Dose.csv")]
)
def test_a_corrupt_file_is_named(start: Starter, like: str, file: str) -> None:
    run = ended(start(like))
    path = run.output / file
    data = path.read_bytes()
    beginning = b"# TOPAS Version: 3.9\n" if like == "topas" else b""
    middle = len(data) - 110 if like == "topas" else 60
    for wrong in (b"x" * 400, bytes(400), data[:middle] + b"\xff" * 100 + data[middle + 100 :], data + b"\x01\x02\x03"):
        path.write_bytes(beginning + wrong)
        (warning,) = run.program.results_in(run.output, 100).warnings
        assert warning.startswith(f"{file}: ")


@WITH_LIBRARY
@pytest.mark.parametrize(
    ("like", "file", "message"),
    [
        ("shieldhit12a", "yz_0001.bdo", "yz.bdo: it is asked for in detect.dat, and was not written"),
        ("topas", "Dose.csv", "Dose: no file Dose.csv was written"),
    ],
)
def test_what_was_asked_and_did_not_come_is_named(start: Starter, like: str, file: str, message: str) -> None:
    run = ended(start(like))
    (run.output / "Other.csv").write_text("# TOPAS Version: 3.9\n# DoseToMedium ( Gy ) : Mean\n1\n")
    (run.output / file).unlink()
    assert run.program.results_in(run.output, 100).warnings == [message]


@WITH_LIBRARY
def test_two_runs_in_one_folder_are_not_mixed(start: Starter) -> None:
    run = ended(start("shieldhit12a"))
    (run.output / "yz_0002.bdo").write_bytes((run.output / "yz_0001.bdo").read_bytes())
    reading = run.program.results_in(run.output)
    assert reading.warnings == ["yz_0002.bdo: there are two files of the estimator yz"]


def test_a_missing_library_is_said(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ended(start("shieldhit12a"))
    for name in [name for name in sys.modules if name.split(".")[0] == "pymchelper"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymchelper", None)
    reading = run.program.results_in(run.output)
    assert reading.estimators == []
    assert "read with pymchelper, which does not work here" in reading.warnings[0]
    assert len(reading.files) == 2


def test_json_results(tmp_path: Path) -> None:
    for text, message in [
        (None, "it was not written"),
        ('{"estimators": [{"x": [1, 2', "cut short"),
        ("[]", "must hold"),
        ('{"estimators": {}}', "must hold"),
        ('{"estimators": [1]}', "none of its estimators is an object"),
    ]:
        if text is not None:
            (tmp_path / "results.json").write_text(text)
        with pytest.raises(OutputError, match=message) as caught:
            read("yaptide-json", tmp_path)
        assert caught.value.file == "results.json"
    (tmp_path / "results.json").write_bytes(b'{"estimators": ["\xff"]}')
    with pytest.raises(OutputError, match="not UTF-8"):
        read("yaptide-json", tmp_path)
    (tmp_path / "results.json").write_text('{"estimators": [{"values": [NaN, Infinity, -Infinity, 1e999, 2.5, 3]}]}')
    assert read("yaptide-json", tmp_path).estimators == [{"values": [None, None, None, None, 2.5, 3]}]


def test_a_page_has_three_axes_at_most() -> None:
    axis = pages.Axis("X", "cm", [0.0, 1.0])
    assert pages.page("a.bdo", 3, "DOSE", "MeV/g", [axis] * 3, [0.0] * 8, {})["dimensions"] == 3
    with pytest.raises(OutputError, match=r"^a\.bdo: page 3, DOSE: 4 axes \(2 x 2 x 2 x 2 bins\)"):
        pages.page("a.bdo", 3, "DOSE", "MeV/g", [axis] * 4, [0.0] * 16, {})
    with pytest.raises(OutputError, match="3 values, but its axes span 2"):
        pages.page("a.bdo", 3, "DOSE", "MeV/g", [axis], [0.0] * 3, {})
    flat = pages.page("a.bdo", 0, "DOSE", "MeV/g", [pages.Axis("Y", "cm", [math.nan]), axis], [1.0, math.inf], {})
    assert (flat["dimensions"], flat["axis_dim1"]["name"], list(flat["data"]["values"])) == (1, "X", [1.0, math.inf])


def test_an_error_that_nobody_foresaw_is_named_with_its_file() -> None:
    warnings: list[str] = []
    with named(warnings, "a.bdo"):
        raise IndexError("no such place")
    with named(warnings, "b.bdo"):
        Path("/none/secret").read_bytes()
    assert warnings == [
        "a.bdo: it can't be read: IndexError: no such place",
        "b.bdo: it can't be read: No such file or directory",
    ]
