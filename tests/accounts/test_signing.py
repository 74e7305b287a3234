"""Second factors, duties, and one's login sessions."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa

from db import models
from db.models import Credential, CredentialKind
from gateway.protocol.authentication import authenticate
from resolvers.failures import Unauthenticated
from resolvers.identity.principal import Duty, Kind, Principal
from resolvers.identity.tokens import KeyRing
from resolvers.spelling import global_id
from tests.support.platforms import Platform
from tests.support.signing import (
    COMPLETE,
    REFRESH,
    ask,
    audited,
    change,
    change_user,
    do,
    log_in,
    mails,
    principal,
    signed_in,
)
from tests.support.world import PASSWORD

ON_SQLITE = True

OLD = datetime(2020, 1, 1, tzinfo=UTC)


def _code(seed: str, steps: int = 0) -> str:
    """The code of a step before or after the present one."""
    return str(pyotp.TOTP(seed).generate_otp(int(datetime.now(UTC).timestamp()) // 30 + steps))


async def _authenticator(platform: Platform, as_: str | Principal = "tom") -> tuple[str, list[str]]:
    """Set up an authenticator; its seed and the recovery codes. The codes it showed are forgotten."""
    begun = await do(platform, "setUpTwoFactor", as_, method="TOTP", password=PASSWORD)
    confirmed = await do(platform, "confirmTwoFactor", as_, code=_code(begun["key"]))
    assert confirmed["__typename"] == "RecoveryCodes", confirmed
    await change(platform, Credential, Credential.kind == CredentialKind.TOTP, last_used_at=None)
    return begun["key"], confirmed["codes"]


async def _complete(platform: Platform, ticket: str, code: str) -> Any:
    return await ask(platform, COMPLETE, t=ticket, c=code)


# An authenticator ---------------------------------------------------------------------------------------------------


async def test_a_second_factor_counts_once_its_first_code_was_given(platform: Platform) -> None:
    begun = await do(platform, "setUpTwoFactor", "tom", method="TOTP", password=PASSWORD)
    assert begun["uri"].startswith("otpauth://totp/Torana:tom?")
    assert f"secret={begun['key']}" in begun["uri"]
    assert (await log_in(platform))["__typename"] == "Tokens"
    wrong = await do(platform, "confirmTwoFactor", "tom", code="000000")
    assert (wrong["code"], wrong["field"]) == ("INVALID", "code")
    confirmed = await do(platform, "confirmTwoFactor", "tom", code=_code(begun["key"]))
    assert len(set(confirmed["codes"])) == 10
    assert all(re.fullmatch(r"([A-Z2-9]{4}-){3}[A-Z2-9]{4}", code) for code in confirmed["codes"])
    needed = await log_in(platform)
    assert (needed["__typename"], needed["method"], needed["expiresIn"]) == ("TwoFactorNeeded", "TOTP", 600)


async def test_a_sign_in_is_completed_by_ticket_and_code(platform: Platform) -> None:
    seed, _ = await _authenticator(platform)
    ticket = (await log_in(platform))["ticket"]
    tokens = await _complete(platform, ticket, _code(seed))
    assert tokens["viewer"] == {"username": "tom"}
    assert (await principal(platform, tokens)).id == platform.world.tom
    assert (await audited(platform))[-1] == "LOG_IN"


@pytest.mark.parametrize("steps", [-1, 1])
async def test_clocks_may_differ_by_one_step(platform: Platform, steps: int) -> None:
    seed, _ = await _authenticator(platform)
    assert (await log_in(platform, code=_code(seed, steps)))["__typename"] == "Tokens"


@pytest.mark.parametrize("steps", [-4, 4])
async def test_codes_of_other_times_are_wrong(platform: Platform, steps: int) -> None:
    seed, _ = await _authenticator(platform)
    assert (await log_in(platform, code=_code(seed, steps)))["message"] == "wrong code"


async def test_a_code_may_come_with_the_password(platform: Platform) -> None:
    seed, _ = await _authenticator(platform)
    code = _code(seed)
    assert (await log_in(platform, code=f"{code[:3]} {code[3:]}"))["__typename"] == "Tokens"
    assert (await log_in(platform, "tom", "not the password", _code(seed)))["message"] == "wrong username or password"


async def test_a_code_works_once_and_none_before_it_does(platform: Platform) -> None:
    seed, _ = await _authenticator(platform)
    now, before = _code(seed), _code(seed, -1)
    assert (await log_in(platform, code=now))["__typename"] == "Tokens"
    for code in (now, before):
        assert (await log_in(platform, code=code))["code"] == "UNAUTHENTICATED"
    assert "TWO_FACTOR_FAILED" in await audited(platform)


@pytest.mark.both
async def test_of_one_code_used_twice_at_once_one_is_right(platform: Platform) -> None:
    seed, _ = await _authenticator(platform)
    code = _code(seed)
    answers = await asyncio.gather(*(log_in(platform, code=code) for _ in range(3)))
    assert [answer["__typename"] for answer in answers].count("Tokens") == 1


async def test_the_code_that_confirmed_does_not_sign_in(platform: Platform) -> None:
    begun = await do(platform, "setUpTwoFactor", "tom", method="TOTP", password=PASSWORD)
    code = _code(begun["key"])
    await do(platform, "confirmTwoFactor", "tom", code=code)
    assert (await log_in(platform, code=code))["message"] == "wrong code"


async def test_the_seed_is_sealed_and_any_key_of_the_ring_opens_it(platform: Platform) -> None:
    seed, _ = await _authenticator(platform)
    (row,) = await platform.services.database.rows(
        sa.select(Credential.sealed, Credential.secret_hash).where(Credential.kind == CredentialKind.TOTP)
    )
    assert seed not in row.sealed
    assert row.secret_hash is None
    old, new = b"o" * 20 + b"0123456789ab", b"n" * 20 + b"0123456789ab"
    sealed = KeyRing({"old": old}).seal(seed)
    assert KeyRing({"new": new, "old": old}).unseal(sealed) == seed
    assert KeyRing({"new": new}).unseal(sealed) is None


# Tickets ------------------------------------------------------------------------------------------------------------


async def test_a_ticket_works_once(platform: Platform) -> None:
    seed, codes = await _authenticator(platform)
    ticket = (await log_in(platform))["ticket"]
    assert (await _complete(platform, ticket, _code(seed)))["__typename"] == "Tokens"
    again = await _complete(platform, ticket, codes[0])
    assert (again["code"], again["message"]) == ("UNAUTHENTICATED", "the ticket was used; sign in again")
    assert (await log_in(platform, code=codes[0]))["__typename"] == "Tokens"  # which the refusal did not spend


async def test_a_wrong_code_leaves_the_ticket(platform: Platform) -> None:
    seed, _ = await _authenticator(platform)
    ticket = (await log_in(platform))["ticket"]
    assert (await _complete(platform, ticket, "000000"))["message"] == "wrong code"
    assert (await _complete(platform, ticket, _code(seed)))["__typename"] == "Tokens"


async def test_a_ticket_opens_nothing_else(platform: Platform) -> None:
    await _authenticator(platform)
    ticket = (await log_in(platform))["ticket"]
    with pytest.raises(Unauthenticated, match="not one of this gateway"):
        await authenticate(platform.services, f"Bearer {ticket}")
    assert (await ask(platform, REFRESH, t=ticket))["code"] == "UNAUTHENTICATED"


async def test_an_access_token_is_no_ticket(platform: Platform) -> None:
    _, codes = await _authenticator(platform)
    tokens = await log_in(platform, code=codes[0])
    assert (await _complete(platform, tokens["accessToken"], codes[1]))["code"] == "UNAUTHENTICATED"


async def test_a_ticket_of_another_time_is_over(platform: Platform) -> None:
    seed, _ = await _authenticator(platform)
    (row,) = await platform.services.database.rows(
        sa.select(Credential.id, Credential.version).where(
            Credential.user_id == platform.world.tom, Credential.kind == CredentialKind.PASSWORD
        )
    )
    late = platform.services.identity.keys.ticket(platform.world.tom, row.id, row.version, timedelta(seconds=-1))
    assert (await _complete(platform, late, _code(seed)))["code"] == "UNAUTHENTICATED"


async def test_a_ticket_ends_with_the_password_it_was_given_for(platform: Platform) -> None:
    seed, _ = await _authenticator(platform)
    ticket = (await log_in(platform))["ticket"]
    changed = await do(
        platform, "changePassword", "tom", oldPassword=PASSWORD, newPassword="another horse, another battery"
    )
    assert changed["__typename"] == "User"
    assert (await _complete(platform, ticket, _code(seed)))["code"] == "UNAUTHENTICATED"


async def test_a_ticket_of_a_disabled_account_is_refused(platform: Platform) -> None:
    seed, _ = await _authenticator(platform)
    ticket = (await log_in(platform))["ticket"]
    await change_user(platform, platform.world.tom, active=False)
    assert (await _complete(platform, ticket, _code(seed)))["code"] == "UNAUTHENTICATED"


# Codes by e-mail and recovery codes ---------------------------------------------------------------------------------


async def _mailed(platform: Platform) -> str:
    found = re.search(r"^(\d{6})$", (await mails(platform, "two_factor_code"))[-1].text, re.MULTILINE)
    assert found is not None
    return found[1]


async def _by_mail(platform: Platform) -> list[str]:
    begun = await do(platform, "setUpTwoFactor", "tom", method="EMAIL", password=PASSWORD)
    assert begun == {"__typename": "TwoFactorSetup", "method": "EMAIL", "uri": None, "key": None}
    codes: list[str] = (await do(platform, "confirmTwoFactor", "tom", code=await _mailed(platform)))["codes"]
    return codes


async def test_a_code_by_mail_signs_in_once(platform: Platform) -> None:
    await _by_mail(platform)
    needed = await log_in(platform)
    assert needed["method"] == "EMAIL"
    code = await _mailed(platform)
    assert (await mails(platform, "two_factor_code"))[-1].recipient == "tom@torana.example"
    assert (await _complete(platform, needed["ticket"], code))["__typename"] == "Tokens"
    assert (await log_in(platform, code=code))["message"] == "wrong code"


async def test_only_the_newest_code_by_mail_works(platform: Platform) -> None:
    await _by_mail(platform)
    await log_in(platform)
    first = await _mailed(platform)
    needed = await log_in(platform)
    second = await _mailed(platform)
    if first != second:
        assert (await _complete(platform, needed["ticket"], first))["message"] == "wrong code"
    assert (await _complete(platform, needed["ticket"], second))["__typename"] == "Tokens"


async def test_a_code_by_mail_is_over_after_ten_minutes(platform: Platform) -> None:
    await _by_mail(platform)
    needed = await log_in(platform)
    kept = Credential.kind == CredentialKind.EMAIL_CODE
    (row,) = await platform.services.database.rows(sa.select(Credential.expires_at, Credential.created_at).where(kept))
    assert timedelta(minutes=9) < row.expires_at - row.created_at < timedelta(minutes=11)
    await change(platform, Credential, kept, expires_at=OLD)
    assert (await _complete(platform, needed["ticket"], await _mailed(platform)))["message"] == "wrong code"


async def test_a_code_by_mail_is_stored_sealed(platform: Platform) -> None:
    await _by_mail(platform)
    await log_in(platform)
    (row,) = await platform.services.database.rows(
        sa.select(Credential.sealed, Credential.secret_hash).where(Credential.kind == CredentialKind.EMAIL_CODE)
    )
    assert row.secret_hash is None
    assert await _mailed(platform) not in row.sealed


async def test_codes_by_mail_need_a_confirmed_address(platform: Platform) -> None:
    await change_user(platform, platform.world.tom, email=None)
    assert (await do(platform, "setUpTwoFactor", "tom", method="EMAIL", password=PASSWORD))["code"] == "STATE"


async def test_a_recovery_code_replaces_the_second_factor_once(platform: Platform) -> None:
    _, codes = await _authenticator(platform)
    ticket = (await log_in(platform))["ticket"]
    assert (await _complete(platform, ticket, codes[3].lower().replace("-", " ")))["__typename"] == "Tokens"
    assert (await log_in(platform, code=codes[3]))["message"] == "wrong code"
    assert (await log_in(platform, code=codes[4]))["__typename"] == "Tokens"


async def test_recovery_codes_are_those_of_their_user_and_stored_as_hashes(platform: Platform) -> None:
    _, codes = await _authenticator(platform)
    await _authenticator(platform, "maria")
    assert (await log_in(platform, "maria", code=codes[0]))["message"] == "wrong code"
    stored = await platform.services.database.rows(sa.select(Credential.secret_hash))
    assert not set(codes) & {row.secret_hash for row in stored}


async def test_new_recovery_codes_end_the_former(platform: Platform) -> None:
    _, former = await _authenticator(platform)
    wrong = await do(platform, "newRecoveryCodes", "tom", password="not the password")
    assert (wrong["code"], wrong["field"]) == ("INVALID", "password")
    codes = (await do(platform, "newRecoveryCodes", "tom", password=PASSWORD))["codes"]
    assert (await log_in(platform, code=former[0]))["message"] == "wrong code"
    assert (await log_in(platform, code=codes[0]))["__typename"] == "Tokens"


async def test_without_a_second_factor_there_is_nothing_to_recover(platform: Platform) -> None:
    assert (await do(platform, "newRecoveryCodes", "tom", password=PASSWORD))["code"] == "STATE"


# Bounds and changes -------------------------------------------------------------------------------------------------


async def test_five_wrong_codes_within_an_hour_are_all(platform: Platform) -> None:
    seed, _ = await _authenticator(platform)
    ticket = (await log_in(platform))["ticket"]
    said = [(await _complete(platform, ticket, "000000"))["code"] for _ in range(5)]
    assert said == ["UNAUTHENTICATED"] * 5
    over = await _complete(platform, ticket, _code(seed))
    assert (over["code"], over["details"]) == ("RATE_LIMITED", {"retryAfterSeconds": 3600})
    assert (await log_in(platform, code=_code(seed)))["code"] == "RATE_LIMITED"
    await change(platform, models.Attempts, models.Attempts.key.like("code:%"), since=OLD)
    assert (await _complete(platform, ticket, _code(seed)))["__typename"] == "Tokens"


@pytest.mark.both
async def test_wrong_codes_side_by_side_all_count(platform: Platform) -> None:
    await _authenticator(platform)
    ticket = (await log_in(platform))["ticket"]
    answers = await asyncio.gather(*(_complete(platform, ticket, "000000") for _ in range(9)))
    assert sum(answer["code"] == "UNAUTHENTICATED" for answer in answers) == 5


async def test_a_right_code_forgets_the_wrong_ones(platform: Platform) -> None:
    seed, codes = await _authenticator(platform)
    ticket = (await log_in(platform))["ticket"]
    for _ in range(4):
        await _complete(platform, ticket, "000000")
    await _complete(platform, ticket, _code(seed))
    for _ in range(4):
        assert (await log_in(platform, code="000000"))["code"] == "UNAUTHENTICATED"
    assert (await log_in(platform, code=codes[0]))["__typename"] == "Tokens"


async def test_the_password_alone_does_not_forget_wrong_passwords(platform: Platform) -> None:
    await _authenticator(platform)
    for _ in range(5):
        assert (await log_in(platform))["__typename"] == "TwoFactorNeeded"
    assert (await log_in(platform))["code"] == "RATE_LIMITED"


async def test_a_second_factor_is_set_up_by_who_knows_the_password(platform: Platform) -> None:
    old, _ = await _authenticator(platform)
    without = await do(platform, "setUpTwoFactor", "tom", method="TOTP")
    assert (without["code"], without["field"]) == ("INVALID", "password")
    wrong = await do(platform, "setUpTwoFactor", "tom", method="TOTP", password="not the password")
    assert wrong["code"] == "INVALID"
    begun = await do(platform, "setUpTwoFactor", "tom", method="TOTP", password=PASSWORD)
    await do(platform, "confirmTwoFactor", "tom", code=_code(begun["key"]))
    await change(platform, Credential, Credential.kind == CredentialKind.TOTP, last_used_at=None)
    assert (await log_in(platform, code=_code(old)))["message"] == "wrong code"
    assert (await log_in(platform, code=_code(begun["key"])))["__typename"] == "Tokens"


async def test_who_has_an_account_hears_of_what_changes_the_ways_in(platform: Platform) -> None:
    await _authenticator(platform)
    await do(platform, "newRecoveryCodes", "tom", password=PASSWORD)
    await do(platform, "disableTwoFactor", "tom", password=PASSWORD)
    query = 'mutation{r:createApiKey(label:"beam line",scopes:[]){__typename}}'
    assert (await ask(platform, query, "tom"))["__typename"] == "IssuedCredential"
    told = [mail.text for mail in await mails(platform, "account_changed")]
    for text, part in zip(
        told,
        ("was set up", "new recovery codes", "was taken away", "API key was made for your account: beam line"),
        strict=True,
    ):
        assert part in text


async def test_a_second_factor_is_given_up_by_who_knows_the_password(platform: Platform) -> None:
    await _authenticator(platform)
    assert (await do(platform, "disableTwoFactor", "tom", password="not the password"))["code"] == "INVALID"
    assert (await do(platform, "disableTwoFactor", "tom", password=PASSWORD))["__typename"] == "Done"
    assert (await log_in(platform))["__typename"] == "Tokens"
    left = sa.select(Credential.id).where(
        Credential.kind.in_((CredentialKind.TOTP, CredentialKind.RECOVERY_CODE, CredentialKind.EMAIL_CODE))
    )
    assert await platform.services.database.rows(left) == []


async def test_it_stays_where_a_site_wants_it(platform: Platform) -> None:
    await _authenticator(platform)
    await change(platform, models.Site, models.Site.id == platform.world.site, two_factor_required=True)
    refused = await do(platform, "disableTwoFactor", "tom", password=PASSWORD)
    assert refused["code"] == "STATE"
    assert (await log_in(platform))["__typename"] == "TwoFactorNeeded"


@pytest.mark.parametrize("mutation", ["disableTwoFactor", "newRecoveryCodes"])
async def test_passwords_asked_once_more_are_throttled(platform: Platform, mutation: str) -> None:
    said = [(await do(platform, mutation, "tom", password="wrong"))["code"] for _ in range(6)]
    assert said == ["INVALID"] * 5 + ["RATE_LIMITED"]


async def test_no_method_is_no_second_factor(platform: Platform) -> None:
    assert (await do(platform, "setUpTwoFactor", "tom", method="NONE"))["field"] == "method"


async def test_participants_have_no_second_factor(platform: Platform) -> None:
    assert (await do(platform, "setUpTwoFactor", "participant", method="TOTP", password=PASSWORD))[
        "code"
    ] == "FORBIDDEN"


async def test_what_needs_a_person_is_refused_to_keys(platform: Platform) -> None:
    key = Principal(kind=Kind.USER, id=platform.world.tom)
    for mutation, variables in (
        ("setUpTwoFactor", {"method": "TOTP", "password": PASSWORD}),
        ("closeOtherSessions", {}),
        ("logOut", {}),
    ):
        assert (await do(platform, mutation, key, **variables))["code"] == "FORBIDDEN"


# Duties -------------------------------------------------------------------------------------------------------------

DUTIES: list[tuple[Duty, dict[str, Any]]] = [
    (Duty.VERIFY_EMAIL, {"email_verified": False}),
    (Duty.CHANGE_PASSWORD, {"force_password_change": True}),
]


@pytest.mark.parametrize(("duty", "state"), DUTIES)
async def test_who_must_do_something_first_can_do_little_else(
    platform: Platform, duty: Duty, state: dict[str, Any]
) -> None:
    await change_user(platform, platform.world.tom, **state)
    tokens = await log_in(platform)
    assert tokens["duties"] == [duty.name]
    tom = await principal(platform, tokens)
    assert await platform.ask("{viewer{username} signedIn{kind duties}}", tom) == {
        "viewer": {"username": "tom"},
        "signedIn": {"kind": "USER", "duties": [duty.name]},
    }
    assert (await platform.ask("{projects(first:9){nodes{id}}}", tom))["projects"]["nodes"] == []
    update = (
        'mutation{r:updateProfile(expectedVersion:1,input:{firstName:"T"}){__typename ...on Problem{code message}}}'
    )
    assert await ask(platform, update, tom) == {
        "__typename": "Problem",
        "code": "FORBIDDEN",
        "message": f"first {duty.value}",
    }
    assert (await do(platform, "logOut", tom))["__typename"] == "LoggedOut"


@pytest.mark.both
async def test_a_changed_password_ends_the_duty_at_once(platform: Platform) -> None:
    await change_user(platform, platform.world.tom, force_password_change=True)
    tom = await signed_in(platform)
    assert tom.duties == {Duty.CHANGE_PASSWORD}
    query = """mutation($o:String!,$n:String!){changePassword(oldPassword:$o,newPassword:$n){
      ...on User{forcePasswordChange groups(first:9){nodes{name}}}}}"""
    done = (await platform.ask(query, tom, o=PASSWORD, n="another horse, another battery"))["changePassword"]
    assert done["forcePasswordChange"] is False
    assert done["groups"]["nodes"]
    assert (await signed_in(platform, password="another horse, another battery")).duties == frozenset()


async def test_where_a_site_wants_a_second_factor_its_users_set_one_up_first(platform: Platform) -> None:
    await change(platform, models.Site, models.Site.id == platform.world.site, two_factor_required=True)
    tokens = await log_in(platform)
    assert tokens["duties"] == ["SET_UP_TWO_FACTOR"]
    tom = await principal(platform, tokens)
    await _authenticator(platform, tom)
    after = await authenticate(platform.services, f"Bearer {tokens['accessToken']}")
    assert (after.duties, platform.world.shared in after.projects) == (frozenset(), True)
    assert (await log_in(platform, "eve"))["duties"] == []


async def test_who_is_asking_is_told(platform: Platform) -> None:
    query = "{signedIn{kind duties scopes}}"
    assert (await platform.ask(query))["signedIn"] is None
    assert (await platform.ask(query, "tom"))["signedIn"] == {"kind": "USER", "duties": [], "scopes": None}
    assert (await platform.ask(query, "device"))["signedIn"]["kind"] == "DEVICE"


# Login sessions -----------------------------------------------------------------------------------------------------

SESSIONS = "{loginSessions(first:20){nodes{id address agent createdAt lastUsedAt current}}}"


async def test_ones_login_sessions_are_listed(platform: Platform) -> None:
    first, second = await signed_in(platform), await log_in(platform)
    await log_in(platform, "maria")
    second = await ask(platform, REFRESH, t=second["refreshToken"])
    held = (await platform.ask(SESSIONS, await principal(platform, second)))["loginSessions"]["nodes"]
    assert [one["current"] for one in held] == [True, False]
    assert all(one["address"] == "127.0.0.1" for one in held)
    assert held[0]["createdAt"] < held[0]["lastUsedAt"]
    mine = (await platform.ask(SESSIONS, first))["loginSessions"]["nodes"]
    assert [one["current"] for one in mine] == [False, True]
    assert (await platform.ask(SESSIONS))["loginSessions"]["nodes"] == []
    assert (await platform.ask(SESSIONS, Principal(kind=Kind.USER, id=platform.world.tom)))["loginSessions"][
        "nodes"
    ] == []


async def test_one_of_ones_login_sessions_is_closed(platform: Platform) -> None:
    first, second = await log_in(platform), await log_in(platform)
    me = await principal(platform, second)
    other = (await platform.ask(SESSIONS, me))["loginSessions"]["nodes"][1]["id"]
    assert (await do(platform, "closeSession", me, id=other)) == {"__typename": "SessionsClosed", "count": 1}
    with pytest.raises(Unauthenticated):
        await principal(platform, first)
    assert (await ask(platform, REFRESH, t=first["refreshToken"]))["code"] == "UNAUTHENTICATED"
    assert (await principal(platform, second)).id == platform.world.tom
    assert (await do(platform, "closeSession", me, id=other))["code"] == "NOT_FOUND"


async def test_login_sessions_of_others_are_not_found(platform: Platform) -> None:
    tom = await signed_in(platform)
    held = (await platform.ask(SESSIONS, tom))["loginSessions"]["nodes"][0]["id"]
    assert (await do(platform, "closeSession", "maria", id=held))["code"] == "NOT_FOUND"
    assert (await platform.ask(SESSIONS, tom))["loginSessions"]["nodes"]


async def test_all_other_login_sessions_are_closed(platform: Platform) -> None:
    first, second, third = [await log_in(platform) for _ in range(3)]
    maria = await log_in(platform, "maria")
    assert (await do(platform, "closeOtherSessions", await principal(platform, second)))["count"] == 2
    assert (await principal(platform, second)).id == platform.world.tom
    assert (await principal(platform, maria)).id == platform.world.maria
    for tokens in (first, third):
        with pytest.raises(Unauthenticated):
            await principal(platform, tokens)
    assert "CLOSE_SESSION" in await audited(platform)


@pytest.mark.parametrize(
    ("who", "whose", "code"),
    [
        ("root", "tom", None),
        ("sita", "tom", None),
        ("sita", "root", "FORBIDDEN"),
        ("sita", "eve", "FORBIDDEN"),
        ("maria", "tom", "FORBIDDEN"),
        ("tom", "sita", "FORBIDDEN"),
        ("mona", "tom", "FORBIDDEN"),
        ("participant", "tom", "NOT_FOUND"),
    ],
)
async def test_administrators_close_the_login_sessions_of_their_users(
    platform: Platform, who: str, whose: str, code: str | None
) -> None:
    tokens = await log_in(platform, whose)
    answer = await do(platform, "closeSessions", who, user=platform.world.id("User", whose))
    assert answer.get("code") == code
    if code is None:
        with pytest.raises(Unauthenticated):
            await principal(platform, tokens)
    else:
        assert (await principal(platform, tokens)).id == getattr(platform.world, whose)


# Participants -------------------------------------------------------------------------------------------------------

NEW = "quiet water under the bridge"


async def _participant(platform: Platform, **variables: Any) -> Any:
    given = {"username": "P01-protons", "password": NEW, **variables}
    return await do(platform, "logInParticipant", **given)


async def test_participants_sign_in_with_the_password_they_were_given(platform: Platform) -> None:
    id = platform.world.here.participant
    given = await do(platform, "setParticipantPassword", "maria", id=global_id("Participant", id), newPassword=NEW)
    assert given["__typename"] == "Participant"
    tokens = await _participant(platform)
    assert (tokens["participant"], tokens["viewer"]) == ({"name": "P-01"}, None)
    someone = await principal(platform, tokens)
    assert (someone.kind, someone.id, someone.full) == (Kind.PARTICIPANT, id, True)
    following = (await platform.ask("mutation($t:String!){refresh(refreshToken:$t){...on Tokens{accessToken}}}", t=tokens["refreshToken"]))["refresh"]  # fmt: skip
    assert (await principal(platform, following)).id == id
    assert len((await platform.ask(SESSIONS, someone))["loginSessions"]["nodes"]) == 1
    assert (await do(platform, "logOut", someone))["__typename"] == "LoggedOut"
    with pytest.raises(Unauthenticated):
        await principal(platform, following)


@pytest.mark.parametrize(
    ("who", "code"),
    [("maria", None), ("sita", None), ("root", None), ("service", None), ("tom", "FORBIDDEN"), ("silo", "NOT_FOUND"),
     ("eve", "NOT_FOUND"), ("device", "FORBIDDEN")],
)  # fmt: skip
async def test_who_may_let_a_participant_sign_in_sets_the_password(
    platform: Platform, who: str, code: str | None
) -> None:
    id = global_id("Participant", platform.world.here.participant)
    answer = await do(platform, "setParticipantPassword", who, id=id, newPassword=NEW)
    assert answer.get("code") == code
    assert ((await _participant(platform))["__typename"] == "Tokens") is (code is None)


@pytest.mark.parametrize("state", [{"enabled": False}, {"login_enabled": False}, {"deleted_at": OLD}])
async def test_a_participant_who_may_not_is_as_unknown_as_any(platform: Platform, state: dict[str, Any]) -> None:
    id = platform.world.here.participant
    await do(platform, "setParticipantPassword", "root", id=global_id("Participant", id), newPassword=NEW)
    wrong = await _participant(platform, password="not the password")
    statements = platform.counted.statements
    await change(platform, models.Participant, models.Participant.id == id, **state)
    for answer in (await _participant(platform), await _participant(platform, username="nobody")):
        assert answer == wrong
        assert platform.counted.statements == statements


async def test_a_new_password_ends_the_login_sessions_of_the_participant(platform: Platform) -> None:
    id = global_id("Participant", platform.world.here.participant)
    await do(platform, "setParticipantPassword", "maria", id=id, newPassword=NEW)
    tokens = await _participant(platform)
    await do(platform, "setParticipantPassword", "maria", id=id, newPassword=f"{NEW} again")
    with pytest.raises(Unauthenticated):
        await principal(platform, tokens)
    assert (await _participant(platform))["code"] == "UNAUTHENTICATED"


async def test_participants_and_users_are_signed_in_apart(platform: Platform) -> None:
    assert (await _participant(platform, username="tom", password=PASSWORD))["code"] == "UNAUTHENTICATED"
    assert (await log_in(platform, "p01-protons", NEW))["code"] == "UNAUTHENTICATED"
