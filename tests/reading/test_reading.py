"""The read path: one statement for each level, whatever the number of rows; pages as brute force would cut them."""

import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from graphql import GraphQLObjectType, get_named_type, is_leaf_type

from db import models
from db.searching.folding import fold
from db.types import uuid7
from resolvers.access.roles import enrol
from resolvers.identity.principal import AccessProfile, Kind
from resolvers.reading import statements
from resolvers.reading.paging import Keyset, Order
from resolvers.reading.selection import Selection
from resolvers.spelling import global_id
from schema import Schema, build
from schema.fields.checks import declared_fields
from schema.fields.cost import Bounds
from schema.fields.declarations import Connected
from schema.fields.fields import Column, Related
from schema.fields.selection import DEFINITION
from tests.support.crowd import MANY, crowd
from tests.support.databases import BACKENDS, Prepared
from tests.support.platforms import Platform, platform_on

SCHEMA = build()


@pytest.fixture(scope="module", params=BACKENDS)
async def crowded(
    request: pytest.FixtureRequest, prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """A platform with many rows of everything, only read by these tests."""
    url, world = await prepared.copy(request.param)
    async with platform_on(url, world, schema, tmp_path_factory.mktemp("data"), Bounds(cost=10**6)) as made:
        async with made.services.database.write(as_system="test") as session:
            await crowd(session, world)
        yield made


def _fields(kind: type) -> Iterator[tuple[str, str]]:
    for parent, name, _, declared in declared_fields(SCHEMA.core):
        if isinstance(declared, kind) and parent.name != "Query":
            yield parent.name, name


async def _ids(platform: Platform, typename: str, number: int) -> list[str]:
    """Global ids of rows that tom sees, from a read as tom of all there are."""
    kind = SCHEMA.core.get_type(typename)
    assert kind is not None
    model = kind.extensions[DEFINITION].origin.model
    async with platform.services.database.read() as connection:
        keys = (await connection.execute(sa.select(model.id).order_by(model.id.desc()))).scalars().all()
    found: list[str] = []
    for start in range(0, len(keys), 100):
        ids = [global_id(typename, key) for key in keys[start : start + 100]]
        rows = (await platform.ask("query($ids:[ID!]!){nodes(ids:$ids){id}}", "tom", ids=ids))["nodes"]
        found += [row["id"] for row in rows if row]
        if len(found) >= number:
            break
    return found[:number]


@pytest.mark.slow
@pytest.mark.parametrize(("typename", "field"), [*_fields(Connected), *_fields(Related)])
async def test_as_many_statements_for_two_parents_as_for_twenty(crowded: Platform, typename: str, field: str) -> None:
    declared: Any = SCHEMA.core.get_type(typename).fields[field].extensions[DEFINITION]  # type: ignore[union-attr]
    page = "(first:2){totalCount nodes{id} pageInfo{hasNextPage}}" if isinstance(declared, Connected) else "{id}"
    query = f"query($ids:[ID!]!){{nodes(ids:$ids){{... on {typename}{{{field}{page}}}}}}}"
    ids = await _ids(crowded, typename, MANY)
    assert len(ids) == MANY
    counts = []
    for number in (2, MANY):
        nodes = (await crowded.ask(query, "tom", ids=ids[:number]))["nodes"]
        assert all(nodes)
        counts.append(crowded.counted.statements)
    assert counts[0] == counts[1] <= 3


@pytest.mark.parametrize(
    "field", [name for p, name, _, d in declared_fields(SCHEMA.core) if isinstance(d, Connected) and p.name == "Query"]
)
async def test_a_root_list_is_one_statement_and_its_total_another(crowded: Platform, field: str) -> None:
    await crowded.ask(f"{{{field}(first:20){{nodes{{id}}}}}}", "tom")
    assert crowded.counted.statements == 1
    total = (await crowded.ask(f"{{{field}(first:0){{totalCount nodes{{id}}}}}}", "tom"))[field]
    assert total["nodes"] == []
    assert total["totalCount"] >= 1
    assert crowded.counted.statements == 1


def _lists() -> Iterator[tuple[str, str, str]]:
    for parent, name, _, declared in declared_fields(SCHEMA.core):
        if isinstance(declared, Connected):
            for order in declared.orders().names:
                yield from ((parent.name, name, f"field:{order},direction:{way}") for way in ("ASC", "DESC"))


def _sorted_as(value: Any, column: Any) -> Any:
    """What a value is sorted by: texts by their folds, moments without one last."""
    if column.key.endswith("_folded"):
        return fold(value or "")
    return "~" if value is None else value


@pytest.mark.slow
@pytest.mark.parametrize(("parent", "field", "order"), list(_lists()))
async def test_pages_are_the_sorted_list_cut_up(crowded: Platform, parent: str, field: str, order: str) -> None:
    """Forwards and backwards, in every order, against the whole list sorted in Python."""
    kind: Any = SCHEMA.core.get_type(parent)
    declared: Any = kind.fields[field].extensions[DEFINITION]
    name, way = (part.partition(":")[2] for part in order.split(","))
    by = declared.orders()[{"field": name, "direction": way}]
    columns = [_graphql_name(kind.fields[field], column.key.removesuffix("_folded")) for column in by.columns]
    if parent == "Query":
        head, tail, ids = "query($c:String){", "}", {}
    else:
        head, tail = f"query($id:ID!,$c:String){{node(id:$id){{... on {parent}{{", "}}}"
        ids = {"id": (await _ids(crowded, parent, 1))[0]}
    tom = await crowded.principal("tom")

    async def page(arguments: str, place: str | None = None) -> Any:
        query = f"{head}{field}({arguments}:$c,orderBy:{{{order}}}){{nodes{{id {' '.join(columns)}}} pageInfo{{hasNextPage hasPreviousPage startCursor endCursor}} totalCount}}{tail}"
        data = await crowded.ask(query, tom, **ids, c=place)
        return (data["node"] if ids else data)[field]

    whole = await page("first:100,after")
    rows, cut = whole["nodes"], whole
    while cut["pageInfo"]["hasNextPage"]:
        cut = await page("first:100,after", cut["pageInfo"]["endCursor"])
        rows += cut["nodes"]
    keys = [
        (*(_sorted_as(row[shown], column) for shown, column in zip(columns, by.columns, strict=True)), _key(row["id"]))
        for row in rows
    ]
    assert keys == sorted(keys, reverse=by.descending)
    size = min(100, max(1, len(rows) // 3))
    for way, cursor, more, side in (
        ("first", "after", "hasNextPage", "endCursor"),
        ("last", "before", "hasPreviousPage", "startCursor"),
    ):
        seen: list[Any] = []
        place = None
        cuts: list[Any] = []
        while True:
            cut = await page(f"{way}:{size},{cursor}", place)
            seen = seen + cut["nodes"] if way == "first" else cut["nodes"] + seen
            cuts.append(cut)
            if not cut["pageInfo"][more] or len(seen) >= len(rows):
                break
            place = cut["pageInfo"][side]
        assert seen == rows
        assert {cut["totalCount"] for cut in cuts} == {len(rows)}


def _graphql_name(field: Any, key: str) -> str:
    """The field of the list's rows that shows a column; its id where none does."""
    node: Any = get_named_type(get_named_type(field.type).fields["nodes"].type)
    for name, inner in node.fields.items():
        declared = inner.extensions[DEFINITION]
        if isinstance(declared, Column) and declared.key == key and not declared.needs:
            return str(name)
    return "id"


def _key(global_id_: str) -> str:
    return base64.b64decode(global_id_).decode().partition(":")[2]


async def test_a_page_never_ends_early_because_of_hidden_rows(platform: Platform) -> None:
    """The hidden project lies between visible ones in the order; a page of two holds two."""
    async with platform.services.database.write(as_system="test") as session:
        for name in ("Aachen", "Zurich"):
            site = models.Site(name=name)
            session.add(site)
            await session.flush()
            project = models.Project(site_id=site.id, name=name)
            session.add(project)
            await session.flush()
            await enrol(session, project, platform.world.eve)
    page = (await platform.ask("{projects(first:2){nodes{name} pageInfo{hasNextPage} totalCount}}", "eve"))["projects"]
    assert page == {
        "nodes": [{"name": "Aachen"}, {"name": "Zurich"}],
        "pageInfo": {"hasNextPage": False},
        "totalCount": 2,
    }


async def test_numbers_of_a_page_are_read_only_when_selected(
    reading: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "{simulations(first:9){nodes{estimators(first:9){nodes{pages(first:9){nodes{number name axis1{name unit}%s}}}}}}}"
    await reading.ask(query % "", "tom")
    assert not any("values" in text for text in reading.counted.texts)
    data = await reading.ask(query % " data{unit values}", "tom")
    assert any("data_values" in text for text in reading.counted.texts)
    assert not any("axis1_values" in text for text in reading.counted.texts)
    (simulation,) = data["simulations"]["nodes"]
    page = simulation["estimators"]["nodes"][0]["pages"]["nodes"][0]
    assert orjson.loads(orjson.dumps(page["data"])) == {"unit": "MeV/g", "values": [1.0, None, 3.0]}
    assert page["axis1"] == {"name": "Position (Z)", "unit": "cm"}


async def test_only_selected_columns_are_read(reading: Platform) -> None:
    await reading.ask("{simulations(first:9){nodes{title}}}", "tom")
    assert "sim_type" not in reading.counted.texts[-1]
    query = (
        "query($t:Boolean!){simulations(first:9){nodes{title ...F @include(if:$t)}}} fragment F on Simulation{simType}"
    )
    for wanted in (False, True):
        await reading.ask(query, "tom", t=wanted)
        assert ("sim_type" in reading.counted.texts[-1]) is wanted


async def test_the_text_of_a_statement_is_the_same_for_any_number_of_keys(crowded: Platform) -> None:
    tom, ids = await crowded.principal("tom"), await _ids(crowded, "Job", 5)
    found = []
    for number in (1, 5):
        await crowded.ask(
            "query($ids:[ID!]!){nodes(ids:$ids){... on Job{tasks(first:1){nodes{id}}}}}", tom, ids=ids[:number]
        )
        found.append(crowded.counted.texts)
    assert found[0] == found[1] != []


async def test_one_walk_crosses_all_families(reading: Platform) -> None:
    query = """{ simulations(first: 1) { nodes { title owner { username specs(first: 1) { nodes { name latestVersion { name } } } }
      project { name site { name } sessions(first: 5) { nodes { name type { name } events(first: 5) { nodes { type } } } } }
      job { key tasks(first: 5) { nodes { ordinal } } } } }
      challenges(first: 1) { nodes { label leaderboards(first: 1) { nodes { label entries(first: 3) { nodes { place } } } } } } }"""
    data = await reading.ask(query, "tom")
    (simulation,) = data["simulations"]["nodes"]
    assert simulation["owner"]["specs"]["nodes"][0]["latestVersion"]["name"] == "1.0"
    assert simulation["project"]["sessions"]["nodes"][0]["type"] == {"name": "Visit"}
    assert len(data["challenges"]["nodes"][0]["leaderboards"]["nodes"][0]["entries"]["nodes"]) == 3
    assert reading.counted.statements <= 15


async def test_a_hidden_parent_between_two_visible_ones_is_null_in_its_place(reading: Platform) -> None:
    world = reading.world
    ids = [world.id("Simulation", "simulation"), world.id("Simulation", "private"), world.id("Job", "job")]
    nodes = (await reading.ask("query($ids:[ID!]!){nodes(ids:$ids){__typename id}}", "tom", ids=ids))["nodes"]
    assert nodes == [{"__typename": "Simulation", "id": ids[0]}, None, {"__typename": "Job", "id": ids[2]}]


@pytest.mark.parametrize(
    ("id", "codes"),
    [("", ["INVALID"]), ("nonsense", ["INVALID"]), ("VXNlcjoxMjM=", ["INVALID"]), ("VXNlcjo=", ["INVALID"])],
)
async def test_what_is_no_id_is_told(reading: Platform, id: str, codes: list[str]) -> None:
    assert await reading.refused("query($id:ID!){node(id:$id){id}}", "tom", id=id) == codes


async def test_an_id_of_another_type_is_told(reading: Platform) -> None:
    id = reading.world.id("Job", "job")
    answer = await reading.answer("query($id:ID!){simulation(id:$id){id}}", "tom", id=id)
    assert answer.body["errors"][0]["message"] == "this is the id of a Job, not of a Simulation"
    assert answer.body["errors"][0]["extensions"] == {"code": "INVALID", "field": "id"}


async def test_an_id_of_a_type_that_is_no_node_is_null(reading: Platform) -> None:
    id = global_id("PageInfo", reading.world.job)
    assert await reading.ask("query($id:ID!){node(id:$id){id}}", "tom", id=id) == {"node": None}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ("", "first"),
        ("first:1,last:1", "first"),
        ("first:-1", "first"),
        ("last:-1", "last"),
        ('first:1,after:"x"', "after"),
        ('first:1,after:"WyJhIiwxLDJd"', "after"),
        ('last:1,after:"x"', "after"),
        ('first:1,before:"x"', "before"),
    ],
)
async def test_wrong_page_arguments_are_told_by_name(reading: Platform, arguments: str, field: str) -> None:
    query = f"{{challenges({arguments}){{nodes{{id}}}}}}" if arguments else "{challenges{nodes{id}}}"
    answer = await reading.answer(query)
    assert answer.codes == ["INVALID"]
    assert answer.body["errors"][0]["extensions"]["field"] == field


async def test_a_cursor_of_another_order_is_told(reading: Platform) -> None:
    cursor = (await reading.ask("{challenges(first:1){pageInfo{endCursor}}}"))["challenges"]["pageInfo"]["endCursor"]
    assert await reading.refused(
        "query($c:String){challenges(first:1,after:$c,orderBy:{field:START_DATE}){nodes{id}}}", c=cursor
    ) == ["INVALID"]


async def test_a_cursor_of_a_time_that_cannot_be_is_told(reading: Platform) -> None:
    place = ["User.created_at+", "0001-01-01T00:00:00+14:00", str(reading.world.tom)]
    cursor = base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")
    assert await reading.refused("query($c:String){users(first:1,after:$c){nodes{id}}}", "tom", c=cursor) == ["INVALID"]


async def test_a_cursor_outlives_its_row(platform: Platform) -> None:
    query = "query($c:String){leaderboardBuilds(first:1){nodes{entries(first:1,after:$c){edges{cursor node{place}}}}}}"

    async def edge(cursor: str | None) -> Any:
        build = (await platform.ask(query, c=cursor))["leaderboardBuilds"]["nodes"][0]
        return build["entries"]["edges"][0]

    first = await edge(None)
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.delete(models.LeaderboardEntry).where(models.LeaderboardEntry.position == 1))
    assert (await edge(first["cursor"]))["node"] == {"place": 2}


async def test_a_cursor_of_entries_ends_with_their_build(platform: Platform) -> None:
    """The entries of a leaderboard are replaced together, so that no page mixes two builds."""
    query = "query($c:String){leaderboards(first:1){nodes{entries(first:1,after:$c){edges{cursor node{place}}}}}}"
    board = (await platform.ask(query))["leaderboards"]["nodes"][0]
    (first,) = board["entries"]["edges"]
    board = (await platform.ask(query, c=first["cursor"]))["leaderboards"]["nodes"][0]
    assert [edge["node"] for edge in board["entries"]["edges"]] == [{"place": 2}]
    assert len(platform.counted.texts) == 1, "the cursor is checked by the statement that reads the page"
    async with platform.services.database.write(as_system="test") as session:
        build = models.LeaderboardBuild(id=uuid7(), leaderboard_id=platform.world.leaderboard, number=2, entry_count=0)
        session.add(build)
        await session.flush()
        (await session.get_one(models.Leaderboard, platform.world.leaderboard)).build_id = build.id
    assert await platform.refused(query, c=first["cursor"]) == ["CONFLICT"]
    async with platform.services.database.write(as_system="test") as session:
        (await session.get_one(models.Leaderboard, platform.world.leaderboard)).build_id = None
    assert await platform.refused(query, c=first["cursor"]) == ["CONFLICT"], "it has no build now"


async def test_filters_narrow_a_list_and_its_total(reading: Platform) -> None:
    query = "query($f:ChallengeFilter){challenges(first:9,filter:$f){totalCount nodes{label}}}"
    for given, total in (
        ({"label": {"contains": "UNITS"}}, 1),
        ({"label": {"contains": "%s"}}, 0),
        ({"active": {"equals": False}}, 0),
        ({"active": {"equals": None}}, 1),
        ({"active": None}, 1),
        ({"active": {}}, 1),
        ({}, 1),
    ):
        found = (await reading.ask(query, f=given))["challenges"]
        assert (found["totalCount"], len(found["nodes"])) == (total, total), given


async def test_the_pages_of_an_estimator_are_chosen_by_number_or_name(reading: Platform) -> None:
    query = "query($i:ID!,$f:PageFilter){simulation(id:$i){estimators(first:1){nodes{pages(first:9,filter:$f){totalCount nodes{number}}}}}}"
    for given, numbers in (({"number": {"in": [1]}}, [1]), ({"name": {"in": ["DOSE"]}}, [0, 1]), ({"number": {"in": []}}, []), ({"number": {"in": [0]}, "name": {"equals": "X"}}, [])):  # fmt: skip
        data = await reading.ask(query, "tom", i=reading.world.id("Simulation", "simulation"), f=given)
        pages = data["simulation"]["estimators"]["nodes"][0]["pages"]
        assert [page["number"] for page in pages["nodes"]] == numbers
        assert pages["totalCount"] == len(numbers)


async def test_a_text_is_found_in_any_case_of_any_alphabet(platform: Platform) -> None:
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(models.Challenge).values(label="Łódź ŻÓŁW"))
    query = "query($l:String){challenges(first:9,filter:{label:{contains:$l}}){totalCount}}"
    for text in ("łódź", "ŁÓDŹ", "żółw"):
        assert await platform.ask(query, l=text) == {"challenges": {"totalCount": 1}}


async def test_a_filter_by_an_id_takes_that_type_only(reading: Platform) -> None:
    query = "query($p:ID!){simulations(first:9,filter:{project:{ids:[$p]}}){nodes{title}}}"
    found = await reading.ask(query, "tom", p=reading.world.id("Project", "shared"))
    assert [node["title"] for node in found["simulations"]["nodes"]] == ["shared by tom"]
    assert await reading.refused(query, "tom", p=reading.world.id("Site", "site")) == ["INVALID"]


async def test_odd_text_is_only_text(reading: Platform) -> None:
    query = "query($t:String!){challenge(label:$t){id}}"
    for text in ("'; DROP TABLE users; --", "\u2028 \U0001f3ef ümlaut", '"quoted"', "\\", "a" * 10_000):
        assert await reading.ask(query, t=text) == {"challenge": None}


@pytest.mark.parametrize("text", ["nul \0 inside", "\ud800 alone"])
async def test_text_that_no_database_holds_finds_nothing_or_is_told(reading: Platform, text: str) -> None:
    answer = await reading.answer("query($t:String!){challenge(label:$t){id}}", t=text)
    assert answer.body.get("data") == {"challenge": None}
    assert answer.codes in ([], ["INVALID"])


async def test_a_simulation_is_found_by_the_key_of_its_job(reading: Platform) -> None:
    query = "query($k:String){job(key:$k){key} simulation(jobKey:$k){title}}"
    key = f"20260105-090000-{reading.world.job}-DIRECT"
    assert await reading.ask(query, "tom", k=key) == {"job": {"key": key}, "simulation": {"title": "shared by tom"}}
    assert await reading.ask(query, "eve", k=key) == {"job": None, "simulation": None}


def test_every_leaf_of_a_node_is_a_column_or_declares_what_it_reads(schema: Schema) -> None:
    for kind, name, field, declared in declared_fields(schema.core):
        if (
            isinstance(kind, GraphQLObjectType)
            and "Node" in {i.name for i in kind.interfaces}
            and is_leaf_type(get_named_type(field.type))
        ):
            assert name == "id" or isinstance(declared, Column) or declared.reads, f"{kind.name}.{name}"


@pytest.mark.parametrize("dialect", BACKENDS)
def test_a_statement_of_a_loader_is_compiled_once(dialect: str) -> None:
    """SQLAlchemy compiles a statement without a cache key each time that it is run."""
    profile = AccessProfile(Kind.USER, True, False, False, True, True, True, True, False, True, True)
    selection = Selection(models.Simulation, ("title",))
    cut = Keyset(Order(models.Simulation.created_at), False, False)
    children: Any = models.Project.simulations
    for statement in (
        statements.pages(children, selection, cut, None, profile, dialect),
        statements.counts(children, None, profile, dialect),
        statements.listing(selection, cut, None, profile, True),
        statements.listing(Selection(models.Device, ("name",)), Keyset(Order(models.Device.name), True, True), None, profile, False),
        statements.total(models.Simulation, None, profile, False),
        statements.by_key(selection, profile),
    ):  # fmt: skip
        assert statement._generate_cache_key() is not None
