"""A package is built only if it can be imported and SQLAlchemy takes its models; else the build says why."""

import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from jobs.specs.compiling import compiled
from jobs.specs.distributions import Package
from jobs.specs.faults import Faulty
from jobs.specs.trying import tried

Schema = dict[str, Any]


def to(name: str, **more: Any) -> Schema:
    reference = {"$ref": f"#/components/schemas/{name}"}
    return {"allOf": [reference, {f"x-{key}": value for key, value in more.items()}]} if more else reference


def many(name: str) -> Schema:
    return {"type": "array", "items": to(name)}


def table(name: str, /, **properties: Schema) -> Schema:
    key = {"type": "integer", "x-primary-key": True}
    return {"type": "object", "x-tablename": name, "properties": {"id": key, **properties}}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (table("a", home=to("B"), work=to("B")), table("b")),
        (table("a", home=to("B", backref="homes"), work=to("B", backref="works")), table("b")),
        (table("a", b=to("B"), other={"type": "integer", "x-foreign-key": "b.id"}), table("b")),
        (table("a", b=to("B")), table("b", a=to("A"))),
        (table("a", bs=many("B"), first=to("B")), table("b")),
        (table("a", xs=many("B"), ys=many("B")), table("b")),
        (table("a", parent=to("A")), table("b")),
        (table("a", parent=to("A", backref="children")), table("b")),
        (table("a", children=many("A")), table("b")),
        (table("a", twin=to("A", backref="other", uselist=False)), table("b")),
        (table("a", b=to("B")), {**table("b"), "x-schema-name": "space"}),
        (table("a", **{"class": to("B"), "in": to("B")}), table("b")),
        ({**table("a"), "x-schema-name": "s"},
         {**table("b", ones={"type": "array", "items": to("A", secondary="ab")}), "x-schema-name": "t"}),
        (table("a", b={**to("B", kwargs={"doc": "x"}), "description": "y"}), table("b")),
    ],
)  # fmt: skip
def test_models_are_related_in_any_way(tmp_path: Path, a: Schema, b: Schema) -> None:
    tried(Package("beams", "1"), compiled({"components": {"schemas": {"A": a, "B": b}}}), tmp_path)


def test_the_two_ways_to_one_model_are_kept_apart(tmp_path: Path) -> None:
    both = {"A": table("a", home=to("B", backref="homes"), work=to("B", backref="works")), "B": table("b")}
    tried(Package("beams", "1"), compiled({"components": {"schemas": both}}), tmp_path)
    (name,) = [one.name for one in tmp_path.iterdir()]
    models: Any = sys.modules.pop(name)
    engine = sa.create_engine("sqlite://")
    models.Base.metadata.create_all(engine)
    with Session(engine) as session:
        one, two = models.B(), models.B()
        session.add(models.A(home=one, work=two))
        session.flush()
        assert [len(one.homes), len(one.works), len(two.homes), len(two.works)] == [1, 0, 0, 1]
    engine.dispose()


@pytest.mark.parametrize(
    ("a", "told"),
    [
        (table("a", x={"type": "string", "x-foreign-key": "nowhere.id"}), "nowhere"),
        (table("a", b={**to("B", kwargs={"lazy": "sometimes"})}), "sometimes"),
        (
            table("a", x={"type": "string", "x-index": True})
            | {"x-composite-index": {"name": "ix_a_x", "expressions": ["x"]}},
            "ix_a_x",
        ),
    ],
)
def test_what_sqlalchemy_does_not_take_is_told_with_its_place(tmp_path: Path, a: Schema, told: str) -> None:
    tables = compiled({"components": {"schemas": {"A": a, "B": table("b")}}})
    with pytest.raises(Faulty) as refused:
        tried(Package("beams", "1"), tables, tmp_path)
    (fault,) = refused.value.faults
    assert told in fault.message
    assert fault.pointer.startswith("/components/schemas")
    assert str(tmp_path) not in fault.message
