"""The tables of a specification are those that OpenAlchemy makes of it."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
import yaml

from jobs.specs import rows
from jobs.specs.compiling import compiled
from jobs.specs.source import source
from tests.oracles.environments import python_of
from tests.support.reflected import reflected
from tests.support.specs import specification

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
"""A virtual environment is made."""

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "openalchemy"
MAKE = ROOT / "tests" / "oracles" / "open_alchemy" / "make.py"
NEEDS = ["sqlalchemy>=2.1.9", "jsonschema>=4.26", "jinja2>=3.1"]


def imported(text: str) -> ModuleType:
    """A module of generated models."""
    name = f"generated_{uuid4().hex}"
    spec = importlib.util.spec_from_loader(name, loader=None, is_package=True)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name], sys.modules[f"{name}._rows"] = module, rows
    exec(compile(text, name, "exec"), vars(module))
    return module


def ours(specification: dict[str, Any]) -> Any:
    tables = compiled(specification)
    base: Any = vars(imported(source(tables)))["Base"]
    found = reflected(base.metadata, base.registry)
    base.registry.dispose()
    return json.loads(json.dumps({**found, "count": tables.count}))


def theirs(specifications: list[dict[str, Any]]) -> list[Any]:
    python = python_of("open_alchemy", NEEDS, ["OpenAlchemy==2.5.0"])
    given = "".join(json.dumps(one) + "\n" for one in specifications)
    done = subprocess.run([python, str(MAKE)], input=given, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_hundred_specifications_by_chance_become_the_tables_that_open_alchemy_makes() -> None:
    given = [specification(seed) for seed in range(100)]
    kinds = json.dumps(given)
    for word in ("x-secondary", "x-inherits", "x-uselist", "x-composite-index", "x-json", "x-server-default"):
        assert kinds.count(word) > 3, word
    for one, found in zip(given, theirs(given), strict=True):
        assert ours(one) == found, one["info"]["title"]


def test_the_examples_of_open_alchemy_become_the_tables_that_it_makes() -> None:
    paths = sorted(REAL.glob("*.yml"))
    if not paths:
        pytest.skip("the examples are not here")
    given = [yaml.safe_load(path.read_text()) for path in paths]
    for path, one, found in zip(paths, given, theirs(given), strict=True):
        assert ours(one) == found, path.name
