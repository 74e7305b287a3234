"""Accounts that people make for themselves, links in mails, and new passwords."""

import asyncio
import hashlib
import time
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db import models
from db.models import Credential, CredentialKind
from gateway.protocol.authentication import authenticate
from gateway.settings import SettingsError, load
from resolvers import maintenance
from resolvers.access.policy import policies
from resolvers.context import Context
from resolvers.failures import Invalid, Unauthenticated
from resolvers.identity.password_rules import Leaked, check_new
from resolvers.identity.principal import ANONYMOUS, Duty
from resolvers.limits import Bound
from resolvers.organisation import device_registration
from resolvers.spelling import global_id
from resolvers.writing import rate_limits, refusals
from resolvers.writing.constraints import everywhere
from tests.support.platforms import KEY, Platform
from tests.support.signing import (
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
    token_in,
    user_of,
)
from tests.support.world import PASSWORD

ON_SQLITE = True

NEW = "quiet water under the bridge"
OLD = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def open_(platform: Platform) -> Platform:
    """A gateway at which anyone may make an account."""
    platform.services = replace(
        platform.services, entrance=replace(platform.services.entrance, address="https://torana.example", sign_up=True)
    )
    return platform


async def _sign_up(platform: Platform, **given: Any) -> Any:
    input = {"username": "ann", "email": "Ann@Torana.example", "password": NEW, **given}
    return await do(platform, "signUp", input=input)


# Making an account --------------------------------------------------------------------------------------------------


async def test_an_account_is_made_and_its_address_confirmed(open_: Platform) -> None:
    assert await _sign_up(open_, username="Ann", firstName="Ann", language="fr") == {
        "__typename": "MailSent",
        "to": "ann@torana.example",
    }
    (mail,) = await mails(open_)
    assert (mail.recipient, mail.template_key) == ("ann@torana.example", "email_verification")
    assert "https://torana.example/verify-email#token=" in mail.text
    assert "Bonjour ann" in mail.text
    ann = await signed_in(open_, "ann", NEW)
    assert ann.duties == {Duty.VERIFY_EMAIL}
    token = await token_in(open_, "email_verification")
    assert (await do(open_, "verifyEmail", token=token))["__typename"] == "Done"
    assert (await signed_in(open_, "ann", NEW)).duties == frozenset()
    assert (await open_.ask("{viewer{firstName}}", ann))["viewer"] == {"firstName": "Ann"}
    assert {"SIGN_UP", "VERIFY_EMAIL"} <= set(await audited(open_))


async def test_no_account_is_made_where_that_is_for_administrators(platform: Platform) -> None:
    assert (await _sign_up(platform))["code"] == "FORBIDDEN"
    assert await mails(platform) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"username": "tom"}, "The name tom is taken"),
        ({"username": "TOM"}, "The name tom is taken"),
        ({"email": "tom@torana.example"}, "You have one already"),
        ({"username": "tom", "email": "Tom@torana.example"}, "You have one already"),
    ],
)
async def test_what_is_taken_is_told_by_mail_only(open_: Platform, given: dict[str, str], told: str) -> None:
    free = await _sign_up(open_, username="free", email="free@torana.example")
    statements = open_.counted.statements
    users = await open_.services.database.rows(sa.select(models.User.id))
    taken = await _sign_up(open_, **given)
    assert taken["__typename"] == free["__typename"]
    assert open_.counted.statements == statements
    mail = (await mails(open_, "sign_up_refused"))[-1]
    assert mail.recipient == taken["to"] == given.get("email", "ann@torana.example").lower()
    assert told in mail.text
    assert await open_.services.database.rows(sa.select(models.User.id)) == users
    assert (await log_in(open_))["__typename"] == "Tokens"


@pytest.mark.both
async def test_of_two_who_want_a_name_at_once_one_gets_it(open_: Platform) -> None:
    answers = await asyncio.gather(*(_sign_up(open_, email=f"ann{n}@torana.example") for n in range(4)))
    assert {answer["__typename"] for answer in answers} == {"MailSent"}
    named = await open_.services.database.rows(sa.select(models.User.id).where(models.User.username == "ann"))
    assert len(named) == 1
    assert len(await mails(open_, "sign_up_refused")) == 3


async def test_the_name_of_a_deleted_user_stays_taken_and_the_address_does_not(open_: Platform) -> None:
    await change_user(open_, open_.world.tom, deleted_at=OLD)
    await _sign_up(open_, username="tom")
    assert "The name tom is taken" in (await mails(open_))[-1].text
    await _sign_up(open_, email="tom@torana.example")
    assert (await mails(open_))[-1].template_key == "email_verification"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"username": "a"}, "input.username"),
        ({"username": "a" * 151}, "input.username"),
        ({"username": "ann smith"}, "input.username"),
        ({"username": "ann@torana.example"}, "input.username"),
        ({"username": "änn"}, "input.username"),
        ({"username": "ann\n"}, None),
        ({"email": "ann"}, "input.email"),
        ({"email": "ann@x.example, tom@x.example"}, "input.email"),
        ({"email": "ann@x.example\nBcc: tom@x.example"}, "input.email"),
        ({"password": "short"}, "input.password"),
        ({"firstName": "x" * 151}, "input.firstName"),
        ({"firstName": "Ann\n"}, "input.firstName"),
        ({"language": "../en"}, "input.language"),
        ({"language": "x" * 20}, "input.language"),
    ],
)
async def test_what_can_not_be_an_account_is_told(open_: Platform, given: dict[str, str], field: str | None) -> None:
    answer = await _sign_up(open_, **given)
    assert (answer.get("code"), answer.get("field")) == ("INVALID" if field else None, field)


async def test_what_is_not_offered_can_not_be_given(open_: Platform) -> None:
    for more in ("superadmin: true", "active: true", "platformRole: MANAGER", "emailVerified: true"):
        query = (
            f'mutation{{signUp(input:{{username:"ann",email:"a@x.example",password:"{NEW}",{more}}}){{__typename}}}}'
        )
        assert await open_.refused(query) == ["GRAPHQL_VALIDATION_FAILED"]


# Confirming an address ----------------------------------------------------------------------------------------------


@pytest.mark.both
async def test_a_link_confirms_once_and_says_so_when_it_is_opened_again(open_: Platform) -> None:
    await _sign_up(open_)
    token = await token_in(open_, "email_verification")
    query = "mutation($t:String!){r:verifyEmail(token:$t){...on Done{at} ...on Problem{code}}}"
    answers = await asyncio.gather(*(open_.ask(query, t=token) for _ in range(3)))
    answers.append(await open_.ask(query, t=token))
    assert len({answer["r"].get("at") for answer in answers}) == 1
    confirmed = sa.select(sa.func.count()).where(models.AuditEvent.action == "VERIFY_EMAIL")
    assert [row[0] for row in await open_.services.database.rows(confirmed)] == [1]


@pytest.mark.parametrize("how", ["guessed", "address", "over"])
async def test_a_used_link_tells_nothing_else(open_: Platform, how: str) -> None:
    await _sign_up(open_)
    token = await token_in(open_, "email_verification")
    await do(open_, "verifyEmail", token=token)
    if how == "address":
        await change(open_, models.User, models.User.username == "ann", email="other@torana.example")
    elif how == "over":
        await change(open_, Credential, Credential.kind == CredentialKind.EMAIL_VERIFY, expires_at=OLD)
    answer = await do(open_, "verifyEmail", token="x" * len(token) if how == "guessed" else token)
    assert (answer["code"], answer["field"]) == ("INVALID", "token")


async def test_only_the_newest_link_confirms(open_: Platform) -> None:
    await _sign_up(open_)
    first = await token_in(open_, "email_verification")
    await do(open_, "resendVerification", email="ANN@torana.example ")
    second = await token_in(open_, "email_verification")
    assert (await do(open_, "verifyEmail", token=first))["code"] == "INVALID"
    assert (await do(open_, "verifyEmail", token=second))["__typename"] == "Done"


async def test_a_link_confirms_for_a_day(open_: Platform) -> None:
    await _sign_up(open_)
    kind = Credential.kind == CredentialKind.EMAIL_VERIFY
    (row,) = await open_.services.database.rows(sa.select(Credential.expires_at, Credential.created_at).where(kind))
    assert 23 * 3600 < (row.expires_at - row.created_at).total_seconds() <= 24 * 3600 + 1
    await change(open_, Credential, kind, expires_at=OLD)
    assert (await do(open_, "verifyEmail", token=await token_in(open_, "email_verification")))["code"] == "INVALID"


async def test_a_link_confirms_the_address_that_it_went_to(open_: Platform) -> None:
    await _sign_up(open_)
    await change(open_, models.User, models.User.username == "ann", email="other@torana.example")
    answer = await do(open_, "verifyEmail", token=await token_in(open_, "email_verification"))
    assert answer["code"] == "INVALID"
    assert (await signed_in(open_, "ann", NEW)).duties == {Duty.VERIFY_EMAIL}


@pytest.mark.both
async def test_who_confirms_while_signed_in_goes_on_at_once(open_: Platform) -> None:
    await _sign_up(open_)
    ann = await signed_in(open_, "ann", NEW)
    token = await token_in(open_, "email_verification")
    query = """mutation($t:String!){verifyEmail(token:$t){__typename}
      updateProfile(expectedVersion:2,input:{firstName:"Ann"}){__typename}}"""
    done = await open_.ask(query, ann, t=token)
    assert done == {"verifyEmail": {"__typename": "Done"}, "updateProfile": {"__typename": "User"}}


async def test_tokens_of_links_are_stored_as_hashes(open_: Platform) -> None:
    await _sign_up(open_)
    await do(open_, "requestPasswordReset", email="ann@torana.example")
    tokens = {await token_in(open_, template) for template in ("email_verification", "password_reset")}
    assert len(tokens) == 2
    stored = await open_.services.database.rows(sa.select(Credential.secret_hash, Credential.label, Credential.sealed))
    assert not tokens & {value for row in stored for value in row}


async def test_a_link_of_one_kind_does_nothing_else(open_: Platform) -> None:
    await _sign_up(open_)
    await do(open_, "requestPasswordReset", email="ann@torana.example")
    verify, reset = await token_in(open_, "email_verification"), await token_in(open_, "password_reset")
    assert (await do(open_, "verifyEmail", token=reset))["code"] == "INVALID"
    assert (await do(open_, "resetPassword", token=verify, newPassword=f"{NEW} again"))["code"] == "INVALID"
    assert (await ask(open_, REFRESH, t=reset))["code"] == "UNAUTHENTICATED"


# Resetting ----------------------------------------------------------------------------------------------------------


async def _link(platform: Platform) -> str:
    sent = await do(platform, "requestPasswordReset", email="tom@torana.example")
    assert sent == {"__typename": "MailSent", "to": "tom@torana.example"}
    return await token_in(platform, "password_reset")


async def test_a_password_is_reset_by_a_link_and_all_sessions_end(platform: Platform) -> None:
    tokens = await log_in(platform)
    token = await _link(platform)
    assert (await do(platform, "resetPassword", token=token, newPassword=NEW))["__typename"] == "Done"
    with pytest.raises(Unauthenticated):
        await principal(platform, tokens)
    assert (await ask(platform, REFRESH, t=tokens["refreshToken"]))["code"] == "UNAUTHENTICATED"
    assert (await log_in(platform))["code"] == "UNAUTHENTICATED"
    assert (await log_in(platform, "tom", NEW))["__typename"] == "Tokens"
    assert (await mails(platform))[-1].template_key == "password_changed"
    assert {"REQUEST_PASSWORD_RESET", "RESET_PASSWORD"} <= set(await audited(platform))


@pytest.mark.both
async def test_a_reset_link_works_once(platform: Platform) -> None:
    token = await _link(platform)
    answers = await asyncio.gather(
        *(do(platform, "resetPassword", token=token, newPassword=f"{NEW} {n}") for n in range(3))
    )
    assert sorted(answer["__typename"] for answer in answers) == ["Done", "Problem", "Problem"]
    again = await do(platform, "resetPassword", token=token, newPassword=NEW)
    assert (again["code"], again["field"]) == ("INVALID", "token")


async def test_a_newer_reset_link_ends_the_one_before(platform: Platform) -> None:
    first, second = await _link(platform), await _link(platform)
    assert (await do(platform, "resetPassword", token=first, newPassword=NEW))["code"] == "INVALID"
    assert (await do(platform, "resetPassword", token=second, newPassword=NEW))["__typename"] == "Done"


async def test_a_changed_password_ends_reset_links(platform: Platform) -> None:
    token = await _link(platform)
    await do(platform, "changePassword", "tom", oldPassword=PASSWORD, newPassword=NEW)
    assert (await do(platform, "resetPassword", token=token, newPassword=f"{NEW} again"))["code"] == "INVALID"


async def test_a_reset_link_holds_for_45_minutes(platform: Platform) -> None:
    token = await _link(platform)
    kind = Credential.kind == CredentialKind.PASSWORD_RESET
    (row,) = await platform.services.database.rows(sa.select(Credential.expires_at, Credential.created_at).where(kind))
    assert 44 * 60 < (row.expires_at - row.created_at).total_seconds() <= 45 * 60 + 1
    await change(platform, Credential, kind, expires_at=OLD)
    assert (await do(platform, "resetPassword", token=token, newPassword=NEW))["code"] == "INVALID"


async def test_a_refused_password_leaves_the_link(platform: Platform) -> None:
    token = await _link(platform)
    weak = await do(platform, "resetPassword", token=token, newPassword="password1234")
    assert (weak["code"], weak["field"]) == ("INVALID", "newPassword")
    assert (await do(platform, "resetPassword", token=token, newPassword=NEW))["__typename"] == "Done"


async def test_who_gets_an_account_back_ends_the_keys_that_were_made_in_it(platform: Platform) -> None:
    made = 'mutation{r:createApiKey(label:"x",scopes:[WRITE]){...on IssuedCredential{secret}}}'
    for again in ("link", "administrator"):
        key = (await platform.ask(made, "tom"))["r"]["secret"]
        assert (await authenticate(platform.services, f"Bearer {key}")).id == platform.world.tom
        if again == "link":
            await do(platform, "resetPassword", token=await _link(platform), newPassword=NEW)
        else:
            tom = platform.world.id("User", "tom")
            await do(platform, "setPassword", "root", id=tom, newPassword=f"{NEW} again")
        with pytest.raises(Unauthenticated):
            await authenticate(platform.services, f"Bearer {key}")


async def test_a_reset_does_not_replace_the_second_factor(platform: Platform) -> None:
    begun = await do(platform, "setUpTwoFactor", "tom", method="EMAIL", password=PASSWORD)
    assert begun["__typename"] == "TwoFactorSetup"
    await change_user(platform, platform.world.tom, two_factor=models.TwoFactor.EMAIL)
    await do(platform, "resetPassword", token=await _link(platform), newPassword=NEW)
    assert (await log_in(platform, "tom", NEW))["__typename"] == "TwoFactorNeeded"


async def test_a_reset_confirms_the_address_it_was_sent_to(open_: Platform) -> None:
    await _sign_up(open_)
    await do(open_, "requestPasswordReset", email="ann@torana.example")
    token = await token_in(open_, "password_reset")
    await do(open_, "resetPassword", token=token, newPassword=f"{NEW} again")
    assert (await signed_in(open_, "ann", f"{NEW} again")).duties == frozenset()


async def test_a_user_without_a_password_gets_one_by_a_link(platform: Platform) -> None:
    mine = (Credential.user_id == platform.world.tom, Credential.kind == CredentialKind.PASSWORD)
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.delete(Credential).where(*mine))
    await do(platform, "resetPassword", token=await _link(platform), newPassword=NEW)
    assert (await log_in(platform, "tom", NEW))["__typename"] == "Tokens"


@pytest.mark.parametrize(
    "state", [{"active": False}, {"deleted_at": OLD}, {"auth_provider": models.AuthProvider.KEYCLOAK}]
)
async def test_a_link_of_an_account_that_may_not_sign_in_here_is_refused(
    platform: Platform, state: dict[str, Any]
) -> None:
    token = await _link(platform)
    await change_user(platform, platform.world.tom, **state)
    answer = await do(platform, "resetPassword", token=token, newPassword=NEW)
    assert answer["code"] == "STATE"
    sent = len(await mails(platform))
    assert (await do(platform, "requestPasswordReset", email="tom@torana.example"))["__typename"] == "MailSent"
    assert len(await mails(platform)) == sent


@pytest.mark.both
async def test_who_may_not_set_a_password_has_none_judged_nor_hashed(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that many such calls keep nobody waiting, and none tells of the names that a password is judged by."""
    passwords, taken = platform.services.identity.passwords, []

    async def hashed(password: str) -> str:
        taken.append(password)
        return "x"

    async def judged(password: str, *_: Any) -> None:
        taken.append(password)

    monkeypatch.setattr(passwords, "hash", hashed)
    monkeypatch.setattr(passwords, "check", judged)
    eve, tom = await platform.principal("eve"), global_id("User", platform.world.tom)
    hidden = global_id("Participant", platform.world.there.participant)
    fields = [f'a{n}: setPassword(id: "{tom}", newPassword: "tom") {{ ...on Problem {{ code }} }}' for n in range(10)]
    for _ in range(15):
        answer = await platform.ask(f"mutation {{ {' '.join(fields)} }}", eve)
        assert {one["code"] for one in answer.values()} == {"FORBIDDEN"}
    assert (await do(platform, "setParticipantPassword", eve, id=hidden, newPassword="x"))["code"] == "NOT_FOUND"
    assert not taken
    assert (await audited(platform)).count("REFUSED") == 150
    await do(platform, "setPassword", "sita", id=tom, newPassword=NEW)
    assert taken == [NEW, NEW]


async def test_the_old_password_is_proved_before_the_new_one_is_judged(platform: Platform) -> None:
    tom = await signed_in(platform)
    said = [
        (await do(platform, "changePassword", tom, oldPassword="wrong", newPassword=new))["field"]
        for new in (NEW, "weak")
    ]
    assert said == ["oldPassword", "oldPassword"]


# Nobody learns who has an account -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mutation", ["requestPasswordReset", "resendVerification"])
async def test_unknown_and_known_addresses_get_the_same_answer_by_the_same_statements(
    platform: Platform, mutation: str
) -> None:
    await change_user(platform, platform.world.tom, email_verified=False)
    known = await do(platform, mutation, email="tom@torana.example")
    texts = [text.partition(" ")[0] for text in platform.counted.texts]
    unknown = await do(platform, mutation, email="nobody@torana.example")
    assert {**known, "to": ""} == {**unknown, "to": ""} == {"__typename": "MailSent", "to": ""}
    assert len(platform.counted.texts) == len(texts)
    assert [mail.recipient for mail in await mails(platform)] == ["tom@torana.example"]
    users = await platform.services.database.rows(sa.select(models.User.id).where(models.User.username.like("~%")))
    assert users == []


async def test_whose_address_is_confirmed_gets_no_further_link(platform: Platform) -> None:
    assert (await do(platform, "resendVerification", email="tom@torana.example"))["__typename"] == "MailSent"
    assert await mails(platform) == []


@pytest.mark.parametrize("mutation", ["requestPasswordReset", "resendVerification"])
async def test_mails_to_one_address_are_bounded(platform: Platform, mutation: str) -> None:
    for email in ("tom@torana.example", "nobody@torana.example"):
        said = [(await do(platform, mutation, email=email)).get("code") for _ in range(6)]
        assert said == [None] * 5 + ["RATE_LIMITED"]


@pytest.mark.parametrize(
    ("mutation", "variables"),
    [
        ("verifyEmail", {"token": "x"}),
        ("resetPassword", {"token": "x", "newPassword": NEW}),
        ("logInParticipant", {"username": "x", "password": "x"}),
        ("refresh", {"refreshToken": "x"}),
        ("requestPasswordReset", {"email": "x@x.example"}),
    ],
)
async def test_attempts_from_one_address_are_bounded(
    platform: Platform, mutation: str, variables: dict[str, str]
) -> None:
    platform.services = replace(platform.services, limits=replace(platform.services.limits, sign_ins_per_address=3))
    said = [(await do(platform, mutation, **variables)).get("code") for _ in range(4)]
    assert said[3] == "RATE_LIMITED"
    assert "RATE_LIMITED" not in said[:3]


async def test_right_refreshes_are_not_bounded(platform: Platform) -> None:
    platform.services = replace(platform.services, limits=replace(platform.services.limits, sign_ins_per_address=3))
    tokens = await log_in(platform)
    for _ in range(6):
        tokens = await ask(platform, REFRESH, t=tokens["refreshToken"])
        assert tokens["__typename"] == "Tokens"


async def test_many_sign_ins_in_one_document_are_refused(platform: Platform) -> None:
    fields = " ".join(f'a{n}: logIn(username: "tom", password: "{n}") {{ __typename }}' for n in range(200))
    assert await platform.refused(f"mutation {{ {fields} }}") == ["GRAPHQL_PARSE_FAILED"]
    fields = " ".join(f'a{n}: logIn(username: "tom", password: "{n}") {{ __typename }}' for n in range(21))
    assert await platform.refused(f"mutation {{ {fields} }}") == ["LIMIT_EXCEEDED"]
    few = " ".join(f'a{n}: logIn(username: "tom", password: "{n}") {{ ... on Problem {{ code }} }}' for n in range(8))
    answer = await platform.ask(f"mutation {{ {few} }}")
    assert [one["code"] for one in answer.values()] == ["UNAUTHENTICATED"] * 5 + ["RATE_LIMITED"] * 3


# Changing and setting -----------------------------------------------------------------------------------------------


async def test_the_new_password_is_another(platform: Platform) -> None:
    answer = await do(platform, "changePassword", "tom", oldPassword=PASSWORD, newPassword=PASSWORD)
    assert (answer["code"], answer["field"]) == ("INVALID", "newPassword")


async def test_a_changed_password_is_told_by_mail(platform: Platform) -> None:
    await change_user(platform, platform.world.tom, notified=False)
    await do(platform, "changePassword", "tom", oldPassword=PASSWORD, newPassword=NEW)
    assert [(mail.recipient, mail.template_key) for mail in await mails(platform)] == [
        ("tom@torana.example", "password_changed")
    ]


@pytest.mark.parametrize(
    ("who", "whose", "code"),
    [
        ("root", "tom", None),
        ("root", "mona", None),
        ("sita", "tom", None),
        ("sita", "root", "FORBIDDEN"),
        ("sita", "eve", "FORBIDDEN"),
        ("maria", "tom", "FORBIDDEN"),
        ("tom", "maria", "FORBIDDEN"),
        ("mona", "tom", "FORBIDDEN"),
        ("tom", "tom", "FORBIDDEN"),
        ("root", "root", "FORBIDDEN"),
    ],
)
async def test_administrators_set_the_passwords_of_their_users(
    platform: Platform, who: str, whose: str, code: str | None
) -> None:
    tokens = await log_in(platform, whose)
    answer = await do(platform, "setPassword", who, id=platform.world.id("User", whose), newPassword=NEW)
    assert answer.get("code") == code
    if code is None:
        with pytest.raises(Unauthenticated):
            await principal(platform, tokens)
        assert (await signed_in(platform, whose, NEW)).duties == {Duty.CHANGE_PASSWORD}
        assert "SET_PASSWORD" in await audited(platform)
    else:
        assert (await log_in(platform, whose))["__typename"] == "Tokens"


async def test_a_site_admin_does_not_become_a_manager(platform: Platform) -> None:
    await change_user(platform, platform.world.tom, platform_role=models.PlatformRole.MANAGER)
    answer = await do(platform, "setPassword", "sita", id=platform.world.id("User", "tom"), newPassword=NEW)
    assert answer["code"] == "FORBIDDEN"


async def test_a_password_from_elsewhere_is_not_set_here(platform: Platform) -> None:
    await change_user(platform, platform.world.tom, auth_provider=models.AuthProvider.KEYCLOAK)
    answer = await do(platform, "setPassword", "root", id=platform.world.id("User", "tom"), newPassword=NEW)
    assert answer["code"] == "STATE"
    assert (await log_in(platform))["code"] == "UNAUTHENTICATED"


async def test_who_is_not_there_has_no_password(platform: Platform) -> None:
    nobody = global_id("User", platform.world.site)
    assert (await do(platform, "setPassword", "root", id=nobody, newPassword=NEW))["code"] == "NOT_FOUND"


async def test_an_update_of_oneself_gives_no_rights(platform: Platform) -> None:
    for more in ("active: false", "superadmin: true", "platformRole: MANAGER", "emailVerified: true", 'notes: "x"'):
        query = f"mutation{{updateProfile(expectedVersion:1,input:{{{more}}}){{__typename}}}}"
        assert await platform.refused(query, "tom") == ["GRAPHQL_VALIDATION_FAILED"]
    id = platform.world.id("User", "tom")
    for more in ("superadmin: true", "platformRole: MANAGER", "emailVerified: true", "active: true"):
        query = f'mutation{{r:updateUser(id:"{id}",expectedVersion:1,input:{{{more}}}){{...on Problem{{code}}}}}}'
        assert await ask(platform, query, "tom") == {"code": "FORBIDDEN"}
    row = await user_of(platform, platform.world.tom)
    assert (row.superadmin, row.platform_role, row.active) == (False, models.PlatformRole.READER, True)


async def test_the_token_of_a_changed_password_goes_on_and_others_end(platform: Platform) -> None:
    mine, other = await log_in(platform), await log_in(platform)
    done = await do(platform, "changePassword", await principal(platform, mine), oldPassword=PASSWORD, newPassword=NEW)
    assert done["__typename"] == "User"
    assert (await authenticate(platform.services, f"Bearer {mine['accessToken']}")).id == platform.world.tom
    with pytest.raises(Unauthenticated):
        await principal(platform, other)


# What a password must be --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    ["short", "x" * 11, "password1234", "qwertyuiop1234", "aaaaaaaaaaaaaaaaaaaa", "1qaz2wsx3edc4rfv", "tom.lindqvist1",
     "tom@torana.example", "TomTomTomTomTom", "lindqvist torana", "correct horse\nbattery", "correct horse\0battery",
     "x" * 1025],
)  # fmt: skip
def test_a_password_that_is_soon_guessed_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_new(password, "input.password", "tom", "tom@torana.example", "Tom", "Lindqvist", None)
    assert refused.value.field == "input.password"


def test_why_is_told() -> None:
    with pytest.raises(Invalid, match=r"12 to 1024 characters"):
        check_new("short", "password")
    with pytest.raises(Invalid, match=r"common one .* This is a very common password\."):
        check_new("password1234", "password")


@pytest.mark.parametrize(
    "password",
    [PASSWORD, NEW, "a new long password", "pöbel über äcker", "8f1c2b7e9a4d", "correct horse battery " * 40],
)
def test_a_good_password_is_taken(password: str) -> None:
    check_new(password, "password", "tom", "tom@torana.example")


async def test_a_password_is_the_same_from_every_keyboard(platform: Platform) -> None:
    await do(platform, "changePassword", "tom", oldPassword=PASSWORD, newPassword="pöbel über äcker")
    assert (await log_in(platform, "tom", "pöbel über äcker"))["__typename"] == "Tokens"


# Lost ones, and very long ones ----------------------------------------------------------------------------------------


def test_a_leaked_password_is_refused_wherever_it_stands_in_the_list(tmp_path: Path) -> None:
    lost = [f"Correct horse no {n}" for n in range(200)]
    hashes = sorted(hashlib.sha1(one.encode()).hexdigest().upper() for one in lost)
    for ending, count in (("\n", ":3"), ("\r\n", ":12345"), ("\n", "")):
        for given in (hashes, hashes[:1]):
            (tmp_path / "lost").write_bytes("".join(f"{one}{count}{ending}" for one in given).encode())
            leaked = Leaked(tmp_path / "lost")
            found = [one for one in lost if one in leaked]
            assert found == [one for one in lost if hashlib.sha1(one.encode()).hexdigest().upper() in given]
            assert "Correct horse no 200" not in leaked
    (tmp_path / "lost").write_text("\n".join(hashes))
    with pytest.raises(Invalid, match="was leaked"):
        check_new(lost[7], "password", leaked=Leaked(tmp_path / "lost"))
    check_new("Correct horse no 200", "password", leaked=Leaked(tmp_path / "lost"))


def test_a_list_of_leaked_passwords_is_looked_at_when_the_gateway_starts(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("password\n")
    for name, why in (("words", "SHA-1"), ("nowhere", "can't be read")):
        with pytest.raises(SettingsError, match=why):
            load(secret_keys=KEY, leaked_passwords=str(tmp_path / name))


async def test_a_password_of_any_length_costs_the_gateway_no_time(platform: Platform) -> None:
    """Unicode's order of marks would take seconds for this one, and the whole process with it."""
    given = "a" + "\u0301\u0316" * 32_000
    began = time.process_time()
    assert (await log_in(platform, "tom", given))["message"] == "a letter has at most 30 marks"
    assert time.process_time() - began < 1.0


async def test_whoever_is_disabled_signs_in_anew_afterwards(platform: Platform) -> None:
    tokens = await log_in(platform)
    tom = platform.world.id("User", "tom")
    for active in (False, True):
        version = (await platform.ask("query($i:ID!){node(id:$i){version}}", "root", i=tom))["node"]["version"]
        query = (
            "mutation($i:ID!,$v:Int!,$a:Boolean!){r:updateUser(id:$i,expectedVersion:$v,input:{active:$a}){__typename}}"
        )
        assert (await platform.ask(query, "root", i=tom, v=version, a=active))["r"]["__typename"] == "User"
    with pytest.raises(Unauthenticated):
        await authenticate(platform.services, f"Bearer {tokens['accessToken']}")
    refresh = "mutation($t:String!){r:refresh(refreshToken:$t){__typename ...on Problem{code}}}"
    assert (await platform.ask(refresh, None, t=tokens["refreshToken"]))["r"]["code"] == "UNAUTHENTICATED"
    assert (await log_in(platform))["__typename"] == "Tokens"


async def test_addresses_are_looked_at_in_one_way(platform: Platform) -> None:
    query = "mutation($i:NewUser!){r:createUser(input:$i){__typename ...on Problem{code field}}}"
    for n, wrong in enumerate(("o,b@x", "x(y)@x", '"a"@x', "a\nb@x", "a@b@c")):
        answer = (await platform.ask(query, "root", i={"username": f"u{n}x", "email": wrong}))["r"]
        assert (answer["code"], answer["field"]) == ("INVALID", "input.email")


async def test_a_name_that_would_break_a_mail_is_refused_in_a_profile(platform: Platform) -> None:
    query = "mutation($n:String!){r:updateProfile(expectedVersion:1,input:{firstName:$n}){...on Problem{code field}}}"
    answer = (await platform.ask(query, "tom", n="T\nBcc: x"))["r"]
    assert answer == {"code": "INVALID", "field": "input.firstName"}


@pytest.mark.both
async def test_who_makes_users_is_not_told_for_ever_which_addresses_are_taken(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "TAKEN", Bound(2, 86_400))
    query = "mutation($i:NewUser!){r:createUser(input:$i){__typename ...on Problem{code}}}"
    group = global_id("UserGroup", platform.world.here.members)

    async def told(username: str, email: str | None, who: str = "sita") -> str | None:
        given = {"username": username, "email": email, "groups": [group]}
        return (await platform.ask(query, who, i=given))["r"].get("code")  # type: ignore[no-any-return]

    assert [await told(f"u{n}", "eve@torana.example") for n in range(2)] == ["CONFLICT", "CONFLICT"]
    assert (await audited(platform)).count("REFUSED") == 2
    assert await told("u3", "eve@torana.example") == await told("u4", "nobody@torana.example") == "RATE_LIMITED"
    assert await told("u4", "nobody@torana.example", "root") is None


@pytest.mark.both
async def test_usernames_of_participants_elsewhere_are_bounded_alike(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "TAKEN", Bound(2, 86_400))
    new = "mutation($i:NewParticipant!){r:createParticipant(input:$i){__typename ...on Problem{code}}}"
    project, there = global_id("Project", platform.world.shared), platform.world.there.participant
    await change(platform, models.Participant, models.Participant.id == there, username="hidden")

    async def told(who: str, **given: Any) -> str | None:
        given = {"name": "x", "project": project, **given}
        return (await platform.ask(new, who, i=given))["r"].get("code")  # type: ignore[no-any-return]

    assert await told("tom", username="hidden") == await told("tom", username="free") == "FORBIDDEN"
    update = "mutation($i:ID!,$u:String!){r:updateParticipant(id:$i,expectedVersion:1,input:{username:$u}){__typename ...on Problem{code}}}"  # fmt: skip
    mine = global_id("Participant", platform.world.here.idle)
    assert await told("maria", username="hidden") == "CONFLICT"
    assert (await platform.ask(update, "maria", i=mine, u="hidden"))["r"]["code"] == "CONFLICT"
    assert (await audited(platform)).count("REFUSED") == 4
    assert await told("maria", username="hidden") == await told("maria", username="free") == "RATE_LIMITED"
    assert (await platform.ask(update, "maria", i=mine, u="free"))["r"]["code"] == "RATE_LIMITED"
    assert await told("maria") is None, "what tells nothing goes on"


def test_what_is_unique_over_all_places_is_known() -> None:
    """Of rows that people write; each is told a bounded number of times."""
    models_ = [policy.model for policy in policies() if policy.written]
    written = {model: everywhere(model) for model in models_ if {"username", "key", "name"} & everywhere(model)}
    assert {model.__name__: set(columns) for model, columns in written.items()} == {
        "User": {"username", "email", "auth_provider", "external_subject"},
        "Participant": {"username"},
        "DeviceType": {"key"},
        "Service": {"key"},
        "Cluster": {"name"},
        "ServerSetting": {"name"},
        "Job": {"key"},
        "File": {"name"},  # a public file takes the place of the one before
        "NotificationTemplate": {"key", "channel", "language"},  # those that hold everywhere
    }


async def test_only_superadmins_change_settings_of_the_server_and_refusals_are_on_record(platform: Platform) -> None:
    for call in ("setReadOnly(readOnly: true)", "newDeviceRegisterKey"):
        query = f"mutation {{ r: {call} {{ ...on Problem {{ code message }} }} }}"
        told = await ask(platform, query, "sita")
        assert (told["code"], "only superadmins may" in told["message"]) == ("FORBIDDEN", True)
    assert (await audited(platform)).count("REFUSED") == 2
    named = models.ServerSetting.name.in_((device_registration.SETTING, maintenance.SETTING))
    assert await platform.services.database.rows(sa.select(models.ServerSetting.id).where(named)) == []


async def test_right_passwords_keep_nobody_out_who_shares_the_address(platform: Platform) -> None:
    for _ in range(60):
        assert (await log_in(platform))["__typename"] == "Tokens"


def test_an_address_of_ipv4_counts_by_itself_however_it_is_written() -> None:
    def address(ip: str) -> str:
        return rate_limits.address_of(Context(Any, ANONYMOUS, {"ip": ip}))  # type: ignore[arg-type]

    assert address("::ffff:192.0.2.1") == address("192.0.2.1") != address("::ffff:192.0.2.2")
    assert address("2001:db8::1") == address("2001:db8::2") != address("2001:db8:0:1::1")


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2003"])
async def test_a_space_of_any_width_is_the_same_space(platform: Platform, space: str) -> None:
    typed = NEW.replace(" ", space)
    passwords = platform.services.identity.passwords
    await passwords.check(typed, "password")
    assert await passwords.verify(await passwords.hash(typed), NEW)


async def test_a_password_is_judged_as_it_is_hashed(platform: Platform) -> None:
    passwords = platform.services.identity.passwords
    for short in ("e\u0301" * 8, "\u1100\u1161\u11a8" * 5):
        with pytest.raises(Invalid, match="12 to 1024"):
            await passwords.check(short, "password")
    apart = "quiet wa\u0308ter " + "e\u0301" * 1000
    await passwords.check(apart, "password")
    assert await passwords.verify(await passwords.hash(unicodedata.normalize("NFC", apart)), apart)
    for wrong in (f"{NEW}\u200b", f"{NEW}\n", f"{NEW}\u2028"):
        with pytest.raises(Invalid, match="one line"):
            await passwords.check(wrong, "password")
