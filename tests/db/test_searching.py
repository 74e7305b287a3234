"""Texts that are searched and ordered by: the same rows in the same order, whatever the database takes for a letter."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unicodedata import normalize

import asyncpg
import pytest
import sqlalchemy as sa
import structlog

from db import migrating, models, plans
from db.address import of_driver
from db.engine import Database
from db.searching import refolding, trigrams
from db.searching.folding import UNICODE, composed, fold, folded
from db.types import Name, now, uuid7
from gateway.background.housekeeping import Housekeeping
from resolvers.accounts.sign_in import create_user
from resolvers.identity.principal import Principal
from resolvers.reading.conditions import Where
from resolvers.reading.shapes import shape
from schema import Schema
from schema.fields.declarations import NODES, Column
from schema.lists.filters import searched
from tests.support.costs import platform_of
from tests.support.databases import Prepared
from tests.support.platforms import Platform, principal_as

_C = "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER libc LOCALE 'C'"
LOCALES = {
    "sqlite": "",
    "c": _C,
    "trigrams": _C,
    "icu": "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'sv-SE' LOCALE 'C'",
}
SITES = ["ÉCOLE Zürich", "ΣΊΣΥΦΟΣ", normalize("NFD", "Łódź ŻÓŁW"), "a_b", "100%", "Zoo", "zoo", "ähnlich", "Ziel-2", "Ziel 1", "Straße"]  # fmt: skip
FOUND = {
    "ÉCOLE": "ÉCOLE Zürich",
    "ecole": "ÉCOLE Zürich",
    " zurich  école ": "ÉCOLE Zürich",
    "e\u0301cole": "ÉCOLE Zürich",
    "ΣΊΣ": "ΣΊΣΥΦΟΣ",
    "σίσυφος": "ΣΊΣΥΦΟΣ",
    "łódź": "Łódź ŻÓŁW",
    normalize("NFD", "żółw"): "Łódź ŻÓŁW",
    "a_b": "a_b",
    "0%": "100%",
    "STRASSE": "Straße",
    "\u00a0ziel\u30001": "Ziel 1",
    "x": None,
    "/": None,
}

Asked = tuple[Platform, Principal]


@pytest.fixture(scope="module", params=LOCALES)
async def asked(
    request: pytest.FixtureRequest, prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Asked]:
    """A database of some locale, with sites, and a superadmin."""
    backend = "sqlite" if request.param == "sqlite" else "postgresql"
    try:
        url = await prepared.empty(backend, f"locale_{request.param}", LOCALES[request.param])
    except asyncpg.PostgresError as error:
        pytest.skip(f"this server has no such locale: {error}")
    await migrating.migrate(url)
    async with platform_of(url, schema, tmp_path_factory.mktemp("data")) as platform:
        if request.param == "trigrams":
            await _with_trigrams_alone(platform, schema)
        async with platform.services.database.write(as_system="test") as session:
            session.add_all(models.Site(name=name) for name in SITES)
            root = await create_user(session, "root", "", superadmin=True)
            await create_user(session, "mokafor", "", first_name="María", last_name="Okafor", email="m@torana.example")
        yield platform, await principal_as(platform.services, root.id)


@asynccontextmanager
async def connected(database: Database) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(of_driver(database.url))
    try:
        yield connection
    finally:
        await connection.close()


async def _with_trigrams_alone(platform: Platform, schema: Schema) -> None:
    """Have texts found by indexes alone, as in a large table."""
    database = platform.services.database
    assert await trigrams.make(database, searched(), lambda _: None) > 20
    (row,) = await database.rows(sa.select(sa.func.current_database()))
    async with connected(database) as connection:
        await connection.execute(f'ALTER DATABASE "{row[0]}" SET enable_seqscan = off')
        others = """SELECT indexrelid::regclass::text AS name FROM pg_index
            WHERE indrelid IN ('sites'::regclass, 'users'::regclass) AND NOT indisunique"""
        for other in await connection.fetch(others):
            if "trigrams" not in other["name"]:
                await connection.execute(f"DROP INDEX {other['name']}")
    await database._readers._discard_idle()


async def test_a_text_is_found_whatever_its_case_marks_and_form(asked: Asked) -> None:
    platform, root = asked
    for text, name in FOUND.items():
        query = "query($t:String){sites(first:9,filter:{text:$t}){totalCount nodes{name}}}"
        found = (await platform.ask(query, root, t=text))["sites"]
        assert found == {"totalCount": int(name is not None), "nodes": [{"name": name}] if name else []}, text


async def test_words_are_found_in_any_of_the_texts_and_in_any_order(asked: Asked) -> None:
    platform, root = asked
    query = "query($t:String){users(first:9,filter:{text:$t}){nodes{username}}}"
    for text in ("Maria Okafor", "okafor MARIA", " maria ", "mok fór torana"):
        assert await platform.ask(query, root, t=text) == {"users": {"nodes": [{"username": "mokafor"}]}}, text
    assert await platform.ask(query, root, t="maria zzz") == {"users": {"nodes": []}}


async def test_a_list_has_one_order_on_every_database(asked: Asked) -> None:
    platform, root = asked
    query = "query($a:String){sites(first:2,after:$a){nodes{name} pageInfo{hasNextPage endCursor}}}"
    names, after, more = [], None, True
    while more:
        page = (await platform.ask(query, root, a=after))["sites"]
        names += [node["name"] for node in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert names == sorted((normalize("NFC", name) for name in SITES), key=fold)


async def test_a_text_has_at_most_eight_words_and_one_without_words_asks_for_nothing(reading: Platform) -> None:
    query = "query($t:String){sites(first:9,filter:{text:$t}){totalCount}}"
    (code,) = await reading.refused(query, "root", t="a b c d e f g h i")
    assert code == "LIMIT_EXCEEDED"
    every = await reading.ask(query, "root", t=None)
    for text in ("", "  ", "\u0301"):
        assert await reading.ask(query, "root", t=text) == every, text
    assert await reading.ask(query, "root", t="a " * 50) == await reading.ask(query, "root", t="a")


async def test_a_text_is_found_only_where_it_may_be_read(platform: Platform) -> None:
    async with platform.services.database.write(as_system="test") as session:
        tom = await session.get_one(models.User, platform.world.tom)
        tom.email, tom.last_name = "sécret@torana.example", "Sécret"
    query = "query($t:String){users(first:9,filter:{text:$t}){totalCount}}"
    for who, text, number in (("root", "secret torana.example", 1), ("eve", "secret", 0), ("eve", "torana", 0)):
        found = (await platform.ask(query, who, t=text))["users"]["totalCount"]
        assert (found > 0) is (number > 0) or who == "eve", (who, text)
        if who == "eve":  # of herself, at most
            nodes = await platform.ask(
                "query($t:String){users(first:9,filter:{text:$t}){nodes{username}}}", who, t=text
            )
            assert {"username": "tom"} not in nodes["users"]["nodes"]


def test_what_is_searched_or_ordered_by_has_a_fold_that_nobody_reads() -> None:
    texts = set(searched())
    for node in NODES.values():
        for field in node.fields:
            if isinstance(field, Column):
                assert not field.key.endswith("_folded")
                column = sa.inspect(node.model).mapper.columns[field.key]
                if field.lists.search or (field.lists.order and isinstance(column.type, sa.String | Name)):
                    texts.add(column)
    assert len(texts) > 25
    for text in texts:
        assert isinstance(text.type, Name), text
        assert text.name in folded(text.table), text
    assert {table.c[t] for table in refolding.searched() for t in folded(table)} == texts


# Writing --------------------------------------------------------------------------------------------------------------


async def _folds(database: Database) -> dict[str, Any]:
    table = models.Site.__table__
    rows = await database.rows(sa.select(table.c.name, table.c.name_folded))
    return {row.name: row.name_folded for row in rows}


async def test_every_way_to_write_a_text_writes_its_fold(platform: Platform) -> None:
    database = platform.services.database
    async with database.write(as_system="test") as session:
        session.add(row := models.Site(name="Änne"))
        await session.execute(sa.insert(models.Site).values(name="Örtlich", version=1))
        await session.execute(sa.insert(models.Site), [{"name": "ÉTÉ", "version": 1}, {"name": "Æther", "version": 1}])
        await session.execute(
            sa.insert(models.Site.__table__).values([{"id": uuid7(), "name": n, "version": 1} for n in ("ÎLE", "ÂGE")])
        )
        await session.flush()
        row.name = normalize("NFD", "Ünder")
    async with database.write(as_system="test") as session:
        await session.execute(sa.update(models.Site).where(models.Site.name == "Örtlich").values(name="Übrig"))
        row = (await session.scalars(sa.select(models.Site).where(models.Site.name == "Ünder"))).one()
        row.two_factor_required = True
    found = await _folds(database)
    assert "Örtlich" not in found
    for name in ("Ünder", "Übrig", "ÉTÉ", "Æther", "ÎLE", "ÂGE"):
        assert found[name] == fold(name)
    assert all(folded == fold(name) for name, folded in found.items())


_SITES = models.Site.__table__
_BY_KEY = sa.update(_SITES).where(_SITES.c.id == sa.bindparam("which")).values(name=sa.bindparam("called"))


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (sa.update(models.Site).values(name=models.Site.name + "x"), {}),
        (_BY_KEY, {"which": uuid7(), "called": "x"}),
        (sa.update(_SITES), {"name": "x"}),
        (sa.insert(_SITES).from_select(["name"], sa.select(models.Project.name)), {}),
    ],
    ids=["computed", "bound", "parameter", "selected"],
)
async def test_a_text_that_is_not_known_before_it_is_written_is_refused(
    platform: Platform, statement: Any, parameters: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match="name_folded with it"):
        async with platform.services.database.write(as_system="test") as session:
            await (await session.connection()).execute(statement, parameters)


async def _old_code(database: Database, statement: str) -> None:
    """Writes as a gateway of the release before does, which knows of no folds."""
    async with database.write(as_system="test") as session:
        await session.execute(sa.text(statement))


async def test_rows_that_old_code_wrote_are_found_and_completed(platform: Platform) -> None:
    database = platform.services.database
    await _old_code(database, "UPDATE sites SET name = 'École du Lac', name_folded = NULL")
    query = "query($t:String){sites(first:9,filter:{text:$t}){totalCount}}"
    assert (await platform.ask(query, "root", t="DU LAC"))["sites"]["totalCount"] > 0
    assert (await platform.ask(query, "root", t="ecole"))["sites"]["totalCount"] == 0
    await Housekeeping(platform.services, [])._check_folds()
    assert await refolding.complete(database) > 0
    assert (await platform.ask(query, "root", t="ecole"))["sites"]["totalCount"] > 0
    assert await refolding.complete(database) == 0


async def test_other_tables_of_unicode_are_told_and_folded_anew(platform: Platform) -> None:
    database = platform.services.database
    housekeeping = Housekeeping(platform.services, [])
    await refolding.complete(database)
    with structlog.testing.capture_logs() as lines:
        await housekeeping._check_folds()
        assert lines == []
        await _old_code(database, "UPDATE server_settings SET value = '1.0.0' WHERE name = 'unicode'")
        await _old_code(database, "UPDATE sites SET name_folded = 'other'")
        await housekeeping._check_folds()
        (line,) = lines
        assert line["run"] == "torana reindex"
    table = models.Site.__table__
    before = await database.rows(sa.select(table.c.id, table.c.version, table.c.updated_at).order_by(table.c.id))
    told: dict[str, int] = {}
    assert await refolding.refold(database, told.__setitem__) == len(before) == told["sites"]
    assert all(folded == fold(name) for name, folded in (await _folds(database)).items())
    assert (
        await database.rows(sa.select(table.c.id, table.c.version, table.c.updated_at).order_by(table.c.id)) == before
    )
    assert not await refolding.outdated(database)


async def test_after_a_migration_what_is_there_is_folded_in_batches(prepared: Prepared, backend: str) -> None:
    url = await prepared.empty(backend, "folds")
    await migrating.migrate(url)
    names = [f"É{n}" for n in range(refolding.BATCH + 100)]
    site = models.Site.__table__
    known = {"created_at": now(), "updated_at": now(), "version": 1, "two_factor_required": False}
    raw = sa.table("sites", *(sa.column(name, site.c[name].type) for name in ("id", *known)), sa.column("name"))
    database = Database(url)
    try:
        async with database.write(as_system="test") as session:
            rows = [{"id": uuid7(), "name": normalize("NFD", name)} for name in names]
            await (await session.connection()).execute(sa.insert(raw).values(**known), rows)
        assert await refolding.complete(database) == len(names) + 1  # and the core service
        assert await _folds(database) == {name: fold(name) for name in names}
        assert await refolding.complete(database) == 0
        assert [row.value for row in await database.rows(refolding._UNICODE)] == [UNICODE]
    finally:
        await database.dispose()
        await prepared.drop(url)


async def test_a_text_stays_as_it_is_where_another_row_has_its_composed_form(platform: Platform) -> None:
    database = platform.services.database
    async with database.write(as_system="test") as session:
        session.add(models.UserGroup(name="É"))
        session.add(models.UserGroup(name="other"))
    await _old_code(database, "UPDATE user_groups SET name = 'E\u0301', name_folded = NULL WHERE name = 'other'")
    assert await refolding.complete(database) >= 1
    table = models.UserGroup.__table__
    rows = await database.rows(sa.select(table.c.name).where(table.c.name_folded == "e").order_by(table.c.name))
    assert [row.name for row in rows] == ["E\u0301", "É"]


def test_a_fold_is_its_own_fold_and_that_of_every_form() -> None:
    for code in range(0x2_0000):
        letter = chr(code)
        if unicodedata.category(letter) != "Cs":
            folded = fold(letter)
            assert fold(folded) == folded, hex(code)
            assert fold(normalize("NFD", letter)) == folded, hex(code)
    assert unicodedata.unidata_version == UNICODE


# Keys of conditions ---------------------------------------------------------------------------------------------------


def _is(value: Any) -> Any:
    return lambda entity, suffix, profile: [entity.version == value]


def _is_not(value: Any) -> Any:
    return lambda entity, suffix, profile: [entity.version != value]


class _Bound:
    def clauses(self, entity: Any, suffix: str, profile: Any) -> list[Any]:
        return []


def test_two_different_conditions_never_share_a_statement() -> None:
    one = _Bound()
    made = [
        _is(1), _is(True), _is(1.0), _is("1"), _is((1, 2)), _is((True, 2)), _is(_is(1)), _is(_is(2)), _is_not(1),
        partial(_is(1), suffix=1), partial(_is(1), suffix=2), partial(_is(1), profile=1), one.clauses, _Bound().clauses,
    ]  # fmt: skip
    keys = [Where(function) for function in made]
    assert len(set(keys)) == len(keys)
    again = [_is(1), _is(True), _is(1.0), _is("1"), _is((1, 2)), _is((True, 2)), _is(_is(1)), _is(_is(2)), _is_not(1)]
    assert [Where(function) for function in again] == keys[: len(again)]
    assert Where.equal(models.Site.name, "a") == Where.equal(models.Site.name, "b") != Where.equal(models.Site.id, "a")


@pytest.mark.parametrize("held", [[], {}, set()])
def test_a_condition_holds_nothing_that_may_change(held: Any) -> None:
    with pytest.raises(TypeError):
        shape(_is(held))


@pytest.mark.parametrize("marks", ["\u0f73", "\u0301\u0323", "\u0301", "\u05b0\u094d"])
def test_many_marks_are_put_in_order_in_no_time(marks: str) -> None:
    """Unicode's order takes the square of the marks of one letter: a minute for these."""
    text = "a" + marks * 32_000
    assert len(composed(text)) < 100
    assert len(fold(text)) < 100
    assert composed("e\u0301" * 1_000) == "\u00e9" * 1_000
    assert composed("a" + "\u0301" * 30) == "\u00e1" + "\u0301" * 29


# Trigrams -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["trigrams"], indirect=True)
async def test_a_search_reads_the_index_of_trigrams(asked: Asked) -> None:
    platform, root = asked
    answer = await platform.answer('{sites(first:9,filter:{text:"zür"}){nodes{name}}}', root)
    assert answer.body["data"]["sites"]["nodes"] == [{"name": "ÉCOLE Zürich"}]
    (text,), (arguments,) = platform.counted.texts, platform.counted.arguments
    async with platform.services.database.read(plans.OWN) as connection:
        rows = await plans.on_postgresql(connection, text, arguments, "FORMAT TEXT")
    plan = "\n".join(row[0] for row in rows)
    assert "trigrams_sites_name" in plan


@pytest.fixture
async def apart(prepared: Prepared) -> AsyncIterator[Database]:
    """A PostgreSQL database for one test."""
    url, _ = await prepared.copy("postgresql", name="trigrams")
    database = Database(url)
    yield database
    await database.dispose()
    await prepared.drop(url)


async def test_indexes_are_made_once_and_one_that_was_interrupted_again(apart: Database) -> None:
    column, told = models.Site.__table__.c.name, list[str]()
    assert await trigrams.make(apart, [column], told.append) == 1
    assert await trigrams.make(apart, [column], told.append) == 0
    assert told == ["making trigrams_sites_name", "counting sites", "counting sites"]
    async with connected(apart) as connection:
        await connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'trigrams_sites_name'::regclass"
        )
    assert await trigrams.make(apart, [column], told.append) == 1
    url = apart.url.render_as_string(hide_password=False)
    assert await migrating.present(url) == migrating.newest()


async def test_of_two_that_make_indexes_one_waits(apart: Database, schema: Schema) -> None:
    columns = searched()
    made = await asyncio.gather(*(trigrams.make(apart, columns, lambda _: None) for _ in range(2)))
    assert sorted(made) == [0, len(columns)]


async def test_the_server_knows_how_common_the_texts_in_a_new_index_are(apart: Database) -> None:
    await trigrams.make(apart, [models.Site.__table__.c.name], lambda _: None)
    async with connected(apart) as connection:
        assert await connection.fetchval("SELECT count(*) FROM pg_stats WHERE tablename = 'trigrams_sites_name'") == 1


async def test_the_extension_may_be_in_another_schema(apart: Database) -> None:
    async with connected(apart) as connection:
        await connection.execute("CREATE SCHEMA elsewhere")
        await connection.execute("CREATE EXTENSION pg_trgm SCHEMA elsewhere")
    assert await trigrams.make(apart, [models.Site.__table__.c.name], lambda _: None) == 1


async def test_who_does_not_own_the_tables_is_told_so(apart: Database) -> None:
    async with connected(apart) as connection:
        await connection.execute("CREATE EXTENSION pg_trgm")
        await connection.execute("CREATE ROLE stranger LOGIN")
        try:
            address = apart.url.set(username="stranger").render_as_string(hide_password=False)
            stranger = Database(address)
            with pytest.raises(trigrams.NoTrigrams, match=r"owner of table sites; run this as the role that owns"):
                await trigrams.make(stranger, [models.Site.__table__.c.name], lambda _: None)
        finally:
            await connection.execute("DROP ROLE stranger")


async def test_without_the_extension_it_is_said_why_none_can_be_made(prepared: Prepared, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(trigrams.NoTrigrams, match="SQLite"):
        await trigrams.make(database, [], lambda _: None)
    await database.dispose()
    database = Database(await prepared.empty("postgresql", "untrusted"))
    connection = await asyncpg.connect(of_driver(database.url))
    try:
        await connection.execute("CREATE ROLE plain LOGIN")
        plain = Database(database.url.set(username="plain").render_as_string(hide_password=False))
        await connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        with pytest.raises(trigrams.NoTrigrams, match="CREATE EXTENSION"):
            await trigrams.make(plain, [], lambda _: None)
    finally:
        await connection.execute("DROP ROLE plain")
        await connection.close()
        await database.dispose()


async def test_the_server_knows_how_common_parts_of_searched_texts_are(platform: Platform, backend: str) -> None:
    if backend == "sqlite":
        pytest.skip("it keeps no such statistics")
    rows = await platform.services.database.rows(sa.text("SELECT stxname FROM pg_statistic_ext"))
    assert {row.stxname for row in rows} >= {f"fold_{column.table.name}_{column.name}" for column in searched()}
