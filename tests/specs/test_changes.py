"""What differs between two versions, and what a rule of compatibility refuses."""

from typing import Any

import pytest

from jobs.specs.comparing import Compatibility, broken, changes
from jobs.specs.compiling import compiled
from tests.support.specs import specification

KEY = {"type": "integer", "x-primary-key": True}
B, F = "backward", "forward"
RULES = {
    (): (),
    (B,): (Compatibility.BACKWARD, Compatibility.FULL),
    (F,): (Compatibility.FULL,),
    (B, F): (Compatibility.BACKWARD, Compatibility.FULL),
}


def made(**properties: Any) -> Any:
    schema = {"type": "object", "x-tablename": "a", "properties": {"id": KEY, **properties}}
    other = {"type": "object", "x-tablename": "b", "properties": {"id": KEY}}
    return {"A": schema, "B": other}


def found(before: Any, after: Any) -> Any:
    return changes(*(compiled({"components": {"schemas": schemas}}) for schemas in (before, after)))


TEXT = {"type": "string"}
TO_B = {"$ref": "#/components/schemas/B"}


@pytest.mark.parametrize(
    ("before", "after", "told", "breaks"),
    [
        ({}, {"v": TEXT}, "COLUMN ADDED", ()),
        ({}, {"v": TEXT | {"nullable": False}}, "COLUMN ADDED", (B, F)),
        ({}, {"v": TEXT | {"nullable": False, "default": "x"}}, "COLUMN ADDED", (F,)),
        ({}, {"v": TEXT | {"nullable": False, "x-server-default": "x"}}, "COLUMN ADDED", ()),
        ({"v": TEXT}, {}, "COLUMN REMOVED", (B, F)),
        ({"v": TEXT}, {"v": {"type": "number"}}, "COLUMN CHANGED type", (B, F)),
        ({"v": {"type": "integer"}}, {"v": {"type": "integer", "format": "int64"}}, "COLUMN CHANGED type", (F,)),
        ({"v": TEXT}, {"v": TEXT | {"nullable": False}}, "COLUMN CHANGED nullable", (B,)),
        ({"v": TEXT | {"nullable": False}}, {"v": TEXT}, "COLUMN CHANGED nullable", (F,)),
        ({"v": TEXT}, {"v": TEXT | {"maxLength": 9}}, "COLUMN CHANGED length", (B,)),
        ({"v": TEXT | {"maxLength": 8}}, {"v": TEXT | {"maxLength": 9}}, "COLUMN CHANGED length", (F,)),
        ({"v": TEXT}, {"v": TEXT | {"x-unique": True}}, "CONSTRAINT CHANGED unique", (B,)),
        ({"v": TEXT}, {"v": TEXT | {"x-index": True}}, "COLUMN CHANGED index", ()),
        ({"v": TEXT}, {"v": TEXT | {"description": "x"}}, "COLUMN CHANGED description", ()),
        ({"v": TEXT | {"nullable": False}}, {"v": TEXT | {"x-primary-key": True, "nullable": False}}, "KEY CHANGED primary_key", (B, F)),
        ({"v": {"type": "integer"}}, {"v": {"type": "integer", "x-foreign-key": "b.id"}}, "KEY CHANGED foreign_key", (B, F)),
    ],
)  # fmt: skip
def test_a_change_of_a_column_breaks_whom_it_breaks(
    before: Any, after: Any, told: str, breaks: tuple[str, ...]
) -> None:
    (change,) = found(made(**before), made(**after))
    assert " ".join(filter(None, (change.part.value, change.action.value, change.detail))) == told
    assert (change.model, change.name, change.pointer) == ("A", "v", "/components/schemas/A/properties/v")
    refusing = tuple(rule for rule in Compatibility if broken([change], rule))
    assert refusing == RULES[breaks]
    for rule in refusing:
        assert [pointer for pointer, _ in broken([change], rule)] == [change.pointer]


def test_models_and_relations_come_and_go() -> None:
    without = {"A": made()["A"]}
    (added,), (gone,) = found(without, made()), found(made(), without)
    assert (added.part.value, added.action.value, added.model, added.broken(Compatibility.FULL)) == (
        "MODEL",
        "ADDED",
        "B",
        None,
    )
    assert gone.broken(Compatibility.BACKWARD) == "the model B is gone"
    related = made(b=TO_B)
    assert {(one.part.value, one.name) for one in found(made(), related)} == {("RELATION", "b"), ("COLUMN", "b_id")}
    assert broken(found(made(), related), Compatibility.FULL) == []
    assert len(broken(found(related, made()), Compatibility.BACKWARD)) == 2


def test_a_version_does_not_differ_from_itself() -> None:
    for seed in range(50):
        tables = compiled(specification(seed))
        assert changes(tables, compiled(specification(seed))) == []
