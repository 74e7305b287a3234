"""The distribution `torana-client`: what it needs, what it says of itself, how it is written."""

import ast
import sys
import tomllib
from pathlib import Path
from typing import Any

import torana_client
from torana_client.errors import CLASSES

from tests.support.sources import parsed

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "clients" / "python"
SOURCES = sorted((FOLDER / "src").rglob("*.py"))
PLUGIN = [module for module in SOURCES if "pytest_plugin" in module.parts]
MODULES = [module for module in SOURCES if module not in PLUGIN]


def project(folder: Path) -> Any:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


def test_its_version_is_that_of_the_gateway() -> None:
    assert project(FOLDER)["version"] == project(ROOT)["version"]
    assert project(FOLDER)["requires-python"] == project(ROOT)["requires-python"]


def test_it_imports_itself_the_standard_library_and_what_it_requires() -> None:
    required = {one.partition(">")[0] for one in project(FOLDER)["dependencies"]}
    assert _imported(*MODULES) == {"torana_client"} | required


def test_its_plugin_imports_pytest_and_only_the_process_of_the_gateway_imports_that() -> None:
    process = next(module for module in PLUGIN if module.name == "child.py")
    rest = [module for module in PLUGIN if module is not process]
    assert _imported(*rest) == {"torana_client", "pytest"}
    assert {"gateway", "resolvers", "db"} <= _imported(process)


def _imported(*modules: Path) -> set[str]:
    """What they import that is not of the standard library."""
    imported = set()
    for module in modules:
        for node in ast.walk(parsed(module)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    return imported - set(sys.stdlib_module_names)


def test_its_modules_are_short() -> None:
    assert [module.name for module in SOURCES if len(module.read_text().splitlines()) > 300] == []


def test_it_has_types() -> None:
    assert (FOLDER / "src" / "torana_client" / "py.typed").exists()


def test_it_offers_all_errors() -> None:
    named = {kind.__name__ for kind in CLASSES.values()}
    assert named | {"AsyncClient", "Client", "ToranaError"} == set(torana_client.__all__)
