"""SHIELD-HIT12A input: what is read, and what is refused with file and line."""

import json
from pathlib import Path

import pytest

from jobs.programs.plan import Cylinder
from jobs.programs.shieldhit.native import InputError, read

PAYLOAD = Path(__file__).parents[3] / "shared" / "data" / "yaptide" / "shieldhit_json_payload_files.json"

BEAM = """RNDSEED 1234 ! seed
JPART0 2
TMAX0 60.0 0.6
TCUT0 0 1000
NSTAT 500 0
STRAGG 2
MSCAT 2
NUCRE 1
BEAMPOS 0 0 0
BEAMDIR 0.0 0.0
BEAMSIGMA 0.1 0.1
DELTAE 0.03
"""
MAT = "MEDIUM 1\nICRU 276\nEND\n"
GEO = """    0    0          short water phantom
  RCC    1       0.0       0.0       0.0       0.0       0.0       6.0
                 4.0
  RCC    2       0.0       0.0      -1.0       0.0       0.0       8.0
                 5.0
  RCC    3       0.0       0.0      -2.0       0.0       0.0      10.0
                 6.0
  END
  001          +1
  002          +2     -1
  003          -2     +3
  END
    1    2    3
    1 1000    0
"""
DETECT = """Geometry Cyl
    Name Depth
    R 0 4 1
    Z 0 6 120

Geometry Mesh
    Name Plane
    X -4 4 1
    Y -4 4 40
    Z 0 6 60

Filter
    Name Protons
    Z == 1
    A == 1
Filter
    Name Primaries
    GEN == 0
    Z == 1
Filter
    Name Secondary
    Z == 1
    GEN >= 1

Output
    Filename depth.bdo
    Geo Depth
    Quantity Dose
    Quantity Fluence Protons
    Quantity Fluence Primaries
    Quantity Fluence Secondary
    Quantity DDD
    Quantity dLET Protons
    Quantity tLET Protons
    Quantity AvgEnergy Protons

Output
    Filename plane.bdo
    Geo Plane
    Quantity Dose
    Quantity Fluence Protons
    Diff1 0 60 60
    Diff1Type E
"""


def files(**changes: str) -> dict[str, str]:
    """The small input of these tests; keywords such as `beam` replace whole files."""
    texts = {"beam": BEAM, "mat": MAT, "geo": GEO, "detect": DETECT} | changes
    return {f"{name}.dat": text for name, text in texts.items()}


def test_the_small_input_is_read() -> None:
    plan = read(files() | {"info.json": "{}"})
    assert (plan.primaries, plan.seed) == (500, 1234)
    assert (plan.beam.energy, plan.beam.spread, plan.beam.size) == (60.0, 0.6, (0.1, 0.1))
    assert (plan.beam.straggling, plan.beam.scattering, plan.beam.nuclear) == (2, 2, True)
    assert plan.geometry.title == "short water phantom"
    assert plan.geometry.water == Cylinder(0.0, 0.0, 0.0, 6.0, 4.0)
    assert [detector.bins for detector in plan.detectors] == [120, 2400]
    assert [output.filename for output in plan.outputs] == ["depth.bdo", "plane.bdo"]
    assert [page.number for page in plan.outputs[0].pages] == [0, 1, 2, 3, 5, 6, 7]
    assert [page.number for page in plan.outputs[1].pages] == [0]


def test_what_is_left_out_is_named_with_its_place() -> None:
    sentences = read(files(beam=BEAM + "EMTRANS 0\n")).unsupported
    assert sentences[0].startswith("beam.dat:13: card EMTRANS")
    assert sentences[1].startswith("detect.dat:32: page 4 of depth.bdo ('DDD') is left out")
    assert sentences[2].startswith("detect.dat:41: page 1 of plane.bdo ('Fluence Protons') is left out")
    assert len(sentences) == 3


@pytest.mark.parametrize(
    ("sigma", "shape", "size"),
    [
        ("0.2 0.3", "gaussian", (0.2, 0.3)),
        ("0.2", "gaussian", (0.2, 0.2)),
        ("-1 -2", "square", (1.0, 2.0)),
        ("2 -2", "circle", (2.0, 0.0)),
    ],
)
def test_signs_of_beamsigma_give_the_shape(sigma: str, shape: str, size: tuple[float, float]) -> None:
    beam = read(files(beam=BEAM.replace("BEAMSIGMA 0.1 0.1", f"BEAMSIGMA {sigma}"))).beam
    assert (beam.shape, beam.size) == (shape, size)


@pytest.mark.parametrize("name", ["beam.dat", "mat.dat", "geo.dat", "detect.dat"])
def test_a_missing_file_is_refused(name: str) -> None:
    texts = files()
    del texts[name]
    with pytest.raises(InputError, match="file is missing") as caught:
        read(texts)
    assert (caught.value.file, caught.value.line) == (name, None)


WRONG = [
    ("beam", "NSTAT 500 0\n", "", None, "card NSTAT is missing"),
    ("beam", "RNDSEED 1234", "RNDSEED x", 1, "'x' is not a whole number"),
    ("beam", "JPART0 2", "JPART0 25", 2, "allowed is 2"),
    ("beam", "TMAX0 60.0 0.6", "TMAX0 60,0 0.6", 3, "'60,0' is not a number"),
    ("beam", "TMAX0 60.0 0.6", "TMAX0 nan", 3, "'nan' is not a number"),
    ("beam", "TMAX0 60.0 0.6", "TMAX0 1e999", 3, "outside the allowed range"),
    ("beam", "TMAX0 60.0 0.6", "TMAX0 1000", 3, "outside the allowed range 1 to 300"),
    ("beam", "TMAX0 60.0 0.6", "TMAX0", 3, "is missing"),
    ("beam", "TCUT0 0 1000", "TCUT0 70 1000", 4, "does not include"),
    ("beam", "NSTAT 500", "NSTAT 0", 5, "outside the allowed range 1 to 1000000000"),
    ("beam", "NSTAT 500", "NSTAT 1000000001", 5, "outside the allowed range"),
    ("beam", "STRAGG 2", "STRAGG 3", 6, "outside the allowed range 0 to 2"),
    ("beam", "BEAMPOS 0 0 0", "BEAMPOS 0 0 -1.5", 9, "outside the water and the vacuum"),
    ("beam", "BEAMSIGMA 0.1 0.1", "BEAMSIGMA -0.1 0.1", 11, "not allowed"),
    ("beam", "DELTAE 0.03", "DELTAE 0", 12, "outside the allowed range"),
    ("beam", "DELTAE 0.03", "USEBMOD 1 filter.dat", 12, "unknown or not supported"),
    ("beam", "NUCRE 1", "MSCAT 1", 8, "given twice; first on line 7"),
    ("beam", "! seed", "\x00", 1, "control character"),
    ("mat", "ICRU 276", "ICRU 104", 2, "allowed is 276"),
    ("mat", "ICRU 276", "RHO 2.0", 2, "RHO 2.0; allowed is 1"),
    ("mat", "ICRU 276\n", "", 1, "has no ICRU line"),
    ("mat", "END\n", "", 1, "not closed with END"),
    ("mat", MAT, "", None, "section MEDIUM is missing"),
    ("geo", "RCC    2", "SPH    2", 4, "allowed is RCC"),
    ("geo", "0.0       6.0", "1.0       6.0", 2, "not a cylinder along"),
    ("geo", "                 4.0\n", "                 -4.0\n", 3, "outside the allowed range"),
    ("geo", "+2     -1", "+2OR   -1", 10, "without OR"),
    ("geo", "+2     -1", "+2     -9", 10, "names body 9"),
    ("geo", "    1 1000    0", "    1    7    0", 14, "medium 7 is not in mat.dat"),
    ("geo", "    1 1000    0", "    1    1    0", 10, "2 zones are filled with water"),
    ("geo", "    1 1000    0", " 1000    1    0", 10, "must be one whole cylinder"),
    ("geo", "    1 1000    0", "    1 1000", 14, "5 numbers after the zones"),
    ("geo", "    1    2    3", "    1    3    2", 13, "zones must be listed in order"),
    ("geo", GEO, "", None, "file is empty"),
    ("detect", "Geometry Cyl", "Geometry Sphere", 1, "allowed are Cyl and Mesh"),
    ("detect", "Z 0 6 120", "Z 0 6 0", 4, "outside the allowed range 1 to 1000000"),
    ("detect", "Z 0 6 120", "Z 0 6 -3", 4, "outside the allowed range"),
    ("detect", "Z 0 6 120", "Z 6 0 120", 4, "must be greater than the start"),
    ("detect", "Z 0 6 120", "Q 0 6 120", 4, "allowed are Name, R, Z"),
    ("detect", "    Z 0 6 120\n", "", 1, "missing is Z"),
    ("detect", "Y -4 4 40\n    Z 0 6 60", "Y -4 4 4000\n    Z 0 6 6000", 6, "at most 1000000"),
    ("detect", "A == 1", "Q == 1", 15, "allowed are Z, A and GEN"),
    ("detect", "A == 1", "A = 1", 15, "operator"),
    ("detect", "Fluence Secondary", "Fluence Neutrons", 31, "filter 'Neutrons' is not given"),
    ("detect", "Geo Plane", "Geo Nowhere", 39, "Geo 'Nowhere' is not given"),
    ("detect", "Filename plane.bdo", "Filename ../plane.bdo", 38, "Filename"),
    ("detect", "Filename plane.bdo", "Filename depth.bdo", 37, "given twice"),
    ("detect", "    Name Plane\n", "", 6, "exactly one Name"),
    ("detect", DETECT, "", None, "section Geometry is missing"),
    ("detect", DETECT, "Name x\n", 1, "outside a section"),
    ("detect", DETECT, "Geometry Cyl\n" * 101, 101, "more than 100 sections"),
]


@pytest.mark.parametrize(("file", "old", "new", "line", "message"), WRONG)
def test_wrong_input_is_refused_with_its_place(file: str, old: str, new: str, line: int | None, message: str) -> None:
    texts = files()
    assert old in texts[f"{file}.dat"]
    texts[f"{file}.dat"] = texts[f"{file}.dat"].replace(old, new, 1)
    with pytest.raises(InputError) as caught:
        read(texts)
    assert message in caught.value.message
    assert (caught.value.file, caught.value.line) == (f"{file}.dat", line)
    place = f"{file}.dat: " if line is None else f"{file}.dat:{line}: "
    assert str(caught.value) == place + caught.value.message
    assert "\n" not in str(caught.value)


def test_files_beyond_the_bounds_are_refused() -> None:
    with pytest.raises(InputError, match="at most 1000000"):
        read(files(detect="x" * 1_000_001))
    with pytest.raises(InputError, match="at most 20000"):
        read(files(beam="\n" * 20_001))


def test_pages_beyond_the_bound_are_refused() -> None:
    detect = DETECT.replace("Z 0 6 120", "Z 0 6 900000")
    with pytest.raises(InputError, match="at most 4000000") as caught:
        read(files(detect=detect))
    assert caught.value.line == 25


@pytest.mark.skipif(not PAYLOAD.exists(), reason="YAPTIDE's sample input is not here")
def test_the_sample_of_yaptide_is_read() -> None:
    plan = read(json.loads(PAYLOAD.read_text())["input_files"])
    assert (plan.beam.energy, plan.beam.spread, plan.primaries, plan.seed) == (150.0, 1.5, 10_000, 89736501)
    assert plan.geometry.water == Cylinder(0.0, 0.0, 0.0, 20.0, 5.0)
    assert [len(output.pages) for output in plan.outputs] == [4, 3, 6, 6]
    assert [sentence.split(": ")[0] for sentence in plan.unsupported] == ["detect.dat:60", "detect.dat:73"]
