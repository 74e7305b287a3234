"""What is wrong in a specification is told at its place, and all of it at once."""

from typing import Any

import pytest

from jobs.specs.compiling import compiled
from jobs.specs.faults import Faulty

KEY = {"type": "integer", "x-primary-key": True}
AT = "/components/schemas"


def model(table: str = "a", /, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "x-tablename": table, "properties": {"id": KEY, **properties}}


def faults(**schemas: Any) -> dict[str, str]:
    """The sentences by their places below the schemas."""
    with pytest.raises(Faulty) as told:
        compiled({"components": {"schemas": schemas}})
    return {one.pointer.removeprefix(AT): one.message for one in told.value.faults}


@pytest.mark.parametrize(
    ("schemas", "place", "message"),
    [
        ({"A": {"type": "object"}}, "", "at least one schema has x-tablename"),
        ({"A": model(value={})}, "/A/properties/value", "type is missing"),
        ({"A": model(value={"type": "decimal"})}, "/A/properties/value/type", "a type is one of"),
        ({"A": model(value={"type": ["string", "integer"]})}, "/A/properties/value/type", "a type is one of"),
        ({"A": model(value={"type": "number", "format": "double"})}, "/A/properties/value/format", "the format double"),
        ({"A": model(value={"type": "integer", "maxLength": 3})}, "/A/properties/value/maxLength", "only texts"),
        ({"A": model(value={"type": "string", "x-index": 1})}, "/A/properties/value/x-index", "true or false"),
        ({"A": model(value={"type": "string", "x-open-alchemy-index": 1})}, "/A/properties/value/x-open-alchemy-index", "true"),
        ({"A": model(value={"type": "string", "default": 1})}, "/A/properties/value/default", "a value of the column"),
        ({"A": model(value={"type": "string", "format": "date", "default": "x"})}, "/A/properties/value/default", "a value"),
        ({"A": model(value={"type": "integer", "x-foreign-key": "b"})}, "/A/properties/value/x-foreign-key", "table.column"),
        ({"A": model(value={"type": "string", "x-autoincrement": True})}, "/A/properties/value/x-autoincrement", "only whole"),
        ({"A": model(value={"type": "string", "x-kwargs": {"nullable": True}})}, "/A/properties/value/x-kwargs/nullable", "x-kwargs has no nullable here"),
        ({"A": model(**{"a b": {"type": "string"}})}, "/A/properties/a b", "the name of a property"),
        ({"A": model(**{"a/b~": {"type": "string"}})}, "/A/properties/a~1b~0", "the name of a property"),
        ({"A": model(**{"x" * 256: {"type": "string"}})}, f"/A/properties/{'x' * 256}", "the name of a property"),
        ({"A": model(value={"$ref": "#/components/schemas/B"})}, "/A/properties/value/$ref", "there is no schema B"),
        ({"A": model(value={"$ref": "file:///etc/passwd"})}, "/A/properties/value/$ref", "so that nothing is fetched"),
        ({"A": model(value={"$ref": "https://example.org/a.json#/B"})}, "/A/properties/value/$ref", "nothing is fetched"),
        ({"A": model(b={"$ref": f"#{AT}/B"}), "B": {"type": "object"}}, "/A/properties/b", "B is no model"),
        ({"A": model(b={"type": "object"})}, "/A/properties/b", "an object refers to a model"),
        ({"A": model(b={"type": "array"})}, "/A/properties/b", "an array has items"),
        ({"A": model() | {"required": ["gone"]}}, "/A/required", "gone is required and is no property"),
        ({"A": model() | {"x-composite-index": ["gone"]}}, "/A/x-composite-index", "gone is no column of a"),
        ({"A": model() | {"x-composite-unique": [1]}}, "/A/x-composite-unique", "a list of columns"),
        ({"A": model() | {"x-mixins": "os.path"}}, "/A/x-mixins", "x-mixins are code"),
        ({"A": model() | {"x-primary-key": True}}, "/A/x-primary-key", "for properties, not for models"),
        ({"A": model() | {"x-inherits": True}}, "/A/x-inherits", "goes with a $ref"),
        ({"A": model(), "B": model()}, "/B/x-tablename", "the table a is that of A, too"),
        ({"A": {"type": "object", "x-tablename": "a", "properties": {"b": {"type": "string"}}}}, "/A", "A has no primary key"),
        ({"A": model(value={"type": "string", "x-kwargs": {"key": "b"}})}, "/A/properties/value/x-kwargs/key", "x-kwargs has no key"),
        ({"A": model(me={"allOf": [{"$ref": f"#{AT}/A"}, {"x-kwargs": {"order_by": "exit()"}}]})}, "/A/properties/me/allOf/1/x-kwargs/order_by", "order_by is a column"),
        ({"A": model() | {"x-kwargs": {"__init__": 1}}}, "/A/x-kwargs/__init__", "x-kwargs has no __init__"),
        ({"A": model() | {"x-kwargs": {"__mapper_args__": {"polymorphic_on": "gone"}}}}, "/A/x-kwargs/__mapper_args__/polymorphic_on", "is a column of the model"),
        ({"A": model(metadata={"type": "string"})}, "/A/properties/metadata", "means something else"),
        ({"A": model(), "Base": model("b")}, "/Base", "means something else in Python"),
        ({"A": model("a b")}, "/A/x-tablename", "a name"),
    ],
)  # fmt: skip
def test_a_fault_is_told_at_its_place(schemas: dict[str, Any], place: str, message: str) -> None:
    found = faults(**schemas)
    assert message in found[place], found


def test_all_faults_are_told_at_once() -> None:
    bad = {"type": "decimal"}
    found = faults(A=model(one=bad, two=bad), B=model("b", three={"type": "string", "x-unique": "yes"}))
    assert set(found) == {"/A/properties/one/type", "/A/properties/two/type", "/B/properties/three/x-unique"}


def test_a_schema_that_refers_to_itself_is_told() -> None:
    assert "A refers to itself" in str(faults(A={"allOf": [{"$ref": f"#{AT}/A"}, {"x-tablename": "a"}]}))
    around = {"A": {"$ref": f"#{AT}/B"}, "B": {"$ref": f"#{AT}/A"}}
    assert "refers to itself" in str(faults(**around, C=model("c", value={"$ref": f"#{AT}/A"})))
    assert len(compiled({"components": {"schemas": {**around, "C": model()}}}).models) == 1


def test_relations_that_do_not_fit_are_told() -> None:
    other = {"type": "object", "x-tablename": "b", "properties": {"key": KEY}}
    found = faults(A=model(b={"$ref": f"#{AT}/B"}), B=other)
    assert found["/A/properties/b"].startswith("B has no column id, by which the relation joins")
    two = {"type": "object", "x-tablename": "b", "properties": {"id": KEY, "more": KEY}}
    many = {"type": "array", "items": {"allOf": [{"$ref": f"#{AT}/B"}, {"x-secondary": "a_b"}]}}
    assert "one primary key; B has 2" in faults(A=model(many=many), B=two)["/A/properties/many/items"]
    back = {"allOf": [{"$ref": f"#{AT}/B"}, {"x-backref": "id"}]}
    assert "B has a id already" in faults(A=model(b=back), B=model("b"))["/A/properties/b"]
