"""The access matrix and the table of fields, each letter tried: what it allows succeeds, all else is refused and changes
nothing.
"""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from graphql import get_named_type, is_leaf_type

from db import models
from resolvers.access import roles
from resolvers.failures import NotFound, Unauthenticated
from resolvers.identity.lookup import principal_named, principal_of
from resolvers.identity.principal import Kind
from resolvers.identity.tokens import Session as Presented
from resolvers.identity.tokens import digest_of
from resolvers.spelling import global_id
from schema import Schema
from schema.fields.checks import declared_fields
from schema.fields.declarations import Column, Computed, Connected, Part
from schema.fields.selection import model_of
from tests.support.databases import BACKENDS, Prepared
from tests.support.matrix import (
    CHANGES,
    CORE,
    FIELDS,
    HARMLESS,
    MATRIX,
    NEVER,
    NEW,
    NEW_BY,
    NODES,
    OPEN,
    ROLES,
    Stage,
    fields_of,
    known,
    may,
    may_write,
    mutate,
    mutation_of,
    refs,
    sees,
    staged_on,
    typename_of,
)
from tests.support.platforms import Platform, principal_as
from tests.support.recording import out_of_order

pytestmark = pytest.mark.slow

KINDS = known(list(MATRIX))
OUTSIDE = {
    "AN": "UNAUTHENTICATED",
    "LK": "UNAUTHENTICATED",
    "PT": "FORBIDDEN",
    "PL": "FORBIDDEN",
    "CW": "FORBIDDEN",
    "TK": "UNAUTHENTICATED",
}
"""No mutation of rows is for them; what they are told."""
MUTATION: Any = CORE.mutation_type
LISTS = [n for kind, n, _, d in declared_fields(CORE) if kind.name == "Query" and isinstance(d, Connected)]


@pytest.fixture(scope="module", params=BACKENDS)
async def stage(
    request: pytest.FixtureRequest, prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """Tests that write do so to rows of their own, or so that others find what they look for. Whatever they write locks
    rows in the one order."""
    async with staged_on(prepared, request.param, schema, tmp_path_factory.mktemp("data")) as made:
        with ExitStack() as stack:
            found = [stack.enter_context(out_of_order(one.services.database)) for one in made.ways]
            yield made
        assert not any(found), "\n".join(sorted({line for lines in found for line in lines}))


# Nothing is left out --------------------------------------------------------------------------------------------------


def test_every_type_of_node_is_in_the_matrix() -> None:
    assert {typename_of(kind) for kind in MATRIX} >= set(NODES)


def test_every_common_mutation_is_in_the_matrix() -> None:
    tried = {
        mutation_of(kind, letter) for kind in KINDS for letter in "CUDB" if letter in "".join(MATRIX[kind].values())
    }
    common = {f"{verb}{typename}" for verb in ("create", "update", "delete", "restore") for typename in NODES}
    assert common & set(MUTATION.fields) <= tried


def test_something_is_given_for_every_field_that_can_be_changed() -> None:
    for kind, values in CHANGES.items():
        if typename_of(kind) in NODES and (name := mutation_of(kind, "U")) is not None:
            assert set(get_named_type(MUTATION.fields[name].args["input"].type).fields) == set(values), kind


def test_every_field_is_guarded_as_the_table_says_or_is_said_to_be_open() -> None:
    assert {f"{typename}.{name}" for typename in NODES for name in fields_of(typename)} == set(FIELDS)
    common = {"id", "createdAt", "updatedAt", "version"}
    for typename in NODES:
        fields = set(CORE.get_type(typename).fields) - common  # type: ignore[union-attr]
        assert fields - set(fields_of(typename)) == set(OPEN[typename].split()), typename
    assert set(OPEN) == set(NODES)


def test_a_role_changes_fields_just_where_the_matrix_has_a_letter_for_it() -> None:
    for kind, values in CHANGES.items():
        for role in ROLES:
            assert any(may_write(kind, role, field) for field in values) == may(kind, role, "U"), (kind, role)


# Reading --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_a_row_is_read_by_whom_the_matrix_allows(stage: Stage, kind: str) -> None:
    query = f"query($id:ID!){{node(id:$id){{...on {typename_of(kind)}{{id}}}}}}"
    for there in (False, True) if kind in stage.there else (False,):
        id = stage.id(kind, there=there)
        for role in ROLES:
            seen = role == "XA" if there else may(kind, role, "R")
            for way in stage.both(role):
                found = await way.ask(query, stage.who(role, kind), id=id)
                assert found["node"] == ({"id": id} if seen else None), (role, "there" if there else "here")


MY_FIELDS = "query($id:ID!){myAccess(id:$id){readableFields}}"
GUARDED = [typename for typename in NODES if fields_of(typename)]


@pytest.mark.parametrize("typename", GUARDED)
async def test_a_guarded_field_is_read_by_whom_the_table_allows(stage: Stage, typename: str) -> None:
    names = fields_of(typename)
    query = f"query($id:ID!){{node(id:$id){{id ...on {typename}{{{' '.join(names)}}}}}}}"
    async with stage.filled():
        for role in ROLES:
            allowed = {name for name in names if role in FIELDS[f"{typename}.{name}"].split()}
            for way in stage.both(role) if may(typename, role, "R") else ():
                answer = await way.answer(query, stage.who(role, typename), id=stage.id(typename))
                row = answer.body["data"]["node"]
                assert row.pop("id"), "its siblings stay"
                assert {name for name, value in row.items() if value is not None} == allowed, role
                errors = answer.body.get("errors", [])
                assert {error["extensions"]["code"] for error in errors} <= {"FORBIDDEN"}
                assert sorted(error["path"] for error in errors) == sorted(
                    ["node", name] for name in set(names) - allowed
                )
                told = await way.answer(MY_FIELDS, stage.who(role, typename), id=stage.id(typename))
                if told.codes == ["UNAUTHENTICATED"]:
                    assert role in ("AN", "WK"), role
                else:
                    assert set(names) & set(told.body["data"]["myAccess"]["readableFields"]) == allowed, role


@pytest.mark.parametrize("role", [role for role in ROLES if may("Job", role, "R")])
async def test_why_a_job_failed_is_a_code_for_who_does_not_own_it(stage: Stage, role: str) -> None:
    query = "query($id:ID!){job(id:$id){error{code message}}}"
    for way in stage.ways:
        data = await way.ask(query, stage.who(role), id=stage.id("Job"))
        message = "x" if role in ("OW", "XA") else None
        assert data["job"]["error"] == {"code": "PROGRAM_FAILED", "message": message}


def test_check_19_no_field_of_a_node_holds_what_is_never_shown() -> None:
    for kind, name, _, declared in declared_fields(CORE):
        model: Any = model_of(kind)
        if model is None:
            continue
        columns = [*getattr(declared, "reads", ()), *getattr(declared, "names", {}).values()]
        if isinstance(declared, Column | Computed | Part):
            columns.append(getattr(declared, "key", name))
        for text in (name, *columns):
            told = text.lower().replace("_", "")
            assert f"{kind.name}.{name}" in HARMLESS or not any(part in told for part in NEVER), f"{kind.name}.{text}"


# Writing --------------------------------------------------------------------------------------------------------------


def _kinds(letter: str) -> list[str]:
    """Those that somebody may do it to, by a mutation."""
    return [
        kind
        for kind in KINDS
        if mutation_of(kind, letter) is not None and any(letter in letters for letters in MATRIX[kind].values())
    ]


def _refusal(kind: str, role: str, *needed: str) -> set[str]:
    """The codes for one who may not: a row that one does not see is not found."""
    if typename_of(kind) == "Session" and role in ("PT", "PL"):  # who make sessions, and change their own
        return {"FORBIDDEN", "NOT_FOUND"}
    if typename_of(kind) == "Upload" and role in ("PT", "PL"):  # who bring assets
        return {"FORBIDDEN", "NOT_FOUND"}
    if role in OUTSIDE:
        return {OUTSIDE[role]}
    hidden = any(other in MATRIX and not sees(role, kind, other) for other in needed)
    codes = {"NOT_FOUND" if hidden else "FORBIDDEN"}
    # what is a user's own is written by users only
    of_users = kind in (
        "Registration",
        "Team",
        "Submission",
        "Simulation",
        "SimulationLink",
        "Job",
        "Job/archive",
        "Archive",
        "Upload",
        "Preference",
        "Job/evaluation",
        "Job/package",
        "Spec",
        "SpecVersion",
    )
    return codes | {"FORBIDDEN"} if role in ("DV", "SV") and of_users else codes


@pytest.mark.parametrize("kind", _kinds("C"))
async def test_a_row_is_made_by_whom_the_matrix_allows(stage: Stage, kind: str) -> None:
    for role in sorted(ROLES, key=lambda role: may(kind, role, "C")):
        values = NEW_BY.get((kind, role), NEW[kind])
        given = stage.given(values)
        if typename_of(kind) == "RoleGrant" and may(kind, role, "C"):  # what is held already stays
            given["grantee"] = await stage.fresh("ParticipantGroup")
        code, changed = await _tried(stage, kind, role, "C", given)
        assert changed == may(kind, role, "C"), role
        assert code in ([None] if changed else _refusal(kind, role, *(ref.kind for ref in refs(values)))), role


async def _tried(stage: Stage, kind: str, role: str, letter: str, given: Any) -> tuple[str | None, bool]:
    """The code that a mutation was refused with, and whether anything changed."""
    name = mutation_of(kind, letter)
    assert name is not None
    if letter == "C" and "input" in MUTATION.fields[name].args:
        given = {"input": given}
    who = await stage.now(role, kind)
    with stage.changes() as changed:
        code = await stage.written(who, name, **given)
    return code, bool(changed)


@pytest.mark.parametrize("kind", _kinds("U"))
async def test_a_field_is_changed_by_whom_the_matrix_allows(stage: Stage, kind: str) -> None:
    """Each field alone; all at once of a row that one does not see."""
    name, id, values = mutation_of(kind, "U"), stage.id(kind), CHANGES[kind]
    assert name is not None
    for role in ROLES:
        who = await stage.now(role, kind)

        async def change(part: Any, who: Any = who) -> str | None:
            given = {"id": id, "expectedVersion": await stage.version(id), "input": stage.given(part)}
            return await stage.written(who, name, **given)

        if not sees(role, kind, kind):
            with stage.changes() as changed:
                assert await change(values) in _refusal(kind, role, kind), role
            assert not changed, role
            continue
        refused = [field for field in values if not may_write(kind, role, field)]
        hidden = [field for field in values if not all(sees(role, kind, ref.kind) for ref in refs(values[field]))]
        with stage.changes() as changed:
            for field in refused + hidden:
                codes = _refusal(kind, role, kind) if field in refused else {"NOT_FOUND"}
                assert await change({field: values[field]}) in codes, (role, field)
        assert not changed, role
        for field in set(values) - {*refused, *hidden}:
            assert await change({field: values[field]}) is None, (role, field)


@pytest.mark.parametrize("kind", _kinds("D"))
async def test_a_row_is_deleted_by_whom_the_matrix_allows(stage: Stage, kind: str) -> None:
    for role in ROLES:
        id = await stage.fresh(kind) if may(kind, role, "D") else stage.id(kind)
        code, changed = await _tried(stage, kind, role, "D", {"id": id})
        assert changed == may(kind, role, "D"), role
        assert code in ([None] if changed else _refusal(kind, role, kind)), role
        if changed and typename_of(kind) != "Credential":  # which stays, revoked
            found = await stage.rows.ask("query($id:ID!){node(id:$id){id}}", stage.who("XA"), id=id)
            assert found == {"node": None}


@pytest.mark.parametrize("kind", _kinds("B"))
async def test_a_deleted_row_is_brought_back_by_whom_the_matrix_allows(stage: Stage, kind: str) -> None:
    gone = await stage.fresh(kind, deleted=True)
    for role in ROLES:
        id = await stage.fresh(kind, deleted=True) if may(kind, role, "B") else gone
        code, changed = await _tried(stage, kind, role, "B", {"id": id})
        assert changed == may(kind, role, "B"), role
        assert code == (None if changed else OUTSIDE.get(role, "NOT_FOUND")), role
        if changed:
            found = await stage.rows.ask("query($id:ID!){node(id:$id){id}}", stage.who("XA"), id=id)
            assert found == {"node": {"id": id}}


@pytest.mark.parametrize(("letter", "kind"), [(letter, kind) for letter in "CUDB" for kind in _kinds(letter)])
async def test_what_may_be_done_here_may_not_be_done_there(stage: Stage, letter: str, kind: str) -> None:
    gone = ""
    for role in ROLES:
        values = NEW_BY.get((kind, role), NEW.get(kind))
        placed = kind in stage.there if letter == "U" else kind != "User" or letter == "C"
        if letter == "C":
            placed = any(ref.kind in stage.there for ref in refs(values))
        if role == "XA" or not may(kind, role, letter) or not placed:  # nothing of this kind is hidden
            continue
        if letter == "C":
            given = stage.given(values, there=set(stage.there))
        elif letter == "U":
            id = stage.id(kind, there=True)
            given = {"id": id, "expectedVersion": await stage.version(id), "input": stage.given(CHANGES[kind])}
        else:
            gone = gone or await stage.fresh(kind, there=True, deleted=letter == "B")
            given = {"id": gone}
        assert await _tried(stage, kind, role, letter, given) == ("NOT_FOUND", False), role


# What a mutation shows ------------------------------------------------------------------------------------------------

WRITERS = [
    pytest.param(kind, role, letter, id=f"{kind}-{role}-{letter}")
    for kind in known(list(NEW))
    if fields_of(typename_of(kind)) and typename_of(kind) == kind
    for letter in "CU"
    if mutation_of(kind, letter) is not None
    for role in ROLES
    if may(kind, role, letter)
]


@pytest.mark.parametrize(("kind", "role", "letter"), WRITERS)
async def test_a_mutation_shows_what_its_principal_may_see_of_what_it_wrote(
    stage: Stage, kind: str, role: str, letter: str
) -> None:
    name, names = mutation_of(kind, letter), fields_of(kind)
    assert name is not None
    if letter == "C":
        given = {"input": stage.given(NEW_BY.get((kind, role), NEW[kind]))}
    else:
        field = {
            "Device": "config",
            "Challenge": "title",
            "Leaderboard": "title",
            "User": "platformRole" if role == "MG" else "notes",
        }.get(kind, "name")
        change = stage.given({field: CHANGES[kind][field]})
        given = {"id": stage.id(kind), "expectedVersion": await stage.version(stage.id(kind)), "input": change}
    done, errors = await stage.run(stage.who(role), name, f"...on {kind}{{id {' '.join(names)}}}", **given)
    assert done["__typename"] == kind, done
    assert {error["extensions"]["code"] for error in errors} <= {"FORBIDDEN"}
    denied = {field for field in names if role not in FIELDS[f"{kind}.{field}"].split()}
    assert {tuple(error["path"]) for error in errors} == {("done", field) for field in denied}
    assert all(done[field] is None for field in denied)


# What shows that the map was followed, 6.12 ---------------------------------------------------------------------------

REQUIRED = {
    "node": {"id": "Site"}, "myAccess": {"id": "Site"}, "accessFor": {"id": "Site"}, "stats": {"scope": "Site"},
    "submissionQuota": {"phase": "Phase"}, "eventGaps": {"device": "Device"}, "attention": {"scope": "Site"},
    "inputDifference": {"simulation": "Simulation", "other": "Simulation"},
    "specDifference": {"version": "SpecVersion", "other": "SpecVersion"},
    **{typename_of(kind)[0].lower() + typename_of(kind)[1:]: {"id": kind} for kind in MATRIX},
}  # fmt: skip
PUBLIC = {
    "challenges", "leaderboards", "leaderboardEntries", "challenge", "leaderboard", "leaderboardEntry",
    "file", "files", "phase", "phases", "leaderboardBuild", "leaderboardBuilds",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CORE.query_type.fields))  # type: ignore[union-attr]
async def test_check_1_anonymous_reads_challenges_and_leaderboards_and_nothing_else(stage: Stage, name: str) -> None:
    field: Any = CORE.query_type.fields[name]  # type: ignore[union-attr]
    given: dict[str, Any] = {argument: stage.id(kind) for argument, kind in REQUIRED.get(name, {}).items()}
    said: dict[str, dict[str, Any]] = {
        "restorable": {"type": "SITE"}, "assetGrant": {"token": "x"}, "changesSince": {"types": ["SESSION"]}, "form": {"input": "NewSite"},
    }  # fmt: skip
    given |= said.get(name, {})
    given |= {"ids": [stage.id("Site"), stage.id("Simulation")]} if name == "nodes" else {}
    given |= {"first": 9} if "first" in field.args else {}
    kind: Any = get_named_type(field.type)
    selected = "" if is_leaf_type(kind) else "{totalCount}" if "totalCount" in kind.fields else "{__typename}"
    declared, passed = (
        ",".join(each(n) for n in given) for each in (lambda n: f"${n}:{field.args[n].type}", lambda n: f"{n}:${n}")
    )
    query = f"query{f'({declared})' if given else ''}{{found:{name}{f'({passed})' if given else ''}{selected}}}"
    for way in stage.ways:
        answer = await way.answer(query, None, **given)
        found = (answer.body.get("data") or {}).get("found")
        if name in PUBLIC:
            assert found is not None
            assert found.get("totalCount", 1) >= 1
        else:
            assert set(answer.codes) <= {"UNAUTHENTICATED", "NOT_FOUND"}
            assert found in (None, [], [None, None], {"totalCount": 0}) or name in (
                "signedIn",
                "clientVersions",
                "changesSince",
                "form",
                "signInOptions",
                "readOnly",
            ), found


@pytest.mark.parametrize("who", ["unverified", "inactive"])
async def test_check_2_who_is_not_verified_or_not_active_reads_what_is_public(stage: Stage, who: str) -> None:
    database = stage.rendered.services.database
    async with database.write(as_system="test") as session:
        user = models.User(
            username=f"{who}-{database.dialect}", email=f"{who}@torana.example", email_verified=who != "unverified"
        )
        session.add(user)
        await session.flush()
        await roles.enrol(session, await session.get_one(models.Project, stage.world.shared), user.id, admin=True)
    principal = await principal_as(stage.rendered.services, user.id)
    if who == "inactive":
        async with database.write(as_system="test") as session:
            await session.execute(sa.update(models.User).where(models.User.id == user.id).values(active=False))
        with pytest.raises(NotFound):
            await principal_named(database, user.username)
        with pytest.raises(Unauthenticated):
            await principal_of(database, Presented(Kind.USER, user.id, principal.session, None))  # type: ignore[arg-type]
        return
    for name in LISTS:
        found = (await stage.rows.ask(f"{{found:{name}(first:9){{totalCount}}}}", principal))["found"]
        assert (found["totalCount"] > 0) == (name in (*PUBLIC, "users")), name  # of users themself
    assert (await stage.rows.ask("{users(first:9){nodes{username}}}", principal))["users"]["nodes"] == [{"username": user.username}]  # fmt: skip
    for kind in ("Participant", "ParticipantGroup", "User"):
        code = await stage.written(principal, f"create{kind}", input=stage.given(NEW[kind]))
        assert code == "FORBIDDEN"


@pytest.mark.parametrize("kind", known(["Spec", "SpecVersion", "Credential/user", "Simulation", "SimulationSetup", "LogEntry", "Job"]))  # fmt: skip
async def test_check_3_a_user_does_not_read_what_is_another_s(stage: Stage, kind: str) -> None:
    for way in stage.ways:
        found = await way.ask("query($id:ID!){node(id:$id){id}}", stage.who("US"), id=stage.id(kind))
        assert found == {"node": None}


async def test_check_4_a_project_user_sees_a_participant_s_name_and_not_the_address(stage: Stage) -> None:
    query = "query($id:ID!){node(id:$id){...on Participant{name email username}}}"
    id = global_id("Participant", stage.world.here.idle)
    for way in stage.ways:
        answer = await way.answer(query, stage.who("PU"), id=id)
        assert answer.body["data"]["node"] == {"name": "P-02", "email": None, "username": None}
        assert answer.codes == ["FORBIDDEN"]
        full = await way.ask(query, stage.who("PA"), id=id)
        assert full["node"] == {"name": "P-02", "email": "p02@example.org", "username": None}


async def test_check_4_nobody_reads_a_token_after_it_was_made(stage: Stage) -> None:
    done, _ = await stage.run(
        stage.who("PA"),
        "createParticipantToken",
        "...on IssuedCredential{secret}",
        participant=stage.id("Participant"),
    )
    secret = done["secret"]
    fields: Any = CORE.get_type("Credential")
    plain = [name for name, field in fields.fields.items() if is_leaf_type(get_named_type(field.type))]
    for role in ("PA", "SA", "XA"):
        answer = await stage.rows.answer(f"{{credentials(first:50){{nodes{{{' '.join(plain)}}}}}}}", stage.who(role))
        told = orjson.dumps(answer.body).decode()
        assert answer.body["data"]["credentials"]["nodes"]
        assert secret not in told
        assert digest_of(secret) not in told


async def test_check_5_of_several_groups_the_higher_role_counts(platform: Platform) -> None:
    world = platform.world
    async with platform.services.database.write(as_system="test") as session:
        project = await session.get_one(models.Project, world.shared)
        await roles.enrol(session, project, world.eve)
        await roles.enrol(session, project, world.eve, admin=True)
    principal = await platform.principal("eve")
    assert principal.projects == {world.shared: True}
    assert principal.sites == {world.site: False}
    done, _ = await mutate(platform, principal, "createParticipantGroup", input={"name": "x", "project": world.id("Project", "shared")})  # fmt: skip
    assert done["__typename"] == "ParticipantGroup"


async def test_check_5_who_administers_a_site_administers_its_projects_and_no_others(platform: Platform) -> None:
    world = platform.world
    async with platform.services.database.write(as_system="test") as session:
        second = models.Project(site_id=world.site, name="Second")
        session.add(second)
    principal = await platform.principal("sita")
    assert principal.projects == {world.shared: True, second.id: True}
    assert principal.sites == {world.site: True}


@pytest.mark.parametrize("kind", [kind for kind in CHANGES if kind in KINDS])
async def test_check_7_a_stale_version_changes_nothing(stage: Stage, kind: str) -> None:
    id, name = stage.id(kind), mutation_of(kind, "U")
    assert name is not None
    version = await stage.version(id)
    with stage.changes() as changed:
        for stale in (version - 1, version + 1):
            change = stage.given(dict([next(iter(CHANGES[kind].items()))]))
            code = await stage.written(stage.who("XA"), name, id=id, expectedVersion=stale, input=change)
            assert code == "CONFLICT"
    assert not changed


async def test_check_8_a_deleted_session_is_gone_with_its_events_and_comes_back_with_them(platform: Platform) -> None:
    """But without the event that was deleted before."""
    world, m = platform.world, models
    id = global_id("Session", world.sessions[0])
    async with platform.services.database.write(as_system="test") as session:
        of_it = sa.select(m.SessionEvent).where(m.SessionEvent.session_id == world.sessions[0])
        gone, kept = (await session.scalars(of_it.order_by(m.SessionEvent.id))).all()
        member = (
            await session.scalars(sa.select(m.SessionMember.id).where(m.SessionMember.session_id == world.sessions[0]))
        ).one()
        gone.deleted_at = gone.created_at
    ids = [
        id,
        global_id("SessionEvent", kept.id),
        global_id("SessionMember", member),
        global_id("SessionEvent", gone.id),
    ]
    query = "query($ids:[ID!]!){nodes(ids:$ids){id} sessions(first:9){nodes{id events(first:9){nodes{id}}}}}"

    async def seen() -> tuple[list[bool], list[Any]]:
        data = await platform.ask(query, "maria", ids=ids)
        return [node is not None for node in data["nodes"]], data["sessions"]["nodes"]

    assert await seen() == ([True, True, True, False], [{"id": id, "events": {"nodes": [{"id": ids[1]}]}}])
    assert (await mutate(platform, "maria", "deleteSession", id=id))[0]["__typename"] == "Deleted"
    assert await seen() == ([False] * 4, [])
    assert (await mutate(platform, "root", "restoreSession", id=id))[0]["__typename"] == "Session"
    assert await seen() == ([True, True, True, False], [{"id": id, "events": {"nodes": [{"id": ids[1]}]}}])


async def test_check_9_a_participant_with_sessions_is_not_deleted(stage: Stage) -> None:
    selected = "...on Problem{details}"
    with stage.changes() as changed:
        done, _ = await stage.run(stage.who("PA"), "deleteParticipant", selected, id=stage.id("Participant"))
    assert done["code"] == "DEPENDENCY"
    member, held, key = models.SessionMember, models.Session, stage.here["Participant"]
    within = sa.select(member.session_id).where(member.participant_id == key, member.deleted_at.is_(None))
    made = sa.select(held.id).where(sa.or_(held.creator_participant_id == key, held.id.in_(within)))
    rows = await stage.rendered.services.database.rows(made.where(held.deleted_at.is_(None)))
    assert len(rows) >= 3
    expected = [{"type": "File", "count": 1}, {"type": "Session", "count": len(rows)}]
    assert done["details"] == {"blockedBy": expected}
    assert not changed


UNTOLD = {kind for kind in KINDS if typename_of(kind) in ("Credential", "Simulation", "Job", "Spec")} | {
    *(
        "Role/core",
        "Challenge/open",
        "Phase/open",
        "UserGroup/organisers",
        "File/submission",
        "File/reference",
        "File/program",
        "File/static",
        "File/package",
    )
}
"""What is written by mutations of its own; the gateway's roles and what others need, which are refused for what they
are; and further rows of kinds that are tried."""


async def test_what_one_may_do_is_told_as_it_is(stage: Stage) -> None:
    """By `myAccess`, for every row here and every role."""
    query = "query($id:ID!){found:myAccess(id:$id){actions fields}}"
    wrong = []
    for kind in KINDS:
        if mutation_of(kind, "U") is None and mutation_of(kind, "D") is None:
            continue
        for role in ROLES:
            told = (await stage.rows.ask(query, stage.who(role, kind), id=stage.id(kind)))["found"]
            assert (told is not None) == may(kind, role, "R")
            if told is None:
                continue
            if mutation_of(kind, "U") and kind in CHANGES and kind not in UNTOLD:
                fields = {field for field in CHANGES[kind] if may_write(kind, role, field)}
                if fields != set(told["fields"]) & set(CHANGES[kind]):
                    wrong.append((kind, role, "U", fields ^ (set(told["fields"]) & set(CHANGES[kind]))))
            if mutation_of(kind, "D") and kind not in UNTOLD and ("DELETE" in told["actions"]) != may(kind, role, "D"):
                wrong.append((kind, role, "D"))
    assert not wrong, "\n".join(map(str, wrong))
