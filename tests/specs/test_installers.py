"""pip, uv and pypi-simple, unchanged, against the index."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pypi_simple import ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY, PyPISimple

from tests.support.serving import Serve, Served
from tests.support.spec_owners import SpecOwner, pair, publish
from tests.support.specs import described

pytestmark = pytest.mark.slow
ON_SQLITE = True
IMPORT = """
import sys; sys.path.insert(0, sys.argv[1])
import sqlalchemy, beam_line
from beam_line import Magnet
engine = sqlalchemy.create_engine("sqlite://")
beam_line.Base.metadata.create_all(engine)
magnet = Magnet.from_dict(id=1, name="D1")
print(sqlalchemy.inspect(engine).get_table_names(), magnet.to_dict(), beam_line.__file__.startswith(sys.argv[1]))
"""


async def _run(*command: str, **env: str) -> str:
    def run() -> str:
        given = {**os.environ, **env}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=given)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return await asyncio.to_thread(run)


@pytest.fixture
async def tom(serve: Serve, backend: str) -> SpecOwner:
    gateway: Served = await serve(backend, task_slots=1)
    return SpecOwner(gateway, await gateway.log_in("tom"))


async def _address(tom: SpecOwner) -> str:
    key, secret = await pair(tom)
    return f"{tom.gateway.url.replace('://', f'://{key}:{secret}@')}/simple/"


PIP = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-cache-dir", "--isolated", "--target")
UV = (str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--no-deps", "--no-cache", "--no-config",
      "--python", sys.executable, "--target")  # fmt: skip


@pytest.mark.parametrize("installer", [PIP, UV], ids=["pip", "uv"])
async def test_a_built_package_is_installed_imported_and_makes_its_tables(
    tom: SpecOwner, tmp_path: Path, installer: tuple[str, ...]
) -> None:
    done = await tom.put("Beam_Line", described("Magnet", version="1.2"))
    assert (await tom.built(done["id"]))["job"]["state"] == "COMPLETED"
    address = await _address(tom)
    await _run(*installer, str(tmp_path), "--index-url", address, "beam-line")
    told = await _run(sys.executable, "-c", IMPORT, str(tmp_path))
    assert told.strip() == "['magnet'] {'id': 1, 'name': 'D1'} True"


@pytest.mark.parametrize("installer", [PIP, UV], ids=["pip", "uv"])
async def test_an_installer_skips_what_was_yanked_and_takes_what_is_named(
    tom: SpecOwner, tmp_path: Path, installer: tuple[str, ...]
) -> None:
    for version in ("1.0", "1.1"):
        done = await publish(tom, "beam-line", described("Magnet", version=version))
    await tom.run("yankPackage", done["id"])
    address = await _address(tom)
    await _run(*installer, str(tmp_path / "a"), "--index-url", address, "Beam.Line")
    await _run(*installer, str(tmp_path / "b"), "--index-url", address, "beam_line==1.1")
    assert [path.name for path in (tmp_path / "a").glob("*.dist-info")] == ["beam_line-1.0.dist-info"]
    assert [path.name for path in (tmp_path / "b").glob("*.dist-info")] == ["beam_line-1.1.dist-info"]


async def test_pypi_simple_reads_both_forms_to_the_same(tom: SpecOwner) -> None:
    for version in ("1.0", "1.1"):
        done = await publish(tom, "beam-line", described("Magnet", version=version))
    yank = 'mutation($id:ID!){done:yankPackage(id:$id,reason:"wrong <units>"){__typename}}'
    await tom.gateway.ask(yank, tom.bearer, id=done["id"])
    key, secret = await pair(tom)

    def read(accept: str) -> tuple[list[str], list[dict[str, object]], object]:
        with PyPISimple(f"{tom.gateway.url}/simple/", auth=(key, secret), accept=accept) as client:
            names = client.get_index_page().projects
            page = client.get_project_page("Beam_Line")
            told = ("filename", "url", "project", "version", "package_type", "digests", "requires_python", "is_yanked",
                    "yanked_reason", "has_metadata", "metadata_digests")  # fmt: skip
            return names, [{name: getattr(one, name) for name in told} for one in page.packages], page.status

    html = await asyncio.to_thread(read, ACCEPT_HTML_ONLY)
    json = await asyncio.to_thread(read, ACCEPT_JSON_ONLY)
    assert html == json
    assert html[0] == ["beam-line"]
    assert len(html[1]) == 4
