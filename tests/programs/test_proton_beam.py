"""The proton beam in water: ranges, doses, fluences and the command line."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from jobs.programs import built_in
from jobs.programs.plan import Condition, Filter, InputError
from jobs.programs.proton_beam import physics
from jobs.programs.proton_beam.scoring import accepts, cell_volumes
from jobs.programs.proton_beam.simulation import ProgressLines, main, run
from jobs.programs.proton_beam.transport import deflect, sample_source
from jobs.programs.shieldhit.native import Plan, read
from tests.programs.test_shieldhit_input import BEAM, DETECT, GEO, PAYLOAD, files

RESULTS = PAYLOAD.with_name("json_with_results.json")
ROOT = Path(__file__).parents[2]

LONG_GEO = GEO.replace("6.0\n                 4.0", "20.0\n                 5.0", 1).replace("8.0\n", "22.0\n", 1)
LONG_GEO = LONG_GEO.replace("                 5.0\n  RCC    3", "                 5.5\n  RCC    3").replace(
    "10.0\n", "24.0\n"
)
LONG_DETECT = DETECT.replace("R 0 4 1\n    Z 0 6 120", "R 0 5 1\n    Z 0 20 400")

Array = npt.NDArray[np.float64]
Estimators = list[dict[str, object]]


def simulate(plan: Plan, primaries: int, seed: int = 1) -> Estimators:
    return run(plan, primaries, seed, lambda line: None, lambda done: None)


def page(estimators: Estimators, estimator: int, number: int) -> Array:
    """Values of the page at this place as an array; None becomes not-a-number."""
    pages = estimators[estimator]["pages"]
    assert isinstance(pages, list)
    return np.array(pages[number]["data"]["values"], dtype=np.float64)


def profile(dose: Array, centres: Array) -> tuple[float, float, float]:
    """Depth of the peak and of the distal 80 % (cm), and the ratio of the peak to the first 5 mm.

    The peak is that of a parabola through all bins above 90 % of the greatest, so single bins' noise matters little.
    """
    near = np.flatnonzero(dose >= 0.9 * dose.max())
    near = np.arange(near[0], near[-1] + 1)
    peak = np.polynomial.Polynomial.fit(centres[near], dose[near], 2)
    depth = float(np.real(peak.deriv().roots()[0]))
    height = float(peak(depth))
    last = int(np.flatnonzero(dose >= 0.8 * height)[-1])
    part = (dose[last] - 0.8 * height) / (dose[last] - dose[last + 1])
    return depth, centres[last] + part * (centres[1] - centres[0]), height / dose[:10].mean()


def changed(old: str, new: str) -> Plan:
    """The small plan with one line of beam.dat replaced."""
    assert old in BEAM
    return read(files(beam=BEAM.replace(old, new)))


@pytest.fixture(scope="module")
def small() -> Estimators:
    return simulate(read(files()), 1000)


@pytest.mark.parametrize(
    ("energy", "expected"), [(10, 0.1230), (50, 2.227), (100, 7.718), (150, 15.77), (200, 25.96), (250, 37.94)]
)
def test_ranges_agree_with_pstar(energy: float, expected: float) -> None:
    assert physics.csda_range(energy) == pytest.approx(expected, rel=0.01 if energy >= 50 else 0.015)


def test_stopping_powers_agree_with_pstar() -> None:
    powers = physics.stopping_power(np.array([10.0, 50.0, 100.0, 150.0, 200.0]))
    assert powers == pytest.approx([45.67, 12.45, 7.289, 5.445, 4.492], rel=0.01)


def test_energy_is_the_inverse_of_range() -> None:
    table = physics.range_table()
    energies = np.array([0.5, 1.0, 3.0, 70.0, 299.0])
    assert table.energy(table.range(energies)) == pytest.approx(energies, rel=1e-3)


def test_steps_do_not_change_the_highland_angle() -> None:
    fine = physics.highland_growth(np.linspace(0.001, 5.0, 1000))
    whole = physics.scattering_variance(np.array([150.0]), physics.highland_growth(np.array([5.0])))
    parts = physics.scattering_variance(np.full(999, 150.0), np.diff(fine)).sum()
    assert parts == pytest.approx(whole[0], rel=1e-3)


def test_reaction_cross_section_of_oxygen_is_plausible() -> None:
    low, middle, high = physics.reaction_cross_section(np.array([5.0, 100.0, 200.0])) * 1e27
    assert low == 0.0
    assert 260 < high < middle < 350


def test_secondaries_keep_the_energy_of_the_reaction() -> None:
    energy = np.full(20_000, 150.0)
    emitted, cosine, local = physics.secondaries(energy, np.random.default_rng(1))
    assert emitted.mean() / 150.0 == pytest.approx(0.57, abs=0.01)
    assert local.mean() / 150.0 == pytest.approx(0.065, abs=0.003)
    assert np.all(emitted + local <= energy)
    assert np.all(np.abs(cosine) <= 1.0)
    assert cosine.mean() > 0.3


def test_deflected_directions_have_the_asked_angle() -> None:
    random = np.random.default_rng(2)
    direction = random.standard_normal((3, 500))
    direction /= np.sqrt((direction**2).sum(axis=0))
    direction[:, 0] = (0.0, 0.0, -1.0)
    cosine = random.uniform(-1.0, 1.0, 500)
    turned = deflect(direction, cosine, random.uniform(0.0, 6.28, 500))
    assert (turned * direction).sum(axis=0) == pytest.approx(cosine, abs=1e-9)


def test_the_source_has_the_asked_energy_spot_and_direction() -> None:
    beam = BEAM.replace("BEAMDIR 0.0 0.0", "BEAMDIR 90 90").replace("TCUT0 0 1000", "TCUT0 59.5 61")
    plan = read(files(beam=beam.replace("BEAMPOS 0 0 0", "BEAMPOS 0 -4.5 3")))
    state = sample_source(plan.beam, 20_000, np.random.default_rng(3))
    assert state[6].min() >= 59.5
    assert state[6].max() <= 61.0
    assert state[0].std() == pytest.approx(0.1, rel=0.03)
    assert state[2].std() == pytest.approx(0.1, rel=0.03)
    assert state[1] == pytest.approx(np.full(20_000, -4.5))
    assert state[3:6, 0] == pytest.approx([0.0, 1.0, 0.0], abs=1e-12)
    dose = page(simulate(plan, 100), 1, 0).reshape(60, 40)
    rows = dose.sum(axis=0)
    assert rows[:20].sum() * 0.2 * 0.1 * 8.0 == pytest.approx(60.0, rel=0.05)
    assert rows[:5].sum() > 0.0
    assert rows[20:].sum() < 0.02 * rows.sum()


def test_150_mev_peaks_where_shieldhit_has_it() -> None:
    beam = BEAM.replace("TMAX0 60.0 0.6", "TMAX0 150.0 1.5").replace("BEAMSIGMA 0.1 0.1", "BEAMSIGMA 0 0")
    dose = page(simulate(read(files(beam=beam, geo=LONG_GEO, detect=LONG_DETECT)), 1500), 0, 0)
    peak, distal, ratio = profile(dose, np.arange(0.025, 20.0, 0.05))
    assert peak == pytest.approx(15.375, abs=0.15)
    assert distal == pytest.approx(15.725, abs=0.15)
    assert ratio == pytest.approx(4.2, rel=0.15)
    assert 138.0 < dose.sum() * 0.05 * np.pi * 25.0 < 148.0


@pytest.mark.slow
@pytest.mark.skipif(not RESULTS.exists(), reason="YAPTIDE's sample results are not here")
def test_the_sample_agrees_with_shieldhits_own_result() -> None:
    theirs = {e["name"]: e for e in json.loads(RESULTS.read_text())["estimators"]}
    plan = read(json.loads(PAYLOAD.read_text())["input_files"])
    ours = {str(e["name"]): e for e in simulate(plan, 2000, plan.seed + 1)}
    assert set(ours) == set(theirs)
    axis = theirs["z_profile_"]["pages"][0]["axis_dim1"]
    assert ours["z_profile_"]["pages"][0]["axis_dim1"]["name"] == axis["name"]  # type: ignore[index]
    centres = np.array(axis["values"])
    dose = page([ours["z_profile_"]], 0, 0)
    their_dose = page([theirs["z_profile_"]], 0, 0)
    for mine, other, tolerance in zip(
        profile(dose, centres), profile(their_dose, centres), (0.15, 0.15, 0), strict=True
    ):
        assert mine == pytest.approx(other, abs=tolerance or 0.15 * other)
    assert dose.sum() == pytest.approx(their_dose.sum(), rel=0.03)
    assert dose[:240].reshape(-1, 40).mean(axis=1) == pytest.approx(
        their_dose[:240].reshape(-1, 40).mean(axis=1), rel=0.06
    )
    for number, tolerance in ((1, 0.05), (2, 0.05), (3, 0.35)):
        fluence, their_fluence = (page([results["z_profile_"]], 0, number) for results in (ours, theirs))
        assert fluence[20:280].sum() == pytest.approx(their_fluence[20:280].sum(), rel=tolerance)
    for name, estimator in ours.items():
        for written in estimator["pages"]:  # type: ignore[attr-defined]
            other_page = theirs[name]["pages"][int(written["metadata"]["page_number"])]
            assert written["dimensions"] == other_page["dimensions"]
            assert len(written["data"]["values"]) == len(other_page["data"]["values"])
            assert written["metadata"] == other_page["metadata"]
            for dimension in range(1, written["dimensions"] + 1):
                key = f"axis_dim{dimension}"
                assert written[key]["values"] == pytest.approx(other_page[key]["values"])
    rows = np.array(theirs["yz_profile_"]["pages"][0]["data"]["values"]).reshape(400, 80)[:300].sum(axis=0)
    my_rows = page([ours["yz_profile_"]], 0, 0).reshape(400, 80)[:300].sum(axis=0)
    assert my_rows[36:44].sum() == pytest.approx(rows[36:44].sum(), rel=0.1)
    entrance = [page([ours["entrance_"]], 0, number)[0] for number in range(6)]
    assert entrance[1] == pytest.approx(149.73, abs=0.2)
    assert entrance[5] == pytest.approx(5.45, rel=0.02)


def test_without_reactions_all_energy_is_deposited() -> None:
    dose = page(simulate(changed("NUCRE 1", "NUCRE 0"), 1000), 0, 0)
    assert dose.sum() * 0.05 * np.pi * 16.0 == pytest.approx(60.0, abs=0.1)


def test_reactions_lose_a_plausible_part_of_the_energy(small: Estimators) -> None:
    assert 58.0 < page(small, 0, 0).sum() * 0.05 * np.pi * 16.0 < 60.0


def test_protons_are_primaries_and_secondaries(small: Estimators) -> None:
    protons, primaries, secondaries = (page(small, 0, number) for number in (1, 2, 3))
    assert protons == pytest.approx(primaries + secondaries, rel=1e-9)
    assert secondaries.sum() > 0.0
    assert primaries[0] * np.pi * 16.0 == pytest.approx(1.0, abs=0.01)


def test_the_mesh_holds_the_dose_of_the_cylinder(small: Estimators) -> None:
    mesh = page(small, 1, 0).reshape(60, 40)
    depth = page(small, 0, 0).reshape(60, 2)
    assert mesh.sum(axis=1) * 8.0 * 0.2 == pytest.approx(depth.mean(axis=1) * np.pi * 16.0, rel=0.01)
    assert mesh[10].argmax() in (19, 20)


def test_energies_fall_and_let_starts_at_the_stopping_power(small: Estimators) -> None:
    dose_averaged, track_averaged, energy = (page(small, 0, number) for number in (4, 5, 6))
    passed = slice(0, 55)
    assert np.all(dose_averaged[passed] >= track_averaged[passed] * (1 - 1e-9))
    assert np.all(np.diff(energy[passed]) < 0.0)
    assert energy[0] == pytest.approx(59.7, abs=0.3)
    assert track_averaged[0] == pytest.approx(physics.stopping_power(np.array([59.7]))[0], rel=0.02)


def test_equal_seeds_give_equal_results_and_others_do_not(small: Estimators) -> None:
    plan = read(files())
    assert simulate(plan, 1000) == small
    assert simulate(plan, 100, 1) != simulate(plan, 100, 2)


def test_switches_change_what_they_should() -> None:
    still = BEAM.replace("STRAGG 2", "STRAGG 0").replace("MSCAT 2", "MSCAT 0").replace("NUCRE 1", "NUCRE 0")
    still = still.replace("60.0 0.6", "60.0 0.0").replace("BEAMSIGMA 0.1 0.1", "BEAMSIGMA 0 0")
    centres = np.arange(0.025, 6.0, 0.05)

    def run_with(*switches: str) -> tuple[float, Array, Array]:
        beam = still
        for switch in switches:
            beam = beam.replace(f"{switch} 0", f"{switch} 1")
        estimators = simulate(read(files(beam=beam, detect=DETECT.replace("Y -4 4 40", "Y -0.4 0.4 40"))), 300)
        protons = page(estimators, 0, 1) * np.pi * 16.0
        spread = np.sqrt(np.average((centres - 3.09) ** 2, weights=np.clip(-np.gradient(protons), 0.0, None)))
        return spread, page(estimators, 1, 0).reshape(60, 40).sum(axis=0), page(estimators, 0, 3)

    sharp, narrow, no_secondaries = run_with()
    straggled, _, _ = run_with("STRAGG")
    _, wide, _ = run_with("MSCAT")
    _, _, secondaries = run_with("NUCRE")
    assert straggled > sharp + 0.01
    assert np.count_nonzero(narrow) <= 2
    assert np.count_nonzero(wide) > 10
    assert no_secondaries.sum() == 0.0
    assert secondaries.sum() > 0.0


def test_a_short_water_cylinder_lets_the_beam_through() -> None:
    geo = GEO.replace("6.0\n                 4.0", "1.0\n                 4.0", 1)
    plan = read(files(geo=geo, beam=BEAM.replace("BEAMPOS 0 0 0", "BEAMPOS 0 0 -0.5")))
    dose = page(simulate(plan, 200), 0, 0)
    assert dose[19] > 0.0
    assert dose[20:].sum() == pytest.approx(0.0, abs=1e-15)


def test_a_beam_beside_the_water_is_told() -> None:
    said: list[str] = []
    plan = read(files(beam=BEAM.replace("BEAMPOS 0 0 0", "BEAMPOS 4.8 0 -0.5")))
    estimators = run(plan, 50, 1, said.append, lambda done: None)
    assert "50 of 50 primaries did not hit the water." in said
    assert page(estimators, 0, 0).sum() == 0.0
    assert np.isnan(page(estimators, 0, 4)).all()
    assert json.loads(json.dumps(estimators, allow_nan=False)) == estimators


def test_what_is_approximated_and_left_out_is_logged() -> None:
    said: list[str] = []
    done: list[int] = []
    run(read(files()), 10, 1, said.append, done.append)
    text = "\n".join(said)
    assert "Vavilov" in text
    assert "Moliere" in text
    assert "page 4 of depth.bdo ('DDD') is left out" in text
    assert "no shell correction: ranges are short by 0.17 % at 60 MeV" in text
    assert "about half of those of SHIELD-HIT12A" in text
    assert done == [10]


def test_quotients_come_with_their_divisors_per_primary(small: Estimators) -> None:
    pages = small[0]["pages"]
    assert isinstance(pages, list)
    protons, dose_averaged, energy = pages[1]["data"], pages[4]["data"], pages[6]["data"]
    volume = np.pi * 16.0 * 0.05
    assert np.array(energy["weights"]) == pytest.approx(np.array(protons["values"]) * volume, rel=1e-9)
    assert dose_averaged["weights"][0] == pytest.approx(page(small, 0, 0)[0] * volume, rel=0.05)
    assert [one["merging"] for one in pages] == ["mean"] * 4 + ["ratio"] * 3
    assert "weights" not in protons


def output(*quantities: str) -> str:
    """detect.dat whose second output has these quantities alone."""
    lines = "".join(f"    Quantity {line}\n" for line in quantities)
    return f"{DETECT}\nOutput\n    Filename only.bdo\n    Geo Plane\n{lines}"


@pytest.mark.parametrize(
    ("quantities", "reason"),
    [(("DoseGy",), "supported are"), (("Fluence\n    Diff1 0 60 60\n    Diff1Type E",), "differential spectra")],
)
def test_an_output_that_would_have_no_page_is_refused(quantities: tuple[str, ...], reason: str) -> None:
    program = built_in()
    assert program.check(files(detect=output("DoseGy", "Dose"))) == 500
    detect = output(*quantities)
    with pytest.raises(InputError) as caught:
        program.check(files(detect=detect))
    assert (caught.value.file, caught.value.line) == ("detect.dat", detect[: detect.rindex("Quantity")].count("\n") + 1)
    assert caught.value.message.startswith("only.bdo would have no page: ")
    assert reason in caught.value.message


def test_primaries_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="outside the allowed range"):
        simulate(read(files()), 0)


def test_metadata_are_text_in_the_shape_of_yaptide(small: Estimators) -> None:
    estimator = small[0]
    assert (estimator["name"], estimator["file_name"]) == ("depth_", "depth.bdo")
    metadata = estimator["metadata"]
    assert isinstance(metadata, dict)
    assert all(isinstance(value, str) for value in metadata.values())
    wanted = {"number_of_primaries": "1000", "page_count": "7", "geo_name": "Depth", "geotyp": "CYL"}
    assert wanted.items() <= metadata.items()
    pages = estimator["pages"]
    assert isinstance(pages, list)
    assert [entry["metadata"]["page_number"] for entry in pages] == ["0", "1", "2", "3", "5", "6", "7"]
    assert pages[1]["metadata"]["page_filter_name"] == "Protons"
    assert pages[0]["axis_dim1"]["values"][0] == pytest.approx(0.025)
    assert small[1]["pages"][0]["dimensions"] == 2  # type: ignore[index]


def test_filters_and_volumes() -> None:
    generation = np.array([0.0, 1.0, 2.0])
    later = Filter("later", (Condition("GEN", ">", 0), Condition("Z", "==", 1), Condition("A", "<=", 1)))
    assert accepts(None, 1, 1, generation).tolist() == [True, True, True]
    assert accepts(later, 1, 1, generation).tolist() == [False, True, True]
    assert accepts(later, 2, 4, generation).tolist() == [False, False, False]
    detectors = read(files(detect=DETECT.replace("R 0 4 1", "R 0 4 2"))).detectors
    assert cell_volumes(detectors[0])[:2] == pytest.approx([np.pi * 4 * 0.05, np.pi * 12 * 0.05])
    assert cell_volumes(detectors[1]) == pytest.approx(np.full(2400, 8.0 * 0.2 * 0.1))


def test_progress_lines_are_sparse_and_end_with_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ProgressLines(30)
    for done in (10, 20, 30):
        lines(done)
    assert capsys.readouterr().out == "Primary particle no. 30 of 30\n"


@pytest.fixture
def directory(tmp_path: Path) -> Callable[..., Path]:
    def write(**changes: str) -> Path:
        for name, text in files(**changes).items():
            (tmp_path / name).write_text(text, newline="\r\n")
        return tmp_path

    return write


def test_the_command_line_writes_the_result_of_its_task(
    directory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    source = directory()
    results = []
    for task in ("1", "2"):
        output = source / f"result{task}.json"
        options = ["--input", str(source), "--output", str(output), "--primaries", "20", "--task", task]
        assert main(options) == 0
        results.append(json.loads(output.read_text())["estimators"])
    assert results[0] == simulate(read(files()), 20, 1234)
    assert results[1] == run(read(files()), 20, 1234, lambda line: None, lambda done: None, task=2)
    assert results[0] != results[1]
    (left_out, *more) = json.loads((source / "result1.json").read_text())["warnings"]
    assert "page 4 of depth.bdo ('DDD') is left out" in left_out
    assert all("is left out" in sentence for sentence in more)
    assert list(source.glob("*.part")) == []
    captured = capsys.readouterr()
    assert re.findall(r"^Primary particle no\. .*$", captured.out, re.M) == ["Primary particle no. 20 of 20"] * 2
    assert captured.err == ""


def test_the_command_line_refuses_bad_input_in_one_line(
    directory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    source = directory(beam=BEAM.replace("JPART0 2", "JPART0 25"))
    options = ["--input", str(source), "--output", str(source / "result.json"), "--primaries", "20", "--task", "1"]
    assert main(options) == 2
    error = capsys.readouterr().err
    assert error.startswith("beam.dat:2: JPART0")
    assert error.count("\n") == 1
    assert not (source / "result.json").exists()
    (source / "beam.dat").write_bytes(b"\xff\xfe")
    assert main(options) == 2
    assert capsys.readouterr().err == "beam.dat: file is not UTF-8 text\n"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_sigterm_ends_a_running_task(directory: Callable[..., Path]) -> None:
    source = directory()
    output = source / "result.json"
    command = [
        sys.executable,
        "-m",
        "jobs.programs.proton_beam",
        "--input",
        str(source),
        "--output",
        str(output),
    ]
    with subprocess.Popen(
        [*command, "--primaries", "100000000", "--task", "1"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("Primary particle no. "):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert process.wait(timeout=10) == -signal.SIGTERM
        assert time.monotonic() - begun < 10
    assert not output.exists()
