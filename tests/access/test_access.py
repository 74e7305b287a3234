"""No path leads to a hidden row, and no answer tells what it holds: paths, filters, ids and payloads are those that the
schema has.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from graphql import GraphQLList, GraphQLNonNull, get_named_type

from db import models
from db.models import Base
from db.types import uuid7
from resolvers.access.policy import policies
from resolvers.identity.principal import Kind, Principal
from resolvers.reading.loaders import Loaders
from resolvers.reading.selection import Selection
from resolvers.spelling import camel, global_id, snake
from schema.fields import declarations
from schema.fields.checks import declared_fields
from schema.fields.declarations import Column, Connected, Related
from schema.fields.scalars import parse_id
from schema.fields.selection import DEFINITION, model_of
from tests.support.matrix import (
    ARGUMENTS,
    CHANGES,
    CORE,
    FIELDS,
    MATRIX,
    MORE_IDS,
    NEW,
    NODES,
    NOTHING_HIDDEN,
    PEOPLE,
    ROLES,
    Ref,
    Stage,
    known,
    may,
    mutation_of,
    refs,
    settle,
    typename_of,
)
from tests.support.platforms import Platform, principal_as

QUERY: Any = CORE.query_type
MUTATION: Any = CORE.mutation_type


# Lists and relations --------------------------------------------------------------------------------------------------


def _page(name: str, given: str = "", first: int = 100) -> str:
    return f"{name}(first:{first}{given}){{totalCount nodes{{id}}}}"


def _paths(typename: str) -> dict[str, str]:
    """What to select of each field of a type that leads to nodes."""
    found = {}
    for kind, name, _, declared in declared_fields(CORE):
        if kind.name == typename and isinstance(declared, Connected | Related):
            found[name] = _page(name, first=20) if isinstance(declared, Connected) else f"{name}{{id}}"
    return found


LISTS = {
    name: _page(name) for name in _paths("Query") if isinstance(QUERY.fields[name].extensions[DEFINITION], Connected)
}


def _ids(value: Any) -> list[str]:
    """The ids that a field of a path found."""
    if value is None:
        return []
    if "nodes" not in value:
        return [value["id"]]
    found = [node["id"] for node in value["nodes"]]
    assert len(found) == value["totalCount"]
    return found


async def _visible(way: Platform, who: Any, all_: Mapping[str, list[str]]) -> set[str]:
    """The ids of all rows that a principal sees when it names them."""
    ids = [id for found in all_.values() for id in found]
    seen = set()
    for start in range(0, len(ids), 100):
        data = await way.ask("query($ids:[ID!]!){nodes(ids:$ids){id}}", who, ids=ids[start : start + 100])
        seen |= {node["id"] for node in data["nodes"] if node}
    return seen


async def _reached(
    way: Platform, who: Any, all_: Mapping[str, list[str]], seen: set[str]
) -> dict[tuple[str, str], set[str]]:
    """By a visible row and a field of it that leads to nodes: what was found there. The root is a row, too."""
    found: dict[tuple[str, str], set[str]] = {}
    names = sorted(LISTS)
    for start in range(0, len(names), 15):
        data = await way.ask(f"{{{' '.join(LISTS[name] for name in names[start : start + 15])}}}", who)
        found |= {("", name): set(_ids(value)) for name, value in data.items()}
    for typename in all_:
        ids, paths = [id for id in all_[typename] if id in seen], _paths(typename)
        if not ids or not paths:
            continue
        query = f"query($ids:[ID!]!){{nodes(ids:$ids){{id ...on {typename}{{{' '.join(paths.values())}}}}}}}"
        for start in range(0, len(ids), 50):
            for row in (await way.ask(query, who, ids=ids[start : start + 50]))["nodes"]:
                found |= {(row["id"], name): set(_ids(row[name])) for name in paths}
    return found


@pytest.fixture(scope="module")
async def mine(stage: Stage, whole: Any) -> dict[str, set[str]]:
    """The ids that two roles see."""
    return {role: await _visible(stage.rendered, stage.who(role), whole[0]) for role in ("PU", "SV")}


@pytest.fixture(scope="module")
async def whole(stage: Stage) -> tuple[dict[str, list[str]], dict[tuple[str, str], set[str]]]:
    """All rows there are, and all that leads from one to another: what a superadmin finds."""
    all_ = await stage.all()
    seen = await _visible(stage.rendered, stage.who("XA"), all_)
    return all_, await _reached(stage.rendered, stage.who("XA"), all_, seen)


@pytest.mark.slow
@pytest.mark.parametrize("role", [role for role in ROLES if role != "XA"])
async def test_every_path_leads_just_to_the_rows_that_one_may_name(stage: Stage, whole: Any, role: str) -> None:
    all_, paths = whole
    if not stage.sqlite and role in ("AN", "US", "MG", "PA", "SU", "PL"):
        pytest.skip("the same clauses as on SQLite, without one that others lack")
    for way in stage.both(role):
        seen = await _visible(way, stage.who(role), all_)
        reached = await _reached(way, stage.who(role), all_, seen)
        assert reached.keys() == {(start, name) for start, name in paths if start in seen or not start}
        wrong = {
            (parse_id(start)[0] if start else "Query", name)
            for (start, name), found in reached.items()
            if found != paths[start, name] & seen
        }
        assert not wrong


SHOWN = (
    models.CredentialKind.API_KEY,
    models.CredentialKind.STATIC_TOKEN,
    models.CredentialKind.CHALLENGE_WORKER,
    models.CredentialKind.SPEC_TOKEN,
)
"""Kinds of credentials that are rows for somebody; the others are how people sign in."""


async def test_a_superadmin_sees_every_live_row_that_is_for_any_eyes(stage: Stage, whole: Any) -> None:
    all_, paths = whole
    hidden = sa.select(models.Credential.id).where(models.Credential.kind.not_in(SHOWN))
    inner = {global_id("Credential", row.id) for row in await stage.rendered.services.database.rows(hidden)}
    assert inner
    assert await _visible(stage.rows, stage.who("XA"), all_) == {id for found in all_.values() for id in found} - inner
    for (start, name), found in paths.items():
        if not start:
            assert found == set(all_[_target("Query", name)]) - inner, name


def _target(typename: str, name: str) -> str:
    kind: Any = get_named_type(CORE.get_type(typename).fields[name].type)  # type: ignore[union-attr]
    return str(get_named_type(kind.fields["nodes"].type).name)


@pytest.mark.parametrize("name", sorted(LISTS))
async def test_a_cursor_of_a_hidden_row_leads_to_no_hidden_row(
    stage: Stage, whole: Any, mine: dict[str, set[str]], name: str
) -> None:
    visible = mine["PU"] & set(whole[0][_target("Query", name)])
    all_ = await stage.rendered.ask(f"{{found:{name}(first:100){{edges{{cursor}}}}}}", stage.who("XA"))
    query = f"query($c:String!){{after:{name}(first:100,after:$c){{nodes{{id}}}} before:{name}(last:100,before:$c){{edges{{node{{id}}}}}}}}"
    for way in stage.ways:
        for edge in all_["found"]["edges"][::3]:
            data = await way.ask(query, stage.who("PU"), c=edge["cursor"])
            after = {node["id"] for node in data["after"]["nodes"]}
            before = {edge["node"]["id"] for edge in data["before"]["edges"]}
            assert after | before <= visible
            assert len(visible - (after | before)) <= 1, "only the one that the cursor names is in neither"


FOUND = {
    "simulation": [("id", "Simulation"), ("jobKey", "Job")],
    "job": [("id", "Job"), ("key", "Job")],
    "node": [("id", "Simulation")],
    "myAccess": [("id", "Participant")],
}
"""The fields of the root that find one row, each by an argument that may name a hidden one."""
OF_ONESELF = {
    "viewer",
    "signedIn",
    "loginSessions",
    "myParticipant",
    "myDevice",
    "myService",
    "clusterLogin",
}
ELSEWHERE = {
    "nodes", "challenge", "accessFor", "stats", "preference", "readOnly", "restorable", "signInOptions",
    "inputDifference", "specDifference", "submissionQuota", "assetGrant", "changesSince", "eventGaps", "clientVersions",
    "attention", "form",
}  # fmt: skip
"""Tried above or below, in the matrix, or with what they count; challenges, the lock and the ways to sign in are public."""


ONE = {camel(snake(node.name)): node for node in declarations.NODES.values()}
"""The fields of the root that find one row by its id."""


def test_every_field_of_the_root_is_tried() -> None:
    assert set(QUERY.fields) - set(LISTS) <= set(FOUND) | set(ONE) | OF_ONESELF | ELSEWHERE
    assert set(ONE) <= set(QUERY.fields)


@pytest.mark.parametrize("name", ONE)
async def test_a_row_is_found_by_its_id_or_key_where_its_node_is_seen(stage: Stage, name: str) -> None:
    """What `node` shows to whom is tried with the matrix."""
    keys = [field.graphql_name or camel(field.python_name) for field in ONE[name].fields if _finds(field)]
    typename = ONE[name].name
    rows = {places[kind] for places in (stage.here, stage.there) for kind in places if typename_of(kind) == typename}
    assert rows
    declared = f"query($id:ID!{''.join(f',${key}:String!' for key in keys)})"
    asked = " ".join(f"{key}:{name}({key}:${key}){{id}}" for key in ("id", *keys))
    for row in sorted(rows):
        id = global_id(typename, row)
        shown = f"query($id:ID!){{node(id:$id){{...on {typename}{{id {' '.join(keys)}}}}}}}"
        values = (await stage.rendered.ask(shown, stage.who("XA"), id=id))["node"]
        for role in ROLES:
            for way in stage.both(role):
                query = f"{declared}{{node(id:$id){{id}} {asked}}}"
                found = await way.ask(query, stage.who(role), **(values or {"id": id}))
                assert set(map(str, found.values())) == {str(found["node"])}, role


def _finds(field: Any) -> bool:
    return isinstance(field, Column) and field.lists.found


@pytest.mark.parametrize(("name", "argument", "kind"), [(n, *case) for n, cases in FOUND.items() for case in cases])
async def test_a_hidden_row_is_found_by_no_name(stage: Stage, name: str, argument: str, kind: str) -> None:
    query = f"query($x:{QUERY.fields[name].args[argument].type}){{found:{name}({argument}:$x){{__typename}}}}"
    for way in stage.ways:
        for there in (False, True):
            value = stage.id(kind, there=there)
            if "ey" in argument:
                value = (await way.ask("query($id:ID!){job(id:$id){key}}", stage.who("XA"), id=value))["job"]["key"]
            for role in ("PU", "XA"):
                found = (await way.ask(query, stage.who(role), x=value))["found"]
                assert (found is None) == (there and role == "PU")


async def test_what_tells_of_places_tells_nothing_of_hidden_ones(stage: Stage) -> None:
    stats = "query($x:ID){stats(scope:$x){users participants devices sessions}}"
    for kind in ("Site", "Project"):
        assert await stage.rendered.refused(stats, stage.who("PU"), x=stage.id(kind, there=True)) == ["NOT_FOUND"]
        assert (await stage.rendered.ask(stats, stage.who("XA"), x=stage.id(kind, there=True)))["stats"]["users"] == 0
        query = "query($x:ID!){accessFor(id:$x,first:9){totalCount nodes{role}}}"
        told = (await stage.rendered.ask(query, stage.who("PU"), x=stage.id(kind, there=True)))["accessFor"]
        assert told == {"totalCount": 0, "nodes": []}
    assert (await stage.rendered.ask(stats, stage.who("US"), x=None))["stats"] == {
        "users": len((await stage.all())["User"]), "participants": 0, "devices": 0, "sessions": 0,
    }  # fmt: skip


async def test_others_specs_are_not_found_by_name(stage: Stage) -> None:
    found = await stage.rendered.ask('{spec(name:"hidden"){id}}', stage.who("PU"))
    assert found == {"spec": None}


WATCHED = {
    "submissionUpdated": "Submission",
    "leaderboardUpdated": "Leaderboard",
    "jobUpdated": "Job",
    "jobLog": "Job",
    "partialResults": "Simulation",
    "uploadUpdated": "Upload",
    "sessionUpdated": "Session",
}
"""Subscriptions to one row; of the others `test_watching` has `jobsChanged`, `test_following` has `presence`,
`sessions/test_streams` has `sessionEvents` and `invitations`."""


def test_every_subscription_is_tried() -> None:
    assert CORE.subscription_type is not None
    assert set(CORE.subscription_type.fields) == {
        *WATCHED,
        "jobsChanged",
        "entityChanged",
        "presence",
        "sessionEvents",
        "invitations",
    }


@pytest.mark.parametrize("field", WATCHED)
async def test_a_hidden_row_is_watched_by_nobody(stage: Stage, field: str) -> None:
    query = f"subscription($id:ID!){{{field}(id:$id){{id}}}}"
    id = stage.id(WATCHED[field], there=True)
    for role in ROLES:
        async with stage.rendered.watch(query, stage.who(role), id=id) as answers:
            answer = await anext(answers)
        assert (answer.codes == ["NOT_FOUND"]) != (role == "XA"), role
        assert (answer.body.get("data") is None) == (role != "XA")


@pytest.mark.parametrize("role", ROLES)
async def test_changes_are_told_of_the_rows_that_one_sees(stage: Stage, role: str) -> None:
    known: Any = CORE.type_map["EntityType"]
    models_of = {name: value.value for name, value in known.values.items()}
    typenames = {model.__name__ for model in models_of.values()}
    ids = {
        global_id(typename_of(kind), key)
        for kind, key in (*stage.here.items(), *stage.there.items())
        if typename_of(kind) in typenames
    }
    assert {parse_id(id)[0] for id in ids} == typenames
    who = stage.who(role)
    found = await stage.rendered.ask("query($i:[ID!]!){nodes(ids:$i){id}}", who, i=sorted(ids))
    seen = {node["id"] for node in found["nodes"] if node is not None}
    assert (seen == ids) == (role == "XA")
    query = "subscription($t:[EntityType!]!){entityChanged(types:$t){id node{id}}}"
    async with stage.rendered.watch(query, who, t=sorted(models_of)) as answers:
        assert (await anext(answers)).body["data"] == {"entityChanged": []}
        stage.rendered.services.feed.publish(":".join((name, str(key))) for name, key in map(parse_id, ids))
        told = (await anext(answers)).body["data"]["entityChanged"] if seen else []
    assert {one["id"] for one in told} == seen
    assert all(one["node"] == {"id": one["id"]} for one in told)


# Filters --------------------------------------------------------------------------------------------------------------


def _filters() -> Iterator[tuple[str, Any]]:
    """Of each list of the root: its name, and the fields of its filter."""
    for name in LISTS:
        if (given := QUERY.fields[name].args.get("filter")) is not None:
            yield name, get_named_type(given.type).fields


def _leads(kind: Any) -> Any:
    """The filter of the rows that a field of a filter leads to, or None."""
    named = get_named_type(kind)
    fields = getattr(named, "fields", {})
    return get_named_type(fields["some"].type) if "some" in fields else named if "ids" in fields else None


NOBODY = {("roleGrants", "device"), ("serviceConfigs", "device"), ("users", "specs"), ("clusters", "userGroups")}
NOBODY |= {("sessionMembers", "user"), ("sessionMembers", "device"), ("credentials", "madeBy")}
"""What refers to no row here."""
REFERRING = [
    (name, field, leads.name.removesuffix("Filter"))
    for name, fields in _filters()
    for field, given in fields.items()
    if field not in ("and", "or", "not") and (leads := _leads(given.type)) is not None
]


@pytest.mark.parametrize(("name", "field", "typename"), REFERRING)
async def test_a_filter_by_a_hidden_row_finds_nothing(
    stage: Stage, mine: dict[str, set[str]], name: str, field: str, typename: str
) -> None:
    """And its negation finds the others, of those that one sees."""
    fields = get_named_type(QUERY.fields[name].args["filter"].type).fields
    several = "some" in get_named_type(fields[field].type).fields
    filter_ = get_named_type(QUERY.fields[name].args["filter"].type).name
    query = f"query($f:{filter_},$g:{filter_}){{{_page(name, ',filter:$f')} none:{_page(name, ',filter:$g')}}}"
    ids = {rows[kind] for rows in (stage.here, stage.there) for kind in rows if typename_of(kind) == typename}
    ids |= {stage.world.tom, *stage.added.values()} if typename == "User" else set()
    found = 0
    for id in (global_id(typename, key) for key in sorted(ids)):
        one = {field: {"some": {"ids": [id]}} if several else {"ids": [id]}}
        given = {"f": one, "g": {"not": one}}
        every = set(_ids((await stage.rendered.ask(query, stage.who("XA"), **given))[name]))
        found += len(every)
        for role, visible in mine.items():
            for way in stage.both(role):
                answer = await way.ask(query, stage.who(role), **given)
                seen, others = set(_ids(answer[name])), set(_ids(answer["none"]))
                assert seen <= every & visible
                assert id in visible or not seen
                assert seen | others <= visible
                assert not seen & others
    assert found or (name, field) in NOBODY, "some row refers to some"


TEXTS = [
    (name, [field.key for field in node.fields if isinstance(field, Column) and field.lists.search])
    for name, fields in _filters()
    for node in declarations.NODES.values()
    if "text" in fields and node.name == _target("Query", name)
]
"""Of each list of the root with a text search: its name, and the columns that are searched."""


@pytest.mark.parametrize(
    ("name", "columns"),
    [(name, keys) for name, keys in TEXTS if any(f"{_target('Query', name)}.{camel(key)}" in FIELDS for key in keys)],
)
async def test_a_text_is_found_where_one_may_read_it(stage: Stage, name: str, columns: list[str]) -> None:
    """Of each column that a search compares, some of them guarded: its text finds the row for those who see it there."""
    typename = _target("Query", name)
    names = [camel(column) for column in columns]
    told = f"query($id:ID!){{node(id:$id){{...on {typename}{{{' '.join(names)}}}}}}}"
    values = (await stage.rendered.ask(told, stage.who("XA"), id=stage.id(typename)))["node"]
    filter_ = get_named_type(QUERY.fields[name].args["filter"].type).name
    query = f"query($f:{filter_}){{{_page(name, ',filter:$f')}}}"
    for role in ROLES:
        readable = [n for n in names if role in FIELDS.get(f"{typename}.{n}", " ".join(ROLES)).split()]
        texts = [values[n].lower() for n in readable] if may(typename, role, "R") else []
        for way in stage.both(role):
            for text in values.values():
                found = _ids((await way.ask(query, stage.who(role, typename), f={"text": text.upper()}))[name])
                assert (stage.id(typename) in found) == any(text.lower() in other for other in texts), (role, text)


GUARDED = [
    (node.name, field.graphql_name or camel(field.python_name))
    for node in declarations.NODES.values()
    for field in node.fields
    if isinstance(field, Column) and field.needs and field.lists.filter
]


@pytest.mark.parametrize(("typename", "field"), GUARDED)
async def test_a_condition_on_a_guarded_value_holds_where_one_may_read_it(
    stage: Stage, typename: str, field: str
) -> None:
    """Whatever the value is: null or not, both are told to those who read it, and neither to others."""
    name = next(name for name in LISTS if _target("Query", name) == typename)
    kind = get_named_type(QUERY.fields[name].args["filter"].type)
    comparison: Any = get_named_type(kind.fields[field].type)
    if "isNull" in comparison.fields:
        ways: list[Any] = [{"isNull": True}, {"isNull": False}]
    elif "equals" in comparison.fields:
        ways = [{"equals": True}, {"equals": False}]
    else:
        ways = [{"in": list(get_named_type(comparison.fields["in"].type).values)}]
    query = f"query($f:{kind.name}){{{_page(name, ',filter:$f')}}}"
    readers = FIELDS[f"{typename}.{field}"].split()
    for role in ROLES:
        for way in stage.both(role):
            found: set[str] = set()
            for given in ways:
                answer = await way.ask(query, stage.who(role, typename), f={"ids": [stage.id(typename)], field: given})
                found |= set(_ids(answer[name]))
            assert (stage.id(typename) in found) == (may(typename, role, "R") and role in readers), (role, field)


# Ids in mutations -----------------------------------------------------------------------------------------------------


def _slots(kind: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where an argument takes ids of rows that are to be changed or referred to; a filter finds those that one sees."""
    while isinstance(kind, GraphQLNonNull | GraphQLList):
        kind = kind.of_type
    if kind.name.endswith("Filter"):
        return
    if kind.name == "ID":
        yield path
    for name, field in getattr(kind, "fields", {}).items():
        yield from _slots(field.type, (*path, name))


TAKING = {
    name: [slot for argument, given in field.args.items() for slot in _slots(given.type, (argument,))]
    for name, field in MUTATION.fields.items()
}


CHANGING_NOTHING = {"createDownload", "createExport"}
"""Mutations that are run while the gateway is locked."""


def _given(name: str, slot: tuple[str, ...] = ("",)) -> tuple[str, Mapping[str, Any]] | None:
    """Who may run a mutation, and with which ids, of which one stands in a place."""
    if (own := ARGUMENTS.get(f"{name}({slot[0]})", ARGUMENTS.get(name))) is not None:
        return own
    for letter in "CUDB":
        needed = {"C": NEW, "U": CHANGES}.get(letter, MATRIX)
        kinds = [kind for kind in known(list(needed)) if mutation_of(kind, letter) == name]
        if not kinds:
            continue
        if letter == "C":
            merged = {field: value for kind in kinds for field, value in NEW[kind].items()}
            given = merged | MORE_IDS.get(name, {})
            return "SA", {"input": given} if "input" in MUTATION.fields[name].args else given
        kind = kinds[0]
        return "SA", {"id": Ref(kind)} | ({"expectedVersion": 1, "input": CHANGES[kind]} if letter == "U" else {})
    return None


def _swapped(given: Any, slot: tuple[str, ...]) -> Ref | None:
    """The id that stands in a place."""
    for name in slot:
        given = given[0] if isinstance(given, list) else given
        given = given.get(name) if isinstance(given, Mapping) else None
    return next(refs(given), None)


CASES = [
    pytest.param(name, slot, id=f"{name}-{'.'.join(slot)}")
    for name, slots in TAKING.items()
    for slot in slots
    if name not in NOTHING_HIDDEN and f"{name}({slot[0]})" not in NOTHING_HIDDEN
]


@pytest.mark.parametrize(("name", "slot"), CASES)
async def test_the_id_of_a_hidden_row_is_not_found_by_a_mutation(
    stage: Stage, name: str, slot: tuple[str, ...]
) -> None:
    assert _given(name, slot) is not None, "a mutation takes ids: name them in tests/support/matrix.py"
    role, given = _given(name, slot)  # type: ignore[misc]
    ref = _swapped(given, slot)
    assert ref is not None, "a mutation takes another id: give it in tests/support/matrix.py"
    if ref.kind not in MATRIX:  # a stranger is hidden from services
        values, role = stage.given(given), "SV"
    elif ref.kind in stage.there:
        values = _placed(stage, given, slot, ref)
    elif ref.kind == "User":
        pytest.skip("every user sees every user")
    else:  # what all see who have a part in a place is hidden from those who have none
        values, role = stage.given(given), "US"
    if "expectedVersion" in values:
        values["expectedVersion"] = await stage.version(values["id"])
    with stage.changes() as changed:
        done, errors = await stage.run(stage.who(role), name, **values)
    assert not errors
    assert done.get("code") == "NOT_FOUND", done
    assert (
        role == "US"
        or done["field"] is None
        or [part for part in done["field"].split(".") if not part.isdigit()][len(slot) - 1] == slot[-1]
    )
    assert not changed


def _inner(values: Any, slot: tuple[str, ...]) -> Any:
    """What holds the id of a place: of a list of objects, the first one."""
    for name in slot[:-1]:
        values = values[name]
        values = values[0] if isinstance(values, list) else values
    return values


def _placed(stage: Stage, given: Any, slot: tuple[str, ...], ref: Ref) -> Any:
    """The arguments with the id of the row there in one place, else ids of rows here; a change of nothing else."""
    values = stage.given(given)
    if "expectedVersion" in values and len(slot) > 1:
        values["input"] = {slot[1]: values["input"][slot[1]]}
    inner = _inner(values, slot)
    hidden = stage.id(ref.kind, there=True)
    inner[slot[-1]] = [hidden] if isinstance(inner[slot[-1]], list) else hidden
    return values


WALKED = [pytest.param(n, slot, id=f"{n}-{'.'.join(slot)}") for n in TAKING for slot in TAKING[n] if _given(n)]
LOOKING = ("US", "PU", "PA", "SA", "DV", "SV")
"""The roles on PostgreSQL; the clauses of the others are tried on SQLite."""


@pytest.mark.parametrize(("name", "slot"), WALKED)
async def test_a_mutation_does_not_tell_a_hidden_row_from_none(stage: Stage, name: str, slot: tuple[str, ...]) -> None:
    """To whoever does not see it: by the same code, sentence and statements."""
    _, given = _given(name, slot)  # type: ignore[misc]
    ref = _swapped(given, slot)
    assert ref is not None
    elsewhere = ref.kind in stage.there
    values = _placed(stage, given, slot, ref) if elsewhere else stage.given(given)
    if "expectedVersion" in values:
        values["expectedVersion"] = await stage.version(values["id"])
    hidden, absent = [stage.id(ref.kind, there=elsewhere)], global_id(typename_of(ref.kind), uuid7())
    if name.startswith("restore"):
        hidden.append(await stage.fresh(ref.kind, there=elsewhere, deleted=True))

    async def said(who: Principal, id: str) -> tuple[str, list[str]]:
        inner = _inner(values, slot)
        inner[slot[-1]] = [id] if isinstance(inner[slot[-1]], list) else id
        told = await stage.run(who, name, **values)
        return orjson.dumps(told).decode().replace(id, "ID"), stage.rendered.counted.texts

    for role in ROLES if stage.sqlite else LOOKING:
        who = stage.who(role, ref.kind)
        if typename_of(ref.kind) == "User":  # each sees a card of each
            hides = who.kind is not Kind.USER and not (ref.kind in MATRIX and may(ref.kind, role, "R"))
        else:
            hides = role != "XA" and (elsewhere or not may(ref.kind, role, "R"))
        for id in hidden if hides else ():
            assert await said(who, id) == await said(who, absent), role


REPR = re.compile(r"(True|False|None)|[A-Za-z_]+\.[A-Z][A-Z_]*|<.*>|UUID\(.*\)|.*::.*")
"""What Python makes of a value that is no text."""


def _details(value: Any) -> Iterator[Any]:
    """What is within a detail: names of objects, and values."""
    if isinstance(value, dict):
        for name, one in value.items():
            assert re.fullmatch(r"[a-z]+([A-Z][a-z]*)*", name), name
            yield from _details(one)
    elif isinstance(value, list):
        for one in value:
            yield from _details(one)
    else:
        yield value


@pytest.mark.both
async def test_the_record_has_the_names_and_values_of_the_api(platform: Platform) -> None:
    async with platform.services.database.write(as_system="test") as session:
        here, there, added = await settle(session, platform.world)
    people = {
        name: await platform.principal(name)
        for name in PEOPLE.values()
        if name not in (None, "link", "external", "token", *added)
    }
    people |= {name: await principal_as(platform.services, key) for name, key in added.items()}
    stage = Stage(platform, platform, here, there, added, people)  # type: ignore[arg-type]
    for name in sorted(MUTATION.fields, key=lambda one: one.startswith("delete")):
        if (found := _given(name)) is not None:
            role, values = found[0], stage.given(found[1])
            if "expectedVersion" in values:
                values["expectedVersion"] = await stage.version(values["id"])
            for who in (role, "XA", "PU"):
                await stage.run(stage.who(who), name, **values)
    user, version = await stage.fresh("User"), 1
    for change in ({"active": False}, {"active": True}, {"platformRole": "MANAGER", "superadmin": True}):
        await stage.run(stage.who("XA"), "updateUser", id=user, expectedVersion=version, input=change)
        version += 1
    await stage.run(stage.who("XA"), "createUser", input={"username": "fresh", "platformRole": "CONTRIBUTOR"})
    rows = await platform.services.database.rows(
        sa.select(models.AuditEvent.action, models.AuditEvent.entity_id, models.AuditEvent.detail)
    )
    assert len({row.action for row in rows}) > 15
    for row in rows:
        for value in _details(row.detail):
            assert not isinstance(value, str) or not REPR.fullmatch(value), (row.action, row.detail)
    told = [(row.action, row.detail) for row in rows if row.entity_id == parse_id(user)[1]]
    assert told == [
        ("DEACTIVATE", None),
        ("ACTIVATE", None),
        ("CHANGE_ROLE", {"platformRole": "MANAGER", "superadmin": True}),
    ]
    assert {"platformRole": "CONTRIBUTOR", "superadmin": False} in [row.detail for row in rows]


async def test_check_18_while_the_gateway_is_locked_it_is_read_and_nothing_changes(platform: Platform) -> None:
    async with platform.services.database.write(as_system="test") as session:
        here, there, added = await settle(session, platform.world)
    stage = Stage(platform, platform, here, there, added, {"root": await platform.principal("root")})
    root = stage.who("XA")
    assert (await stage.run(root, "setReadOnly", readOnly=True))[0]["__typename"] == "Lock"
    tried = 0
    with stage.changes() as changed:
        for name in MUTATION.fields:
            if (found := _given(name)) is not None and name not in CHANGING_NOTHING:
                done, _ = await stage.run(root, name, **stage.given(found[1]))
                assert done.get("code") == "LOCKED", name
                tried += 1
    assert tried > 40
    assert (await platform.ask("{sites(first:9){totalCount}}", root))["sites"] == {"totalCount": 2}
    assert not changed
    assert (await stage.run(root, "setReadOnly", readOnly=False))[0]["__typename"] == "Lock"
    assert (await stage.run(root, "createSite", input={"name": "x"}))[0]["__typename"] == "Site"


# Guards ---------------------------------------------------------------------------------------------------------------


async def test_a_value_that_may_not_be_seen_never_leaves_the_database(stage: Stage) -> None:
    needs = next(d.needs for kind, name, _, d in declared_fields(CORE) if (kind.name, name) == ("User", "email"))
    selection = Selection(models.User, ("email",), (("email", needs),))
    for role, seen in (("OW", True), ("PA", True), ("US", False), ("MG", False)):
        loaders = Loaders(stage.rendered.services.database, stage.who(role, "User"), lambda _: None)
        row = await loaders.one(selection, stage.here["User"])
        assert row is not None
        assert (row.may_email, row.email) == ((True, "uma@torana.example") if seen else (False, None))


async def test_guards_cost_no_statement(stage: Stage) -> None:
    await stage.rendered.answer("{users(first:9){nodes{username email notes active}}}", stage.who("PU"))
    assert stage.rendered.counted.statements == 1


def test_every_table_that_has_no_type_is_known_to_be_internal() -> None:
    shown = {model_of(CORE.get_type(name)).__tablename__ for name in NODES}  # type: ignore[union-attr]
    internal = {
        "attempts",
        "blobs",
        "task_results",
        "task_slabs",
        "page_slabs",
        "server_settings",
        "leaderboard_requests",
    }
    links = {policy.model.__tablename__ for policy in policies() if policy.link_of is not None}
    assert set(Base.metadata.tables) - shown == internal | links


# What is deleted ------------------------------------------------------------------------------------------------------


async def test_what_is_deleted_is_gone_with_what_hangs_on_it(platform: Platform) -> None:
    world = platform.world
    async with platform.services.database.write(as_system="test") as session:
        events = await session.scalars(
            sa.select(models.SessionEvent.id).where(models.SessionEvent.session_id == world.sessions[0])
        )
        ids = [global_id("Session", world.sessions[0]), *(global_id("SessionEvent", key) for key in events)]
        for model in (models.Session, models.Simulation, models.Job):
            await session.execute(sa.update(model).values(deleted_at=model.created_at))
    ids += [
        world.id(t, n) for t, n in (("Simulation", "simulation"), ("Job", "job"), ("Task", "task"), ("Page", "page"))
    ]
    for who in ("tom", "root"):
        found = await platform.ask("query($ids:[ID!]!){nodes(ids:$ids){id}}", who, ids=ids)
        assert found["nodes"] == [None] * len(ids)


@pytest.mark.parametrize("model", [models.Project, models.Site, models.UserGroup, models.RoleGrant])
async def test_where_a_role_comes_from_what_is_deleted_it_gives_nothing(platform: Platform, model: Any) -> None:
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(model).values(deleted_at=model.created_at))
    lists = ["projects", "sites", "participants", "devices", "sessions"]
    found = await platform.ask(f"{{{' '.join(f'{name}(first:9){{totalCount}}' for name in lists)}}}", "tom")
    assert found == {name: {"totalCount": 0} for name in lists}
