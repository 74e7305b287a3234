"""Packages of models: what is in them, that they install and work, and that nothing a specification says runs."""

import ast
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from jobs.specs import rows
from jobs.specs.compiling import compiled
from jobs.specs.distributions import Package, files, source_distribution, wheel
from jobs.specs.source import source
from tests.specs.test_tables import imported
from tests.support.specs import specification

ROOT = Path(__file__).parents[2]
KEY = {"type": "integer", "x-primary-key": True}
ODD = 'a "quote", an \'apostrophe\', """three""", a \\backslash\n\tand more\\n {braces} \x00\u2028 \U0001f600"""'
STAFF: dict[str, Any] = {
    "Division": {
        "type": "object",
        "x-tablename": "division",
        "properties": {"id": KEY, "name": {"type": "string"}},
        "required": ["name"],
    },
    "Employee": {
        "type": "object",
        "x-tablename": "employee",
        "description": "Who works here.",
        "properties": {
            "id": KEY,
            "name": {"type": "string"},
            "born": {"type": "string", "format": "date", "nullable": True},
            "seen": {"type": "string", "format": "date-time"},
            "picture": {"type": "string", "format": "binary"},
            "salary": {"type": "number"},
            "secret": {"type": "string", "writeOnly": True},
            "notes": {"type": "object", "x-json": True},
            "division": {"allOf": [{"$ref": "#/components/schemas/Division"}, {"x-backref": "employees"}]},
        },
        "required": ["name", "division"],
    },
}


def document(schemas: dict[str, Any]) -> dict[str, Any]:
    return {"components": {"schemas": schemas}}


def model(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "x-tablename": "a", "properties": {"id": KEY, **properties}}


def test_a_row_is_made_of_a_dictionary_stored_and_told_again() -> None:
    module: Any = imported(source(compiled(document(STAFF))))
    given = {
        "id": 1, "name": "Ada", "born": "1815-12-10", "seen": "2026-01-02T03:04:05", "picture": "a", "salary": 2,
        "secret": "x", "notes": {"a": [1, None]}, "division": {"id": 7, "name": "Engines"},
    }  # fmt: skip
    engine = sa.create_engine("sqlite://")
    module.Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add(module.Employee.from_str(json.dumps(given)))
        session.commit()
    with orm.Session(engine) as session:
        row = session.scalars(sa.select(module.Employee)).one()
        told = {name: value for name, value in given.items() if name != "secret"} | {"salary": 2.0}
        assert row.to_dict() == told
        assert json.loads(row.to_str()) == told
        assert row.secret == "x"
        assert row.division.employees == [row]
        assert row.division.to_dict() == given["division"]
    engine.dispose()


def test_null_is_told_where_it_is_required_or_allowed() -> None:
    module: Any = imported(source(compiled(document(STAFF))))
    row = module.Employee(id=1, name="Ada")
    assert row.to_dict() == {"id": 1, "name": "Ada", "born": None, "division": None}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": ...}, "Employee: name is required"),
        ({"id": "1"}, "Employee: id is of the type integer"),
        ({"id": True}, "Employee: id is of the type integer"),
        ({"born": "tomorrow"}, "Employee: born is of the type string date"),
        ({"gone": 1}, "Employee has no property gone"),
        ({"division": []}, "Employee: division takes objects"),
        ({"division": {}}, "Division: name is required"),
    ],
)
def test_a_dictionary_that_is_no_row_is_told(given: dict[str, Any], message: str) -> None:
    module: Any = imported(source(compiled(document(STAFF))))
    whole = {"name": "Ada", "division": {"name": "Engines"}, **given}
    with pytest.raises(rows.MalformedModelDictionaryError, match=f"^{message}$"):
        module.Employee.from_dict(**{name: value for name, value in whole.items() if value is not ...})


# What a specification says is inert -----------------------------------------------------------------------------------


def test_texts_of_a_specification_stand_in_literals_alone() -> None:
    column = {
        "type": "string",
        "description": ODD,
        "default": ODD,
        "x-server-default": ODD,
        "x-kwargs": {"info": {ODD: [ODD]}},
    }
    text = source(compiled(document({"A": model(value=column) | {"description": ODD}})))
    module: Any = imported(text)
    table = module.Base.metadata.tables["a"]
    assert table.c["value"].default.arg == ODD
    assert str(table.c["value"].server_default.arg) == ODD.replace("\\:", ":")
    assert table.c["value"].info == {ODD: [ODD]}
    assert module.A.value.property.doc == ODD
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
    assert called == {"_rows.Field", "_orm.mapped_column", "_sa.text"}


@pytest.mark.parametrize(
    "name", ["text", "datetime", "String", "Field", "Row", "Any", "int", "Mapped", "class", "from", "None"]
)
def test_a_property_may_have_any_name(name: str) -> None:
    made = {"type": "string", "format": "date-time", "default": "2026-01-02T03:04:05", "x-server-default": "now"}
    schemas = document({"A": model(**{name: made, "value": made | {"format": "date", "default": "2026-01-02"}})})
    module: Any = imported(source(compiled(schemas)))
    assert set(module.Base.metadata.tables["a"].c.keys()) == {"id", name, "value"}
    assert module.A.from_dict(**{name: "2026-01-02T03:04:05"}).to_dict()[name] == "2026-01-02T03:04:05"


@pytest.mark.parametrize("name", ["Field", "Row", "Any", "Date", "TA", "ADict"])
def test_a_model_may_have_any_name(name: str) -> None:
    module: Any = imported(source(compiled(document({"A": model(), name: model() | {"x-tablename": "b"}}))))
    assert vars(module)[name].__tablename__ == "b"


# Distributions --------------------------------------------------------------------------------------------------------

PACKAGE = Package("beam-line", "1.2.0", 'Beam "lines"\nof all', "What there is.\n")


def test_a_distribution_is_the_same_to_the_byte_wherever_it_is_made() -> None:
    code = (
        "import hashlib; from jobs.specs.compiling import compiled; from tests.support.specs import specification;"
        "from jobs.specs.distributions import *; given = (Package('a', '1.0'), compiled(specification(3)));"
        "print(*(hashlib.sha256(made(*given)[1]).hexdigest() for made in (wheel, source_distribution)))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    assert len(told) == 1
    assert len(told.pop().split()) == 2


def test_both_distributions_have_the_same_models() -> None:
    tables = compiled(document(STAFF))
    name, content = wheel(PACKAGE, tables)
    assert name == "beam_line-1.2.0-py3-none-any.whl"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        listed = archive.namelist()
        assert listed[-1] == "beam_line-1.2.0.dist-info/RECORD"
        metadata = archive.read("beam_line-1.2.0.dist-info/METADATA").decode().splitlines()
        assert 'Summary: Beam "lines" of all' in metadata
        assert metadata[-1] == "What there is."
        inside = {one: archive.read(one) for one in listed if "dist-info" not in one}
    assert inside == files(PACKAGE, tables)
    name, content = source_distribution(PACKAGE, tables)
    assert name == "beam_line-1.2.0.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for path, data in inside.items():
            member = tar.extractfile(f"beam_line-1.2.0/{path}")
            assert member is not None
            assert member.read() == data


@pytest.mark.parametrize(
    ("name", "module"),
    [("beam-line", "beam_line"), ("class", "class_models"), ("calendar", "calendar_models"), ("3d", "models_3d"), ("sqlalchemy", "sqlalchemy_models")],
)  # fmt: skip
def test_a_package_is_imported_by_a_name_that_python_has_for_nothing_else(name: str, module: str) -> None:
    assert Package(name, "1").module == module


@pytest.mark.slow
def test_a_wheel_installs_by_pip_and_its_models_make_tables(tmp_path: Path) -> None:
    name, content = wheel(PACKAGE, compiled(document(STAFF)))
    (tmp_path / name).write_bytes(content)
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--target",
        str(tmp_path / "to"),
    ]
    subprocess.run([*install, str(tmp_path / name)], check=True)
    code = (
        "import sqlalchemy, beam_line; from importlib.metadata import distribution;"
        "beam_line.Base.metadata.create_all(sqlalchemy.create_engine('sqlite://'));"
        "print(distribution('beam-line').version, *beam_line.Base.metadata.tables)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path / "to")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1.2.0", "division", "employee"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_is_generated_is_formatted_and_typed(tmp_path: Path) -> None:
    for seed in range(12):
        folder = tmp_path / f"package_{seed}"
        for path, content in files(Package(f"package-{seed}", "1"), compiled(specification(seed))).items():
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_bytes(content)
        assert (folder / "py.typed").exists()
    for command in (
        ["ruff", "format", "--check", "--isolated", "--line-length", "120", "."],
        ["ruff", "check", "--isolated", "--line-length", "120", "--select", "E,F,I,UP", "--ignore", "E501", "."],
        ["mypy", "--strict", "--no-incremental", *(f"package_{seed}" for seed in range(12))],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:]
