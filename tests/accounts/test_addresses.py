"""E-mail addresses: what is taken, and which spellings are the same."""

from typing import Any

import pytest
import sqlalchemy as sa

from db import migrating, models
from db.types import uuid7
from resolvers.spelling import global_id
from tests.support.databases import Prepared
from tests.support.platforms import Platform
from tests.support.signing import change_user, log_in, signed_in
from tests.support.world import PASSWORD

ON_SQLITE = True

SAME = ["user@müller.example", "User@xn--mller-kva.example", " user@MÜLLER.example"]
UNMAILABLE = ["jürg@example.org", "a..b@example.org", "a@localhost", '"a b"@example.org', ".a@example.org", "a@x", f"{'x' * 65}@example.org", "a@-x.org", "a@[127.0.0.1]", "a@exa\u00admple.org\0"]  # fmt: skip


@pytest.mark.both
async def test_the_spellings_of_an_address_are_one_account(platform: Platform) -> None:
    create = """mutation($n:String!,$e:String!){r:createUser(input:{username:$n,email:$e}){
        ...on User{id email} ...on Problem{code field}}}"""
    first = (await platform.ask(create, "root", n="ulla", e=SAME[0]))["r"]
    assert first["email"] == SAME[1].lower()
    for n, same in enumerate(SAME):
        assert (await platform.ask(create, "root", n=f"u-{n}", e=same.strip()))["r"]["code"] == "CONFLICT"
    setting = "mutation($i:ID!,$p:String!){r:setPassword(id:$i,newPassword:$p){__typename}}"
    assert (await platform.ask(setting, "root", i=first["id"], p=PASSWORD))["r"]["__typename"] == "User"
    for same in SAME:
        assert (await log_in(platform, same, PASSWORD))["__typename"] == "Tokens"


@pytest.mark.parametrize("email", UNMAILABLE)
async def test_an_address_that_can_not_be_mailed_is_refused(platform: Platform, email: str) -> None:
    asked = {
        "createUser": 'mutation($e:String!){r:createUser(input:{username:"uwe",email:$e}){...on Problem{code field}}}',
        "updateUser": "mutation($e:String!,$i:ID!){r:updateUser(id:$i,expectedVersion:1,input:{email:$e}){...on Problem{code field}}}",
        "createParticipant": "mutation($e:String!,$p:ID!){r:createParticipant(input:{name:\"p\",project:$p,email:$e}){...on Problem{code field}}}",
    }  # fmt: skip
    given = {"i": global_id("User", platform.world.tom), "p": global_id("Project", platform.world.shared)}
    for query in asked.values():
        used = {name: value for name, value in given.items() if f"${name}:" in query}
        answer = await platform.ask(query, "root", e=email, **used)
        assert answer["r"] == {"code": "INVALID", "field": "input.email"}


@pytest.mark.both
@pytest.mark.parametrize("old", ["user@müller.example", "jürg@example.org", "a..b@example.org", "a@localhost"])
async def test_an_address_of_before_the_rules_still_signs_in_and_is_found(platform: Platform, old: str) -> None:
    await change_user(platform, platform.world.tom, email=old)
    assert (await log_in(platform, old.upper(), PASSWORD))["__typename"] == "Tokens"
    found = await platform.ask("query($t:String!){users(first:9,filter:{text:$t}){nodes{username}}}", "root", t=old)
    assert [user["username"] for user in found["users"]["nodes"]] == ["tom"]
    renaming = 'mutation($i:ID!,$v:Int!){r:updateUser(id:$i,expectedVersion:$v,input:{lastName:"T"}){__typename}}'
    tom = (await platform.ask("{viewer{id version}}", "tom"))["viewer"]
    assert (await platform.ask(renaming, "root", i=tom["id"], v=tom["version"]))["r"]["__typename"] == "User"
    await signed_in(platform, old, PASSWORD)
    reset = "mutation($e:String!){r:requestPasswordReset(email:$e){__typename}}"
    assert (await platform.ask(reset, e=old))["r"]["__typename"] == "MailSent"


async def test_the_migration_puts_domains_into_one_form_and_keeps_json_values(prepared: Prepared, backend: str) -> None:
    url = await prepared.empty(backend, "addresses")
    await migrating.migrate(url, "9a7c31f0e582")
    given = [
        "user@müller.example",
        "other@müller.example",
        "other@xn--mller-kva.example",
        "jürg@example.org",
        "a@x.example",
    ]
    values: list[Any] = [7, "text", {"a": [1.5]}, True, "12"]
    columns = {"auth_provider": "LOCAL", "email_verified": True, "active": True, "superadmin": False}

    def fill(connection: sa.Connection) -> None:
        then = {column["name"] for column in sa.inspect(connection).get_columns("users")}
        shown = [column for column in models.User.__table__.columns if column.name in then]
        users = sa.Table("users", sa.MetaData(), *(column._copy() for column in shown))
        preferences = models.Preference.__table__
        for n, (email, value) in enumerate(zip(given, values, strict=True)):
            key = uuid7()
            connection.execute(sa.insert(users).values(id=key, username=f"u{n}", email=email, version=1, **columns))
            row = {"id": uuid7(), "user_id": key, "app_tag": "x", "value": value, "version": 1}
            connection.execute(sa.insert(preferences).values(**row))

    async with migrating._alone(url) as connection:
        await connection.run_sync(fill)
    await migrating.migrate(url)
    wanted = (
        sa.select(models.User.email, models.Preference.value).join(models.Preference).order_by(models.User.username)
    )
    async with migrating._alone(url) as connection:
        rows = (await connection.execute(wanted)).all()
    assert [row.email for row in rows] == ["user@xn--mller-kva.example", *given[1:]]
    assert [row.value for row in rows] == values
    assert await migrating.differences(url) == []
