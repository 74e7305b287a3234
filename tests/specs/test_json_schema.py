"""The JSON Schema of models takes what their rows tell, and nothing of another shape."""

from typing import Any

import jsonschema_rs
import pytest

from jobs.specs.compiling import compiled
from jobs.specs.json_schema import json_schema
from jobs.specs.source import source
from tests.specs.test_packages import STAFF, document
from tests.specs.test_tables import imported
from tests.support.specs import specification

GIVEN = {
    "id": 1,
    "name": "Ada",
    "born": "1815-12-10",
    "salary": 2.5,
    "notes": [1],
    "division": {"id": 7, "name": "Engines"},
}


def validator(schemas: dict[str, Any], name: str) -> Any:
    made = json_schema(compiled(document(schemas)))
    return jsonschema_rs.validator_for(made | {"$ref": f"#/$defs/{name}"}, validate_formats=True)


def test_it_takes_what_a_row_tells() -> None:
    module: Any = imported(source(compiled(document(STAFF))))
    row = module.Employee.from_dict(**GIVEN)
    assert list(validator(STAFF, "Employee").iter_errors(row.to_dict())) == []


@pytest.mark.parametrize(
    ("given", "place"),
    [({"id": "1"}, ["id"]), ({"born": "tomorrow"}, ["born"]), ({"division": {"id": 1}}, ["division"]), ({"name": None}, ["name"])],
)  # fmt: skip
def test_it_tells_the_place_of_what_is_no_row(given: dict[str, Any], place: list[str]) -> None:
    (error,) = validator(STAFF, "Employee").iter_errors(GIVEN | given)
    assert error.instance_path[:1] == place


def test_it_is_a_schema_for_whatever_models_there_are() -> None:
    for seed in range(100):
        jsonschema_rs.meta.validate(json_schema(compiled(specification(seed))))
