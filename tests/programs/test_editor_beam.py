"""Beams, physics, seeds and beam modulators of the editor's projects, as cards of SHIELD-HIT12A and FLUKA."""

from typing import Any

import pytest

from jobs.programs.editor.conversion import convert
from jobs.programs.plan import InputError
from tests.support.editor import BASE, DELETED, changed

CARBON: dict[str, Any] = {
    "beam.particle": {"id": 25, "a": 12, "z": 6},
    "beam.energy": 2400,
    "beam.energySpread": 24,
    "beam.energyLowCutoff": 0,
    "beam.energyHighCutoff": 3600,
    "beam.sigma": {"type": "Gaussian", "x": 0.5, "y": 0.3},
}
HELIUM: dict[str, Any] = {
    "beam.particle": {"id": 24, "a": 4, "z": 2},
    "beam.energy": 400,
    "beam.energySpread": 4,
    "beam.energyLowCutoff": 0,
    "beam.energyHighCutoff": 1000,
    "beam.position": [0, 18, 0],
    "beam.direction": [0, -1, 0],
    "beam.sigma": {"type": "Flat square", "x": 2, "y": 3},
}
MODULATOR: dict[str, Any] = {
    "uuid": "M",
    "type": "BeamModulator",
    "geometryData": {"geometryType": "Zone", "parameters": {"zoneUuid": "Z0"}},
    "simulationMethod": "sampling",
    "sourceFile": {"name": "wheel.dat", "value": "* wheel\n2\n0.5 1.0\n0.9 2.0"},
}


def shieldhit(changes: dict[str, Any]) -> dict[str, list[str]]:
    """The cards of beam.dat."""
    lines = convert(changed(changes)).files["beam.dat"].splitlines()
    return {line.split()[0]: line.split("!")[0].split()[1:] for line in lines}


def fluka(changes: dict[str, Any], card: str = "BEAM") -> tuple[list[float], str]:
    """The numbers of a card, 0 for those that are not given, and its name."""
    lines = convert(changed(changes), "fluka").files["fl_sim.inp"].splitlines()
    (line,) = (line for line in lines if line[:10].strip() == card)
    return [float(line[k : k + 10].strip() or 0) for k in range(10, 70, 10)], line[70:]


def refused(changes: dict[str, Any], format: str) -> str:
    with pytest.raises(InputError) as caught:
        convert(changed(changes), format)
    return caught.value.file


def test_a_proton_beam_becomes_beam_dat() -> None:
    assert (
        convert(BASE).files["beam.dat"]
        == """\
RNDSEED      89736501     ! random seed
JPART0       2            ! particle
TMAX0        150 1.5  ! energy and its spread (MeV)
NSTAT        10000 0  ! primaries
STRAGG       2  ! straggling: 0 off, 1 Gauss, 2 Vavilov
MSCAT        2  ! scattering: 0 off, 1 Gauss, 2 Moliere
NUCRE        1  ! nuclear reactions: 0 off, 1 on
DELTAE       0.03  ! energy lost in a step, as a fraction
BEAMPOS      0 0 0  ! start of the beam (cm)
BEAMDIR      0 0  ! theta and phi (degrees)
BEAMSIGMA    0 0  ! shape and size (cm), by their signs
"""
    )


def test_a_proton_beam_becomes_cards_of_fluka() -> None:
    text = convert(BASE, "fluka").files["fl_sim.inp"]
    assert (
        text[: text.index("GEOBEGIN")]
        == """\
TITLE
T
DEFAULTS                                                              HADROTHE
BEAM           -0.15-.00697209       0.0       0.0       0.0       1.0PROTON
BEAMPOS          0.0       0.0       0.0       0.0       0.0
"""
    )
    assert text[text.index("RANDOMIZ") :] == "RANDOMIZ         1.0     137.0\nSTART        10000.0\nSTOP\n"


def test_ions_have_energies_per_nucleon() -> None:
    cards = shieldhit(CARBON)
    assert (cards["JPART0"], cards["HIPROJ"]) == (["25"], ["12", "6"])
    assert (cards["TMAX0"], cards["TCUT0"], cards["BEAMSIGMA"]) == (["200", "2"], ["0", "300"], ["0.5", "0.3"])
    numbers, name = fluka(CARBON)
    assert (numbers[0], name) == (-0.2, "HEAVYION")
    assert numbers[3:5] == pytest.approx([-1.17741, -0.706446], rel=1e-5)
    assert fluka(CARBON, "HI-PROPE")[0][:2] == [6, 12]


@pytest.mark.parametrize("unit", [{}, {"beam.energyUnit": "MeV/nucl", "beam.energy": 100, "beam.energySpread": 1}])
def test_light_ions_have_their_whole_energy_in_fluka(unit: dict[str, Any]) -> None:
    assert shieldhit(HELIUM | unit)["TMAX0"] == ["100", "1"]
    numbers, name = fluka(HELIUM | unit)
    assert (numbers[0], numbers[3:], name) == (-0.4, [4, 6, 1], "4-HELIUM")


def test_the_spread_becomes_one_of_the_momentum_in_fluka() -> None:
    # 2.35482 x 1.5 MeV / beta, and beta is 0.506617 of 150 MeV protons
    assert fluka({})[0][1] == pytest.approx(-2.35482 * 1.5e-3 / 0.506617, rel=1e-4)
    assert fluka({"beam.energySpread": 0})[0][1] == 0


@pytest.mark.parametrize(
    ("direction", "angles", "cosines", "name"),
    [
        ([0, 0, 1], ["0", "0"], [0, 0], ""),
        ([0, -1, 0], ["90", "270"], [0, -1], ""),
        ([1, 1, 1], ["54.7356103", "45"], [3**-0.5, 3**-0.5], ""),
        ([-1, 0, -1], ["135", "180"], [-(2**-0.5), 0], "NEGATIVE"),
        ([0, 0, -7], ["180", "0"], [0, 0], "NEGATIVE"),
    ],
)
def test_directions_keep_their_signs(
    direction: list[float], angles: list[str], cosines: list[float], name: str
) -> None:
    assert shieldhit({"beam.direction": direction})["BEAMDIR"] == angles
    numbers, sdum = fluka({"beam.direction": direction}, "BEAMPOS")
    assert (numbers[3:5], sdum) == (pytest.approx(cosines, abs=2e-8), name)
    assert sum(cosine**2 for cosine in numbers[3:5]) <= 1


@pytest.mark.parametrize(
    ("sigma", "signs", "widths"),
    [
        ({"type": "Gaussian", "x": 0, "y": 0}, ["0", "0"], [0, 0, 1]),
        ({"type": "Gaussian", "x": 1, "y": 0}, ["1", "0"], [-2.354820, -2.354820e-6, 1]),
        ({"type": "Gaussian", "x": -1, "y": 2}, ["1", "2"], [-2.354820, -4.709640, 1]),
        ({"type": "Flat square", "x": 2, "y": 3}, ["-2", "-3"], [4, 6, 1]),
        ({"type": "Flat square", "x": 0, "y": 3}, ["-1e-06", "-3"], [2e-6, 6, 1]),
        ({"type": "Flat circular", "x": 9, "y": 3}, ["1", "-3"], [3, 1e-7, -1]),
    ],
)
def test_spots_have_widths_as_each_program_counts_them(
    sigma: dict[str, Any], signs: list[str], widths: list[float]
) -> None:
    assert shieldhit({"beam.sigma": sigma})["BEAMSIGMA"] == signs
    assert fluka({"beam.sigma": sigma})[0][3:] == pytest.approx(widths, rel=1e-4)


def test_a_source_away_from_the_axis_is_shieldhits_alone() -> None:
    single, double = {"type": "single", "x": 200, "y": 0}, {"type": "double", "x": 200, "y": 256}
    assert shieldhit({"beam.sad": single})["BEAMSAD"] == ["200"]
    assert shieldhit({"beam.sad": double})["BEAMSAD"] == ["200", "256"]
    assert "BEAMSAD" not in shieldhit({"beam.sad": {"type": "none", "x": 5, "y": 5}})
    assert refused({"beam.sad": single}, "fluka") == "beam.sad.type"


def test_a_file_of_beams_comes_with_the_input() -> None:
    changes = {"beam.sourceType": "file", "beam.sourceFile": {"name": "", "value": "* E\r\n0.15 0.01\r\n"}}
    assert convert(changed(changes)).files["sobp.dat"] == "* E\n0.15 0.01\n"
    assert shieldhit(changes)["USECBEAM"] == ["sobp.dat"]
    assert refused(changes, "fluka") == "beam.sourceType"
    changes["beam.sourceFile"] = {"name": "a", "value": " "}
    assert refused(changes, "shieldhit") == "beam.sourceFile.value"


def test_a_beam_modulator_comes_with_its_file() -> None:
    changes = {"specialComponentsManager.modulator": MODULATOR}
    cards = shieldhit(changes)
    assert (cards["USEBMOD"], cards["BMODMC"], cards["BMODTRANS"]) == (["1", "wheel.dat"], ["1"], ["0"])
    assert convert(changed(changes)).files["wheel.dat"].endswith("0.9 2.0\n")
    assert refused(changes, "fluka") == "specialComponentsManager.modulator"
    changes["specialComponentsManager.modulator"] = MODULATOR | {"sourceFile": {"name": "geo.dat", "value": "x"}}
    assert refused(changes, "shieldhit") == "specialComponentsManager.modulator.sourceFile.name"


@pytest.mark.parametrize("format", ["shieldhit", "fluka"])
def test_a_ct_scan_is_refused(format: str) -> None:
    assert refused({"specialComponentsManager.CTCube": {"x": 1}}, format) == "specialComponentsManager.CTCube"


def test_physics_becomes_cards_of_shieldhit() -> None:
    physic = {
        "energyLoss": 0.02,
        "enableNuclearReactions": False,
        "energyModelStraggling": "Gaussian",
        "multipleScattering": "no scattering",
    }
    cards = shieldhit({"physic": physic})
    assert [cards[key] for key in ("DELTAE", "NUCRE", "STRAGG", "MSCAT")] == [["0.02"], ["0"], ["1"], ["0"]]


@pytest.mark.parametrize(
    ("key", "off"),
    [
        ("energyModelStraggling", "no straggling"),
        ("multipleScattering", "no scattering"),
        ("enableNuclearReactions", False),
    ],
)
def test_fluka_refuses_physics_that_is_off(key: str, off: object) -> None:
    assert refused({"physic": {key: off}}, "fluka") == f"physic.{key}"
    assert convert(changed({"physic": {"energyModelStraggling": "Gaussian"}}), "fluka")


@pytest.mark.parametrize("id", [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 15, 16, 21, 22, 23, 24])
def test_particles_need_no_numbers_of_their_own(id: int) -> None:
    assert shieldhit({"beam.particle": {"id": id}})["JPART0"] == [str(id)]
    assert fluka({"beam.particle": {"id": id}})[1]


@pytest.mark.parametrize(("id", "name"), [(6, "ANEUTRON"), (12, "PHOTON"), (26, "ELECTRON")])
def test_some_particles_are_flukas_alone(id: int, name: str) -> None:
    assert fluka({"beam.particle": {"id": id}})[1] == name
    assert refused({"beam.particle": {"id": id}}, "shieldhit") == "beam.particle.id"


def test_cuts_that_change_the_beam_are_shieldhits_alone() -> None:
    cut = {"beam.energyLowCutoff": 148, "beam.energyHighCutoff": 1000}
    assert shieldhit(cut)["TCUT0"] == ["148", "1000"]
    assert refused(cut, "fluka") == "beam.energyLowCutoff"
    cut = {"beam.energyLowCutoff": 0, "beam.energyHighCutoff": 151}
    assert refused(cut, "fluka") == "beam.energyHighCutoff"
    first = {"beam.energyLowCutoff": 0, "beam.energyHighCutoff": 1000, "beam.energy": 5000}
    assert fluka(first)[0][0] == -5


def test_a_project_runs_with_the_seed_that_it_names() -> None:
    assert shieldhit({"beam.seed": 4711})["RNDSEED"] == ["4711"]
    assert fluka({"beam.seed": 4711}, "RANDOMIZ")[0][:2] == [1, 4711]
    assert refused({"beam.seed": 900_000_001}, "fluka") == "beam.seed"
    assert shieldhit({"beam.seed": None})["RNDSEED"] == ["89736501"]


def test_what_is_absent_is_as_the_editor_has_it_at_first() -> None:
    for key in ("energyUnit", "particle.name", "particle.a", "particle.z"):
        assert convert(changed({f"beam.{key}": DELETED})).files == convert(BASE).files
        assert convert(changed({f"beam.{key}": DELETED}), "fluka").files == convert(BASE, "fluka").files


def test_one_cut_alone_is_a_cut() -> None:
    low, high = {"beam.energyLowCutoff": 149}, {"beam.energyHighCutoff": 150.1}
    assert shieldhit(low)["TCUT0"] == ["149", "1000000"]
    assert shieldhit(high)["TCUT0"] == ["0", "150.1"]
    assert refused(low, "fluka") == "beam.energyLowCutoff"
    assert refused(high, "fluka") == "beam.energyHighCutoff"


@pytest.mark.parametrize("format", ["shieldhit", "fluka"])
def test_cuts_that_leave_out_the_beam_or_run_backwards_are_refused(format: str) -> None:
    assert refused({"beam.energyLowCutoff": 150.5}, format) == "beam.energyLowCutoff"
    assert refused({"beam.energyHighCutoff": 149}, format) == "beam.energyHighCutoff"
    assert refused({"beam.energyLowCutoff": 140, "beam.energyHighCutoff": 130}, format) == "beam.energyHighCutoff"


def test_the_first_cuts_of_the_editor_leave_no_beam_out() -> None:
    first = {"beam.energyLowCutoff": 0, "beam.energyHighCutoff": 1000}
    assert shieldhit(first)["TCUT0"] == ["0", "1000"]
    assert "TCUT0" not in shieldhit({**first, "beam.energy": 5000})


@pytest.mark.parametrize("name", ["warnings.json", "names.json", "Warnings.JSON", "beam.dat", "GEO.dat"])
def test_files_of_a_project_have_other_names_than_those_of_the_conversion(name: str) -> None:
    modulator = {"specialComponentsManager.modulator": {**MODULATOR, "sourceFile": {"name": name, "value": "2"}}}
    assert refused(modulator, "shieldhit") == "specialComponentsManager.modulator.sourceFile.name"
    tabled = {
        "materialManager.materials[0].customStoppingPower": True,
        "physic": {"availableStoppingPowerFiles": {"276": {"icru": 276, "name": name, "content": "1 2"}}},
    }
    assert refused(tabled, "shieldhit") == "physic.availableStoppingPowerFiles.276.name"


def test_a_wrong_table_of_stopping_powers_that_nothing_uses_refuses_nothing() -> None:
    water = BASE["materialManager"]["materials"][0]
    unused = {**water, "uuid": "U", "icru": 82, "density": 11.35, "customStoppingPower": True}
    changes = {
        "materialManager.materials": [*BASE["materialManager"]["materials"], unused],
        "physic": {"availableStoppingPowerFiles": {"82": {"icru": -5, "name": "/etc"}}},
    }
    assert convert(changed(changes)).files


def test_a_file_of_a_project_loses_the_mark_of_its_byte_order() -> None:
    files = convert(changed({"beam.sourceType": "file", "beam.sourceFile": {"value": "\ufeff1 2\r\n3"}})).files
    assert files["sobp.dat"] == "1 2\n3\n"
