"""What lets one into an account is given by those who could do all that the account can do."""

import pytest
import sqlalchemy as sa

from db import models
from db.models import PlatformRole, TwoFactor
from resolvers.access.roles import enrol
from resolvers.spelling import global_id
from tests.support.platforms import Platform

UPDATE = "mutation($i:ID!,$v:Int!,$c:UserChanges!){updateUser(id:$i,expectedVersion:$v,input:$c){__typename ... on User{email emailVerified} ... on Problem{code}}}"
PASSWORD = (
    'mutation($i:ID!){setPassword(id:$i,newPassword:"quartz lantern sparrow 42"){__typename ... on Problem{code}}}'
)
REMOVE = "mutation($i:ID!){removeTwoFactor(id:$i){__typename ... on User{twoFactor} ... on Problem{code}}}"


async def _update(platform: Platform, who: str, **changes: object) -> dict[str, object]:
    (row,) = await platform.services.database.rows(
        sa.select(models.User.version).where(models.User.id == platform.world.tom)
    )
    given = {"i": global_id("User", platform.world.tom), "v": row.version, "c": changes}
    found: dict[str, object] = (await platform.ask(UPDATE, who, **given))["updateUser"]
    return found


async def _also_elsewhere(platform: Platform) -> None:
    """Tom gets a role in a site that sita does not administer."""
    async with platform.services.database.write(as_system="test") as session:
        site = await session.get_one(models.Site, platform.world.there.site)
        await enrol(session, site, platform.world.tom)


async def test_a_site_administrator_changes_the_address_of_a_user_of_that_site_alone(platform: Platform) -> None:
    found = await _update(platform, "sita", email="new@torana.example")
    assert found == {"__typename": "User", "email": "new@torana.example", "emailVerified": False}


@pytest.mark.parametrize("changes", [{"email": "mine@torana.example"}, {"active": False}, {"emailVerified": True}])
async def test_not_of_one_who_has_a_role_elsewhere(platform: Platform, changes: dict[str, object]) -> None:
    await _also_elsewhere(platform)
    assert (await _update(platform, "sita", **changes))["code"] == "FORBIDDEN"
    assert (await _update(platform, "sita", affiliation="Harbour Clinic"))["__typename"] == "User"


async def test_nor_a_password(platform: Platform) -> None:
    id = global_id("User", platform.world.tom)
    assert (await platform.ask(PASSWORD, "sita", i=id))["setPassword"]["__typename"] == "User"
    await _also_elsewhere(platform)
    assert (await platform.ask(PASSWORD, "sita", i=id))["setPassword"]["code"] == "FORBIDDEN"


async def test_nor_of_a_manager(platform: Platform) -> None:
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(
            sa.update(models.User)
            .where(models.User.id == platform.world.tom)
            .values(platform_role=PlatformRole.MANAGER, version=models.User.version + 1)
        )
    assert (await _update(platform, "sita", email="mine@torana.example"))["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("who", "answer"),
    [
        ("sita", {"__typename": "User", "twoFactor": None}),
        ("root", {"__typename": "User", "twoFactor": "NONE"}),
        ("maria", {"__typename": "Problem", "code": "FORBIDDEN"}),
        ("tom", {"__typename": "Problem", "code": "FORBIDDEN"}),
    ],
)
async def test_a_lost_second_factor_is_removed_by_administrators_and_ends_the_login_sessions(
    platform: Platform, who: str, answer: dict[str, object]
) -> None:
    tom = platform.world.tom
    await platform.principal("tom")
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(
            sa.update(models.User).where(models.User.id == tom).values(two_factor=TwoFactor.TOTP, version=2)
        )
    asker = await platform.principal(who)
    found = (await platform.answer(REMOVE, asker, i=global_id("User", tom))).body["data"]["removeTwoFactor"]
    assert found == answer
    live = sa.select(sa.func.count()).where(
        models.Credential.user_id == tom,
        models.Credential.kind == models.CredentialKind.LOGIN_SESSION,
        models.Credential.revoked_at.is_(None),
    )
    (row,) = await platform.services.database.rows(live)
    assert (row[0] == 0) == (answer["__typename"] == "User")
