"""Signing in and out, and one's own account."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import OctKey

from db import models
from db.engine import changed
from db.tally import Tally, tally
from db.types import later, uuid7
from gateway.background.housekeeping import sweeps_of
from gateway.operations.documents import Envelope
from gateway.protocol.authentication import authenticate
from gateway.settings.retention import RetentionSettings
from resolvers.context import Context
from resolvers.failures import Unauthenticated
from resolvers.feed import principal_topic
from resolvers.identity.principal import ANONYMOUS, Kind, TaskClaim
from resolvers.identity.tokens import KeyRing, digest_of
from resolvers.limits import Limits
from resolvers.retention import tidy
from resolvers.spelling import global_id
from tests.support.platforms import KEY, Platform, received
from tests.support.signing import change, do
from tests.support.world import PASSWORD

ON_SQLITE = True

LOG_IN = """mutation($u: String!, $p: String!) { logIn(username: $u, password: $p) {
  __typename ... on Tokens { accessToken refreshToken expiresIn viewer { username email } } ... on Problem { code message details } } }"""
REFRESH = """mutation($t: String!) { refresh(refreshToken: $t) {
  __typename ... on Tokens { accessToken refreshToken } ... on Problem { code } } }"""
SECRET = KEY.partition(":")[2]


async def _log_in(platform: Platform, username: str = "tom", password: str = PASSWORD) -> Any:
    return (await platform.ask(LOG_IN, u=username, p=password))["logIn"]


@pytest.mark.parametrize("name", ["tom", " Tom ", "TOM@torana.example"])
async def test_signing_in_by_name_or_address_in_any_case(platform: Platform, name: str) -> None:
    tokens = await _log_in(platform, name)
    assert tokens["viewer"] == {"username": "tom", "email": "tom@torana.example"}
    assert tokens["expiresIn"] == 600
    principal = await authenticate(platform.services, f"Bearer {tokens['accessToken']}")
    assert (principal.kind, principal.id) == (Kind.USER, platform.world.tom)
    assert platform.world.shared in principal.projects


async def test_an_unknown_name_and_a_wrong_password_are_answered_alike(platform: Platform) -> None:
    unknown = await _log_in(platform, "nobody")
    statements = platform.counted.statements
    wrong = await _log_in(platform, "tom", "not the password")
    assert unknown == wrong == {"__typename": "Problem", "code": "UNAUTHENTICATED", "message": "wrong username or password", "details": None}  # fmt: skip
    assert platform.counted.statements == statements


async def test_an_unknown_name_costs_a_hash_as_a_wrong_password_does(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    passwords = platform.services.identity.passwords
    matches = passwords._matches
    monkeypatch.setattr(passwords, "_matches", lambda stored, given: hashed.append(stored) or matches(stored, given))
    await _log_in(platform, "nobody")
    await _log_in(platform, "tom", "wrong")
    assert len(hashed) == 2


async def test_an_inactive_account_does_not_sign_in_and_its_sessions_end(platform: Platform) -> None:
    token = (await _log_in(platform))["accessToken"]
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(models.User).where(models.User.username == "tom").values(active=False))
        changed(session, principal_topic(platform.world.tom))
    assert (await _log_in(platform))["code"] == "UNAUTHENTICATED"
    with pytest.raises(Unauthenticated, match="has ended"):
        await authenticate(platform.services, f"Bearer {token}")


async def test_the_sixth_attempt_is_refused_whoever_is_meant(platform: Platform) -> None:
    for name in ("tom", "nobody"):
        codes = [(await _log_in(platform, name, "wrong"))["code"] for _ in range(6)]
        assert codes == ["UNAUTHENTICATED"] * 5 + ["RATE_LIMITED"]
    refused = await _log_in(platform, "tom")
    assert refused["details"] == {"retryAfterSeconds": 120}


@pytest.mark.both
@pytest.mark.parametrize("who", ["tom", "nobody"])
async def test_wrong_passwords_keep_out_who_comes_from_their_address_alone(platform: Platform, who: str) -> None:
    for address in ("192.0.2.1", "2001:db8::1", "2001:db8:0:1::1"):
        said = [await _from(platform, address, who, "wrong") for _ in range(6)]
        assert said == ["UNAUTHENTICATED"] * 5 + ["RATE_LIMITED"]
    assert await _from(platform, "2001:db8::2", who, "wrong") == "RATE_LIMITED", "one client has a network of 64 bits"
    assert await _from(platform, "192.0.2.2", "tom") == "Tokens"


@pytest.mark.both
async def test_from_many_addresses_an_account_is_tried_a_hundred_times_an_hour(platform: Platform) -> None:
    limits = replace(platform.services.limits, sign_ins_anywhere=7)
    platform.services = replace(platform.services, limits=limits)
    assert limits.account_window == 3_600
    assert Limits().sign_ins_anywhere == 100
    assert await _from(platform, "198.51.100.1", "tom") == "Tokens"
    for _ in range(9):  # those beyond the bound of an address are not counted for the account
        await _from(platform, "203.0.113.1", "tom", "wrong")
    said = [await _from(platform, f"192.0.2.{n}", "tom", "wrong") for n in range(4)]
    assert said == ["UNAUTHENTICATED"] * 2 + ["RATE_LIMITED"] * 2
    assert await _from(platform, "192.0.2.77", "tom") == "RATE_LIMITED", "the right one, from a new address"
    assert [await _from(platform, "198.51.100.1", "tom") for _ in range(3)] == ["Tokens"] * 3, "where tom signed in"
    assert await _from(platform, "198.51.100.1", "tom@torana.example") == "Tokens"
    assert await _from(platform, "192.0.2.77", "tom") == "RATE_LIMITED", "which lets nobody else in"
    await _age(platform, "known:%", 29)
    assert await _from(platform, "198.51.100.1", "tom", "wrong") == "UNAUTHENTICATED"
    await _age(platform, "known:%", 31)
    assert await _from(platform, "198.51.100.1", "tom") == "RATE_LIMITED"


@pytest.mark.both
async def test_participants_are_kept_out_by_nobody_else_either(platform: Platform) -> None:
    limits = replace(platform.services.limits, sign_ins_anywhere=3)
    platform.services = replace(platform.services, limits=limits)

    participant, query = (
        platform.world.here.participant,
        """mutation($p: String!) {
      r: logInParticipant(username: "one", password: $p) { __typename ... on Problem { code } } }""",
    )
    await change(platform, models.Participant, models.Participant.id == participant, username="one", login_enabled=True)
    given = {"id": global_id("Participant", participant), "newPassword": PASSWORD}
    assert (await do(platform, "setParticipantPassword", "sita", **given))["__typename"] == "Participant"

    async def enter(address: str, password: str = PASSWORD) -> str:
        return await _said(platform, address, query, p=password)

    assert await enter("198.51.100.1") == "Tokens"
    said = [await enter(f"192.0.2.{n}", "wrong") for n in range(5)]
    assert said == ["UNAUTHENTICATED"] * 3 + ["RATE_LIMITED"] * 2
    assert await enter("192.0.2.9") == "RATE_LIMITED"
    assert await enter("198.51.100.1") == "Tokens"


async def test_known_addresses_are_kept_for_thirty_days_as_digests(platform: Platform) -> None:
    database, days = (
        platform.services.database,
        {"audit_days": 365, "notice_days": 30, "simulation_days": 0, "deleted_days": 30},
    )
    known = sa.select(models.Attempts.key).where(models.Attempts.key.like("known:%"))
    assert await _from(platform, "198.51.100.1", "tom") == "Tokens"
    kept = await database.rows(known)
    assert len(kept) == 3, "by username, by e-mail, and for second factors"
    assert digest_of("tom 198.51.100.1") not in str(kept)
    for age, left in ((29, 3), (31, 0)):
        await _age(platform, "known:%", age)
        await tidy(database, sweeps_of(RetentionSettings(**days), platform.services.files.storage))
        assert len(await database.rows(known)) == left


async def _from(platform: Platform, address: str, name: str, password: str = PASSWORD) -> str:
    """The code or type that a sign-in from an address is answered with."""
    query = "mutation($n:String!,$p:String!){r:logIn(username:$n,password:$p){__typename ...on Problem{code}}}"
    return await _said(platform, address, query, n=name, p=password)


async def _said(platform: Platform, address: str, query: str, **variables: Any) -> str:
    operation = platform.documents.operation(Envelope(query))
    answer = await platform.execution.run(operation, variables, Context(platform.services, client={"ip": address}))
    found = received(answer).body["data"]["r"]
    return str(found.get("code", found["__typename"]))


async def _age(platform: Platform, keys: str, days: int) -> None:
    """Have what is kept under some keys be so old."""
    old = sa.update(models.Attempts).where(models.Attempts.key.like(keys)).values(since=later(-days * 86_400))
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(old)


async def test_attempts_from_one_address_are_counted_over_all_names(platform: Platform) -> None:
    platform.services = replace(platform.services, limits=replace(platform.services.limits, sign_ins_per_address=3))
    codes = [(await _log_in(platform, f"name{n}", "wrong"))["code"] for n in range(4)]
    assert codes == ["UNAUTHENTICATED"] * 3 + ["RATE_LIMITED"]


@pytest.mark.both
async def test_attempts_side_by_side_all_count(platform: Platform) -> None:
    answers = await asyncio.gather(*(_log_in(platform, "tom", "wrong") for _ in range(12)))
    assert sum(answer["code"] == "UNAUTHENTICATED" for answer in answers) == 5


async def test_attempts_are_counted_anew_after_the_window(platform: Platform) -> None:
    for _ in range(6):
        await _log_in(platform, "tom", "wrong")
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(models.Attempts).values(since=datetime(2020, 1, 1, tzinfo=UTC)))
    assert (await _log_in(platform))["__typename"] == "Tokens"


async def test_signing_in_clears_the_count_of_the_account(platform: Platform) -> None:
    for _ in range(4):
        await _log_in(platform, "tom", "wrong")
    for _ in range(3):
        assert (await _log_in(platform))["__typename"] == "Tokens"


async def test_a_refresh_token_works_once_and_its_second_use_ends_the_session(platform: Platform) -> None:
    first = await _log_in(platform)
    second = (await platform.ask(REFRESH, t=first["refreshToken"]))["refresh"]
    assert second["__typename"] == "Tokens"
    assert (await platform.ask(REFRESH, t=first["refreshToken"]))["refresh"] == {
        "__typename": "Problem",
        "code": "UNAUTHENTICATED",
    }
    assert (await platform.ask(REFRESH, t=second["refreshToken"]))["refresh"]["code"] == "UNAUTHENTICATED"
    for tokens in (first, second):
        with pytest.raises(Unauthenticated):
            await authenticate(platform.services, f"Bearer {tokens['accessToken']}")
    other = await _log_in(platform)
    assert (await authenticate(platform.services, f"Bearer {other['accessToken']}")).kind is Kind.USER


@pytest.mark.both
async def test_a_refresh_token_used_twice_at_once_gives_one_pair(platform: Platform) -> None:
    token = (await _log_in(platform))["refreshToken"]
    answers = await asyncio.gather(*(platform.ask(REFRESH, t=token) for _ in range(4)))
    assert sorted(answer["refresh"]["__typename"] for answer in answers) == ["Problem"] * 3 + ["Tokens"]


async def test_tokens_are_stored_as_hashes(platform: Platform) -> None:
    tokens = await _log_in(platform)
    async with platform.services.database.read() as connection:
        stored = (await connection.execute(sa.select(models.Credential.secret_hash))).scalars().all()
    assert tokens["refreshToken"] not in stored
    assert all(PASSWORD not in value for value in stored)


@pytest.mark.both
async def test_signing_out_ends_the_session_at_once(platform: Platform) -> None:
    tokens = await _log_in(platform)
    principal = await authenticate(platform.services, f"Bearer {tokens['accessToken']}")
    after = "closeOtherSessions{...on Problem{code}}"
    out = await platform.ask(f"mutation{{logOut{{... on LoggedOut{{at}}}} {after}}}", principal)
    assert out["logOut"]["at"]
    assert out["closeOtherSessions"] == {"code": "UNAUTHENTICATED"}, "what follows has no principal"
    with pytest.raises(Unauthenticated):
        await authenticate(platform.services, f"Bearer {tokens['accessToken']}")
    assert (await platform.ask(REFRESH, t=tokens["refreshToken"]))["refresh"]["code"] == "UNAUTHENTICATED"


CHANGE = """mutation($o: String!, $n: String!) { changePassword(oldPassword: $o, newPassword: $n) {
  __typename ... on User { username } ... on Problem { code field } } }"""


async def test_changing_the_password_asks_the_old_one_and_ends_other_sessions(platform: Platform) -> None:
    mine, other = await _log_in(platform), await _log_in(platform)
    principal = await authenticate(platform.services, f"Bearer {mine['accessToken']}")
    wrong = (await platform.ask(CHANGE, principal, o="wrong", n="a new long password"))["changePassword"]
    assert wrong == {"__typename": "Problem", "code": "INVALID", "field": "oldPassword"}
    short = (await platform.ask(CHANGE, principal, o=PASSWORD, n="short"))["changePassword"]
    assert short == {"__typename": "Problem", "code": "INVALID", "field": "newPassword"}
    done = (await platform.ask(CHANGE, principal, o=PASSWORD, n="a new long password"))["changePassword"]
    assert done == {"__typename": "User", "username": "tom"}
    assert (await authenticate(platform.services, f"Bearer {mine['accessToken']}")).kind is Kind.USER
    with pytest.raises(Unauthenticated):
        await authenticate(platform.services, f"Bearer {other['accessToken']}")
    assert (await _log_in(platform))["__typename"] == "Problem"
    assert (await _log_in(platform, "tom", "a new long password"))["__typename"] == "Tokens"


UPDATE = """mutation($v: Int!, $i: ProfileChanges!) { updateProfile(expectedVersion: $v, input: $i) {
  __typename ... on User { firstName lastName version } ... on Problem { code field details } } }"""


async def test_an_update_of_a_stale_version_is_a_conflict_and_changes_nothing(platform: Platform) -> None:
    version = (await platform.ask("{viewer{version}}", "tom"))["viewer"]["version"]
    first = (await platform.ask(UPDATE, "tom", v=version, i={"firstName": "Tom"}))["updateProfile"]
    assert first == {"__typename": "User", "firstName": "Tom", "lastName": None, "version": version + 1}
    stale = (await platform.ask(UPDATE, "tom", v=version, i={"firstName": "Ned", "lastName": "X"}))["updateProfile"]
    assert stale == {
        "__typename": "Problem",
        "code": "CONFLICT",
        "field": "expectedVersion",
        "details": {"version": version + 1},
    }
    assert (await platform.ask("{viewer{firstName lastName}}", "tom"))["viewer"] == {
        "firstName": "Tom",
        "lastName": None,
    }


async def test_what_an_update_leaves_out_stays_and_null_clears(platform: Platform) -> None:
    await platform.ask(UPDATE, "tom", v=1, i={"firstName": "Tom", "lastName": "L"})
    cleared = (await platform.ask(UPDATE, "tom", v=2, i={"lastName": None}))["updateProfile"]
    assert (cleared["firstName"], cleared["lastName"]) == ("Tom", None)


async def test_a_name_that_is_too_long_is_told(platform: Platform) -> None:
    answer = (await platform.ask(UPDATE, "tom", v=1, i={"firstName": "x" * 151}))["updateProfile"]
    assert (answer["code"], answer["field"]) == ("INVALID", "input.firstName")


async def test_a_sign_in_does_not_show_in_what_strangers_read(platform: Platform) -> None:
    id = platform.world.id("User", "tom")
    before = await platform.ask("query($i:ID!){node(id:$i){updatedAt version}}", "eve", i=id)
    await _log_in(platform)
    assert await platform.ask("query($i:ID!){node(id:$i){updatedAt version}}", "eve", i=id) == before


@pytest.mark.both
async def test_a_session_refreshed_while_it_is_ended_ends(platform: Platform) -> None:
    for _ in range(5):
        tokens = await _log_in(platform)
        principal = await authenticate(platform.services, f"Bearer {tokens['accessToken']}")
        answers = await asyncio.gather(
            platform.ask(REFRESH, t=tokens["refreshToken"]), platform.ask("mutation{logOut{__typename}}", principal)
        )
        if "accessToken" in answers[0]["refresh"]:
            with pytest.raises(Unauthenticated):
                await authenticate(platform.services, f"Bearer {answers[0]['refresh']['accessToken']}")


async def test_later_fields_of_an_operation_see_what_a_mutation_wrote(platform: Platform) -> None:
    query = """mutation { a: updateProfile(expectedVersion: 1, input: {firstName: "A"}) { ... on User { firstName } }
      b: updateProfile(expectedVersion: 2, input: {firstName: "B"}) { ... on User { firstName } } }"""
    assert await platform.ask(query, "tom") == {"a": {"firstName": "A"}, "b": {"firstName": "B"}}


async def test_sign_ins_are_on_record_for_the_user(platform: Platform) -> None:
    await _log_in(platform, "tom", "wrong")
    await _log_in(platform)
    answer = await platform.answer("{auditEvents(first:9){nodes{action client}}}", "tom")
    assert answer.body["data"]["auditEvents"]["nodes"][:2] == [
        {"action": "LOG_IN", "client": {"ip": "127.0.0.1"}}, {"action": "LOG_IN_FAILED", "client": None}
    ]  # fmt: skip
    assert answer.codes == ["FORBIDDEN"], "nobody is told where others are"
    failed = (await platform.ask("{auditEvents(first:9){nodes{action detail}}}", "root"))["auditEvents"]["nodes"]
    assert {"action": "LOG_IN_FAILED", "detail": {"name": "tom"}} in failed


@pytest.mark.parametrize(
    "mutation", ["logOut{__typename}", 'changePassword(oldPassword:"a",newPassword:"b"){... on Problem{code}}']
)
async def test_what_needs_a_user_is_refused_to_anonymous(platform: Platform, mutation: str) -> None:
    data = await platform.ask(f"mutation{{x:{mutation}}}")
    assert data["x"] in ({"__typename": "Problem"}, {"code": "UNAUTHENTICATED"})


async def test_a_principal_takes_one_statement_and_is_kept_until_something_about_it_changes(platform: Platform) -> None:
    token = (await _log_in(platform))["accessToken"]
    counted = Tally()
    tally.set(counted)
    first = await authenticate(platform.services, f"Bearer {token}")
    assert await authenticate(platform.services, f"Bearer {token}") is first
    assert counted.statements == 1
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(
            sa.delete(models.UserGroupMember).where(models.UserGroupMember.user_id == platform.world.tom)
        )
        changed(session, principal_topic(platform.world.tom))
    assert (await authenticate(platform.services, f"Bearer {token}")).projects == {}


def _claims(**changed: Any) -> dict[str, Any]:
    return {"iss": "torana", "aud": "at+jwt", "sub": str(uuid7()), "sid": str(uuid7()), "iat": 1_700_000_000, "exp": 4_000_000_000, **changed}  # fmt: skip


def _signed(header: dict[str, Any] | None = None, secret: str = SECRET, **claims: Any) -> str:
    return jwt.encode(
        {"alg": "HS256", "typ": "at+jwt", "kid": "test", **(header or {})}, _claims(**claims), OctKey.import_key(secret)
    )


NONE = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0Iiwia2lkIjoidGVzdCJ9.eyJpc3MiOiJ0b3JhbmEiLCJhdWQiOiJhdCtqd3QifQ."


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (_signed(exp=1_700_000_001), "expired"),
        (_signed(iss="another"), "not one of this gateway"),
        (_signed(aud="worker+jwt"), "not one of this gateway"),
        (_signed({"kid": "unknown"}), "not one of this gateway"),
        (_signed(secret="x" * 40), "not one of this gateway"),
        (_signed(iat=4_000_000_000), "not one of this gateway"),
        (_signed(sub="no uuid"), "not one of this gateway"),
        (NONE, "not one of this gateway"),
        ("", "must be: Bearer"),
        ("nonsense", "not one of this gateway"),
        ("a.b.c", "not one of this gateway"),
    ],
    ids=["expired", "issuer", "audience", "kid", "key", "future", "subject", "none", "empty", "word", "dots"],
)  # fmt: skip
async def test_a_token_that_is_no_good_is_told(platform: Platform, token: str, message: str) -> None:
    with pytest.raises(Unauthenticated, match=message):
        await authenticate(platform.services, f"Bearer {token}")


async def test_a_token_of_a_deleted_session_is_refused(platform: Platform) -> None:
    with pytest.raises(Unauthenticated, match="has ended"):
        await authenticate(platform.services, f"Bearer {_signed(iat=1_700_000_000)}")


async def test_no_header_is_anonymous(platform: Platform) -> None:
    assert await authenticate(platform.services, None) is ANONYMOUS


def test_keys_rotate_the_first_signs_and_all_verify() -> None:
    old, new = b"o" * 20 + b"0123456789ab", b"n" * 20 + b"0123456789ab"
    task_claim = TaskClaim(uuid7(), 2, 1, frozenset({"log"}))
    token = KeyRing({"old": old}).worker_token(task_claim, timedelta(minutes=1))
    assert KeyRing({"new": new, "old": old}).verify(token) == task_claim
    with pytest.raises(Unauthenticated):
        KeyRing({"new": new}).verify(token)
