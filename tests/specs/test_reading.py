"""The source of a specification is read within bounds, and what is wrong with it is told."""

import json
import time
from contextlib import nullcontext
from typing import Any

import pytest
import yaml

from db.models import SpecLanguage
from resolvers.failures import Failure
from resolvers.specs import names
from resolvers.specs.reading import read
from tests.support.specs import specification

JSON, YAML = SpecLanguage.JSON, SpecLanguage.YAML


def refusal(source: str, language: SpecLanguage = YAML, version: str | None = "1") -> tuple[str, str, Any]:
    """The code, the sentence, and the faults."""
    began = time.process_time()
    with pytest.raises(Failure) as told:
        read("beam", source, language, version)
    assert time.process_time() - began < 5
    failure = told.value
    assert len(failure.message) < 600
    return failure.code.name, failure.message, failure.details.get("faults")


@pytest.mark.parametrize("language", [JSON, YAML])
def test_both_languages_say_the_same(language: SpecLanguage) -> None:
    given = specification(4)
    text = json.dumps(given) if language is JSON else yaml.safe_dump(given, sort_keys=False)
    found = read("beam", text, language, None)
    assert (found.version, found.title, found.description) == ("1.4", "Specification 4", None)
    assert found.tables == read("beam", json.dumps(given), JSON, "1.4.0").tables


def test_a_date_in_yaml_is_the_text_that_it_is_written_as() -> None:
    text = """
info: {version: "1"}
components: {schemas: {A: {type: object, x-tablename: a, properties: {
  id: {type: integer, x-primary-key: true}, day: {type: string, format: date, default: 2026-01-02}}}}}
"""
    (model,) = read("beam", text, YAML, None).tables.models
    assert model.columns[1].default == "2026-01-02"


BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("source", "language", "message"),
    [
        ("{", JSON, "the source is no JSON"),
        ("a: [", YAML, "the source is no YAML"),
        ("", YAML, "it is empty"),
        ("a: !!python/object/apply:os.system [id]", YAML, "the source is no YAML"),
        ("a: !!binary aGk=", YAML, "/a: JSON has no such value, of bytes or of a set"),
        ("a: .nan", YAML, "/a: JSON has no numbers without end"),
        ('{"a": NaN}', JSON, "/a: JSON has no numbers without end"),
        ('{"a": [1, 20000000000000000000]}', JSON, "/a/1: a whole number has at most 64 bits"),
        ('{"a": "\\ud800"}', JSON, "/a: a text has no null characters and no lone surrogates"),
        ('{"a": {"\\u0000": 1}}', JSON, "/a: a text has no null characters and no lone surrogates"),
        (f"a: {'1:' * 400_000}1", YAML, "a number has at most 400 digits"),
        (BOMB, YAML, "the source is no YAML: it has more than 100,000 values"),
        ("a: &a 1\nb: [" + "*a," * 1_000 + "]", YAML, "it has more than 100 aliases"),
        ("&a [*a]", YAML, "stands for nothing, or for itself"),
        ("[" * 100_000, JSON, "levels deep"),
        ("[" * 5_000 + "]" * 5_000, YAML, "nesting depth"),
        ("[" * 50 + "]" * 50, YAML, "levels deep"),
        ("a: 1\na: 2", YAML, "stands twice"),
        ("a: \0", YAML, "no null characters"),
        ("[]", JSON, "a specification is an object"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_document_is_told(source: str, language: SpecLanguage, message: str) -> None:
    code, told, _ = refusal(source, language)
    assert code == "INVALID"
    assert message in told


def _spec(schemas: dict[str, Any]) -> str:
    return json.dumps({"info": {"version": "1"}, "components": {"schemas": schemas}})


def _model(**properties: Any) -> dict[str, Any]:
    key = {"type": "integer", "x-primary-key": True}
    return {"type": "object", "x-tablename": "m", "properties": {"id": key, **properties}}


def _to(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _line(number: int, end: Any, **schemas: Any) -> dict[str, Any]:
    return {f"A{n}": _to(f"A{n + 1}") for n in range(number)} | {f"A{number}": end, **schemas}


@pytest.mark.parametrize(
    ("schemas", "told"),
    [
        ({"A": _to("B"), "B": _to("A"), "M": {"allOf": [_to("A"), _model()]}}, "refers to itself"),
        ({"M": {"allOf": [_to("M"), _model()]}}, "refers to itself"),
        ({"M": {"allOf": [{"x-inherits": True}, _to("M"), _model()]}}, "refers to itself"),
        (_line(3_000, {"type": "string"}, M=_model(a=_to("A0"))), "at most 50 references"),
        ({f"A{n}": {"allOf": [_to(f"A{n + 1}")] * 2} for n in range(26)} | {"A26": {}, "M": _model(a=_to("A0"))},
         "made of at most 500 others"),
        ({"M": _model(**{f"c{n}": {"type": "string"} for n in range(20_000)})}, "at most 1,000 columns"),
        ({"W": {"allOf": [{"type": "string"}] * 480}, **{f"M{n}": _model(**{f"c{i}": _to("W") for i in range(100)}) for n in range(90)}},
         "too many others"),
        ({"W": {"properties": {f"c{i}": {"type": "string"} for i in range(900)}},
          **{f"M{n}": {"allOf": [_to("W"), {"x-tablename": f"m{n}", **_model()}]} for n in range(900)}}, "30,000 properties"),
    ],
    ids=["circle", "itself", "extends itself", "line", "doubled", "columns", "wide", "wide base"],
)  # fmt: skip
def test_a_small_source_does_not_take_long(schemas: dict[str, Any], told: str) -> None:
    code, _, faults = refusal(_spec(schemas), JSON)
    assert code == "INVALID"
    assert any(told in fault["message"] for fault in faults)


def test_a_pattern_is_matched_with_nothing() -> None:
    """Python takes as long as it likes for some, and nothing else runs meanwhile."""
    began = time.process_time()
    column = {"type": "string", "pattern": "(a+)+$", "default": f"{'a' * 60}b"}
    assert read("beam", _spec({"M": _model(a=column)}), JSON, "1").tables.count == 1
    assert time.process_time() - began < 5


def _path(schema: Any, at: str = "/p") -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {at: {"get": {"responses": {"200": {"description": "x", "content": content}}}}}


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize(
    ("paths", "wrong"),
    [
        (_path({"type": "string", "pattern": "(a+)+$", "default": f"{'a' * 60}b"}), False),
        (_path({"type": "array", "items": {}, "uniqueItems": True, "default": [{"a": n} for n in range(20_000)]}), False),
        (_path({"type": "object"}, "/p0") | {
            at: one for n in range(1, 25) for at, one in _path({"allOf": [
                {"$ref": f"#/paths/~1p{n - 1}/get/responses/200/content/application~1json/schema"}] * 2}, f"/p{n}").items()},
         False),
        (_path({"$ref": "#/components/schemas/Nope"}), False),
        ({"/a": {"$ref": "#/paths/~1b"}, "/b": {"$ref": "#/paths/~1a"}}, True),
        ({"/{a{b}": {"get": {"responses": {"200": {"description": "x"}}}}}, True),
    ],
    ids=["pattern", "unique", "doubled", "nowhere", "circle", "name"],
)  # fmt: skip
def test_paths_do_not_take_long_and_raise_nothing(version: str, paths: dict[str, Any], wrong: bool) -> None:
    given = {"openapi": version, "paths": paths, "info": {"title": "x", "version": "1"}}
    source = json.dumps({**given, "components": {"schemas": {"M": _model()}}})
    began = time.process_time()
    with pytest.raises(Failure) if wrong else nullcontext() as raised:
        assert read("beam", source, JSON, "1").tables.count == 1
    if wrong:
        assert raised.value.code.name == "INVALID"
    assert time.process_time() - began < 5


def test_faults_of_all_kinds_are_told_at_once() -> None:
    given = {"A": _model(a={"$ref": "other.json"}, b={"type": "strin"}, c={"type": "string", "x-index": 3}, d=_to("X"))}
    _, _, faults = refusal(_spec(given), JSON)
    told = {fault["pointer"].rpartition("properties/")[2] for fault in faults}
    assert told >= {"a/$ref", "b/type", "c/x-index", "d/$ref"}


def test_a_source_that_is_too_long_is_told_before_it_is_read() -> None:
    assert refusal("a" * 50_000_000)[:2] == (
        "LIMIT_EXCEEDED", "a specification has at most 1,000,000 bytes, not 50,000,000",
    )  # fmt: skip


def test_all_faults_are_in_the_details() -> None:
    given = specification(4)
    given["components"]["schemas"] |= {
        "One": {"type": "object", "x-tablename": "one", "properties": {"v": {"type": "string", "x-index": 1}}},
        "Two": {"type": "object", "x-tablename": "one", "properties": {"v": {"type": "string"}}},
    }
    code, told, faults = refusal(json.dumps(given), JSON)
    places = [fault["pointer"] for fault in faults]
    assert code == "INVALID"
    assert "/components/schemas/One/properties/v/x-index" in places
    assert "/components/schemas/Two/x-tablename" in places
    assert told.startswith(faults[0]["pointer"])
    assert told.endswith(f"({len(faults) - 1} more)")


# Names and versions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "found"),
    [("Beam_Line", "beam-line"), ("a", "a"), ("A.b--c__d", "a-b-c-d"), ("3d", "3d")],
)
def test_a_name_has_one_spelling(given: str, found: str) -> None:
    assert names.canonical(given) == names.sought(given) == found


@pytest.mark.parametrize("given", ["", "-a", "a-", "a b", "a/b", "é", "a" * 201, 'a"', "a\n"])
def test_what_is_no_name_is_told_and_finds_nothing(given: str) -> None:
    with pytest.raises(Failure, match="a name has letters, digits"):
        names.canonical(given)
    assert names.sought(given) == ""


@pytest.mark.parametrize(
    ("given", "found"), [("1.0", "1.0"), ("v1.0", "1.0"), ("1.0.0-RC.1", "1.0.0rc1"), ("1!2.0.post1.dev3", "1!2.0.post1.dev3")]
)  # fmt: skip
def test_a_version_has_one_spelling(given: str, found: str) -> None:
    assert names.version(given) == found


@pytest.mark.parametrize("given", ["", "one", "1.0.post1+x", "1.0+local", "1." * 60 + "1", "1.0\n2"])
def test_what_is_no_public_version_is_told(given: str) -> None:
    with pytest.raises(Failure, match="a version is public by PEP 440"):
        names.version(given)


def test_a_version_is_in_one_place_or_the_same_in_both() -> None:
    given = specification(4)
    assert read("beam", json.dumps(given), JSON, "1.4").version == "1.4"
    assert refusal(json.dumps(given), JSON, "1.5")[1] == (
        "the version is 1.5 here and 1.4 in the specification (/info/version); make them one"
    )
    del given["info"]["version"]
    assert read("beam", json.dumps(given), JSON, "1.5").version == "1.5"
    assert "give a version" in refusal(json.dumps(given), JSON, None)[1]
