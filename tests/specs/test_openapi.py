"""What OpenAPI says of a specification is told by its place."""

import socket
from typing import Any

import pytest

from jobs.specs.openapi import completed, openapi_faults
from tests.support.specs import specification


def faults(document: dict[str, Any]) -> dict[str, str]:
    return {fault.pointer: fault.message for fault in openapi_faults(document)}


@pytest.mark.parametrize("version", ["3.0.0", "3.0.3", "3.1.0", "3.1.1"])
def test_a_good_specification_has_no_faults(version: str) -> None:
    for seed in range(20):
        assert faults(specification(seed) | {"openapi": version}) == {}


@pytest.mark.parametrize("version", ["2.0", "4.0.0", 3, None])
def test_other_versions_of_openapi_are_told(version: Any) -> None:
    assert list(faults(specification(1) | {"openapi": version})) == ["/openapi"]


def test_faults_are_told_by_their_places() -> None:
    document = specification(1)
    del document["info"]["title"]
    document["paths"] = {"nowhere": {}}
    document["components"]["schemas"]["ModelA"] = {
        "type": "object",
        "properties": {"a": {"type": "string", "maxLength": "long"}},
    }
    found = faults(document)
    assert '"title" is a required property' in found["/info"]
    assert "nowhere" in found["/paths"]
    assert "is not of type" in found["/components/schemas/ModelA/properties/a/maxLength"]


def test_what_the_parts_of_a_document_do_not_say_together_is_told() -> None:
    document = specification(1)
    document["paths"] = {"/a/{b}": {"get": {"responses": {"200": {"description": "x"}}}}}
    assert "Path parameter 'b'" in faults(document)[""]


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def connected(*_: Any) -> None:
        raise AssertionError("it connects")

    monkeypatch.setattr(socket.socket, "connect", connected)
    for place in ("http://127.0.0.1:1/a.json", "file:///etc/passwd", "other.yml#/a", "//example.org/a"):
        document = specification(1)
        document["components"]["schemas"]["Named"]["properties"]["x"] = {"$ref": place}
        assert list(faults(document)) == ["/components/schemas/Named/properties/x/$ref"]


def test_what_the_old_service_gave_out_is_completed() -> None:
    given = {"info": {"version": "2"}, "components": specification(1)["components"]}
    assert faults(given) != {}
    made = completed(given, "beam-line")
    assert faults(made) == {}
    assert made["info"] == {"title": "beam-line", "version": "2"}
