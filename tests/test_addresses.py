"""E-mail addresses: what is taken, and which spellings are the same."""

import pytest

from schema.scalars import global_id
from tests.support.platforms import Platform
from tests.support.signing import change_user, log_in, signed_in
from tests.support.world import PASSWORD

ON_SQLITE = True

SAME = ["user@müller.example", "User@xn--mller-kva.example", " user@MÜLLER.example"]
UNMAILABLE = ["jürg@example.org", "a..b@example.org", "a@localhost", '"a b"@example.org', ".a@example.org", "a@x", "a@-x.org", "a@[127.0.0.1]", "a@exa\u00admple.org\0"]  # fmt: skip


@pytest.mark.both
async def test_the_spellings_of_an_address_are_one_account(platform: Platform) -> None:
    create = """mutation($n:String!,$e:String!){r:createUser(input:{username:$n,email:$e}){
        ...on User{id email} ...on Problem{code field}}}"""
    first = (await platform.ask(create, "root", n="ulla", e=SAME[0]))["r"]
    assert first["email"] == SAME[1].lower()
    for n, same in enumerate(SAME):
        assert (await platform.ask(create, "root", n=f"u-{n}", e=same.strip()))["r"]["code"] == "CONFLICT"
    setting = "mutation($i:ID!,$p:String!){r:setPassword(user:$i,newPassword:$p){__typename}}"
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
