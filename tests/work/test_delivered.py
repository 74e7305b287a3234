"""What tasks deliver of what programs wrote: pages, files, and warnings that name the rest."""

from typing import Any

import pytest

from tests.support.inputs import SCORING, files
from tests.support.programs import TOPAS_FILES
from tests.support.serving import Serve, Served
from tests.support.stand_ins.formats import topas
from tests.work.test_running import SUBMIT, ended, until

pytestmark = pytest.mark.slow

JOB = """query($i: ID!) { job(id: $i) { state warnings error { message } simulation {
  outputs(first: 9) { nodes { name size } }
  estimators(first: 9) { nodes { name pages(first: 9) { nodes { name approximate data { values errors } } } } } } } }"""


async def delivered(gateway: Served, program: str, given: dict[str, str], tasks: int = 1) -> Any:
    tom = await gateway.log_in("tom")
    wanted = {"simType": program, "inputFiles": given, "tasks": tasks}
    submitted = (await gateway.ask(SUBMIT, tom, i=wanted))["submitSimulation"]
    await until(gateway, tom, submitted["job"]["id"], ended)
    return (await gateway.ask(JOB, tom, i=submitted["job"]["id"]))["job"]


MOVES = ["/bin/sh", "-c", 'for one in *.given; do mv "$one" "${{one%.given}}"; done']
"""Writes what is given as such, in place of TOPAS."""


async def test_an_unreadable_page_is_named_beside_good_ones_and_its_file_is_kept(serve: Serve) -> None:
    gateway: Served = await serve(task_slots=2, programs=[{"name": "TOPAS", "like": "topas", "command": MOVES}])
    good = topas("Fluence", ["Mean", "Standard_Deviation"], (1, 1, 2), [[1.0, 2.0], [3.0, 4.0]]).decode()
    given = {
        "topas_config.txt": TOPAS_FILES["topas_config.txt"],
        "Good.csv.given": good,
        "Bad.csv.given": good[:-20] + "\n",
        "beam.phsp.given": "particles",
        "Old.csv": good,
        "old.phsp": "particles",
    }
    job = await delivered(gateway, "TOPAS", given)
    assert (job["state"], job["error"]) == ("COMPLETED", None)
    (estimator,) = job["simulation"]["estimators"]["nodes"]
    (page,) = estimator["pages"]["nodes"]
    assert estimator["name"] == "Good"
    assert page["data"]["values"] == [1.0, 3.0]
    assert page["data"]["errors"] == pytest.approx([2 / 1000**0.5, 4 / 1000**0.5])
    assert sorted(one["name"] for one in job["simulation"]["outputs"]["nodes"]) == ["Bad.csv", "Good.csv", "beam.phsp"]
    missing, bad = sorted(job["warnings"], key=lambda text: "Bad.csv" in text)
    assert "Dose: no file Dose.csv was written" in missing
    assert "Bad.csv: " in bad


async def test_quotients_of_the_built_in_beam_are_not_approximate_and_missing_pages_are_warnings(serve: Serve) -> None:
    gateway: Served = await serve(task_slots=2)
    scoring = SCORING + "    Quantity DDD\n    Quantity AvgEnergy\n    Quantity dLET\n"
    job = await delivered(gateway, "SHIELDHIT", {**files(100), "detect.dat": scoring}, 2)
    assert (job["state"], job["error"]) == ("COMPLETED", None)
    (estimator,) = job["simulation"]["estimators"]["nodes"]
    assert [page["name"] for page in estimator["pages"]["nodes"]] == ["DOSE", "AVG-ENERGY", "DLET"]
    assert not any(page["approximate"] for page in estimator["pages"]["nodes"])
    assert all(page["data"]["errors"] for page in estimator["pages"]["nodes"])
    (warning,) = job["warnings"]
    assert "page 1 of depth.bdo ('DDD') is left out" in warning
