"""Texts that the database makes are those that Python makes."""

import base64
from typing import Any

import pytest
import sqlalchemy as sa

from db import texts
from db.engine import Database
from db.types import uuid7
from resolvers.spelling import global_id
from schema import Schema
from tests.support.databases import BACKENDS, Prepared

ODD = ["", "a", "ab", "abc", "100%s %d %% ''", "Żółw ~~~ ???>>>", "x" * 200, '[1,"2"]\\"']


@pytest.fixture(scope="module", params=BACKENDS)
async def database(request: pytest.FixtureRequest, prepared: Prepared) -> Any:
    url, _ = await prepared.copy(request.param)
    made = Database(url)
    yield made
    await made.dispose()


async def _made(database: Database, made: Any, **values: Any) -> str:
    ((found,),) = await database.rows(sa.select(made), values)
    return str(texts.finished(found) if database.dialect == "sqlite" else found)


def _given(name: str = "text") -> Any:
    return sa.func.substr(sa.cast(sa.bindparam(name), sa.Text()), 1)


async def test_the_id_of_every_node_type_is_the_one_that_python_makes(database: Database, schema: Schema) -> None:
    kinds = [one.name for one in schema._schema.get_implementations(schema._schema.type_map["Node"]).objects]  # type: ignore[arg-type]
    assert any(len(name) > 19 for name in kinds), "longer ids are broken into lines"
    key = uuid7()
    for name in kinds:
        made = texts.base64([f"{name}:", _given()], len(name) + 1 + len(str(key)))
        assert await _made(database, texts.joined(["<", made, ">"]), text=str(key)) == f"<{global_id(name, key)}>"


@pytest.mark.parametrize("text", ODD)
async def test_base64_is_that_of_python(database: Database, text: str) -> None:
    one = texts.joined(
        ["%s", texts.base64([_given()], 1_000), "'%", *texts.cursor(texts.joined(["ü", _given()])), _given()]
    )
    plain = base64.b64encode(text.encode()).decode()
    url = base64.urlsafe_b64encode(f"ü{text}".encode()).decode().rstrip("=")
    assert await _made(database, one, text=text) == f'%s{plain}\'%"{url}"{text}'


async def test_many_pieces_are_joined_in_their_order(database: Database) -> None:
    pieces: list[Any] = []
    for n in range(300):
        pieces += [f"{n}%'", _given(f"t{n}")]
    values = {f"t{n}": f"<{n}>" for n in range(300)}
    expected = "".join(f"{n}%'<{n}>" for n in range(300))
    assert await _made(database, texts.joined(pieces), **values) == expected


def test_only_what_postgresql_does_not_break_is_left_as_it_is() -> None:
    assert type(texts.base64(["x"], texts.UNBROKEN)) is not type(texts.base64(["x"], texts.UNBROKEN + 1))
