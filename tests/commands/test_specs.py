"""`torana specs`: push, pull, list, versions, diff, delete."""

from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_uploading import KEY, Torana
from tests.support.serving import Serve, Served
from tests.support.specs import described

pytestmark = pytest.mark.slow
ON_SQLITE = True


@pytest.fixture
async def torana(serve: Serve, tmp_path: Path) -> Torana:
    gateway: Served = await serve("sqlite", task_slots=1)
    made: Any = (await gateway.ask(KEY, await gateway.log_in("tom")))["createApiKey"]
    return Torana(gateway, tmp_path, made["secret"])


async def test_a_spec_is_pushed_built_listed_compared_pulled_and_deleted(torana: Torana) -> None:
    source = described("Magnet", "Monitor", version="1.0")
    first = torana.file(source.encode(), "Beam_Line.json")
    status, told, complaint = await torana.run("specs", "push", first)
    assert status == 0, complaint
    assert told.splitlines() == ["beam-line 1.0: 2 models", "its packages are built"]
    second = torana.file(described("Magnet", version="1.1", current={"type": "number"}).encode(), "other.json")
    status, told, complaint = await torana.run("specs", "push", second, "--name", "beam-line", "--no-wait")
    assert (status, told) == (0, "beam-line 1.1: 1 models\n"), complaint
    _, told, _ = await torana.run("specs", "list")
    assert "beam-line" in told
    assert "of 10 models" in told
    _, told, _ = await torana.run("specs", "versions", "Beam.Line")
    assert [line.split()[:2] for line in told.splitlines()] == [["version", "models"], ["1.1", "1"], ["1.0", "2"]]
    _, told, _ = await torana.run("specs", "diff", "beam-line", "1.0.0")
    assert told.splitlines() == ["  added column Magnet.current", "! removed model Monitor"]
    _, told, _ = await torana.run("specs", "pull", "beam-line", "--version", "1.0.0")
    assert told == source
    status, told, _ = await torana.run("specs", "delete", "beam-line", "--version", "1.1", "--yes")
    assert (status, told) == (0, "beam-line 1.1 is deleted\n")
    status, told, _ = await torana.run("specs", "delete", "beam-line", "--yes")
    assert (status, told) == (0, "beam-line is deleted\n")
    status, _, complaint = await torana.run("specs", "versions", "beam-line")
    assert (status, complaint) == (1, "torana: you have no spec called beam-line\n")


async def test_all_faults_of_a_file_are_told_with_their_places(torana: Torana) -> None:
    text = described("Magnet", other={"type": "string", "x-primary-key": "yes"}, more={"type": "string", "x-index": 3})
    status, told, complaint = await torana.run("specs", "push", torana.file(text.encode(), "beams.json"))
    assert (status, told) == (1, "")
    places = [line.split(": ")[1] for line in complaint.splitlines() if line.startswith("beams.json: ")]
    assert places == [
        "/components/schemas/Magnet/properties/more/x-index",
        "/components/schemas/Magnet/properties/other/x-primary-key",
    ]
    assert complaint.splitlines()[-1] == "torana: beams.json was not taken: 2 faults"
    assert "Traceback" not in complaint


async def test_a_file_that_is_no_yaml_is_told(torana: Torana) -> None:
    status, _, complaint = await torana.run("specs", "push", torana.file(b"\xff\xfe", "beams.yaml"))
    assert (status, complaint) == (1, "torana: beams.yaml is no text in UTF-8\n")
    status, _, complaint = await torana.run("specs", "push", torana.file(b"a: [", "beams.yaml"))
    assert status == 1
    assert "the source is no YAML" in complaint
