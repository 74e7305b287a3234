"""Tokens of specs read specs of their owner and install their packages, until they end; they do nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from db.models import Credential
from gateway.protocol.packages import pages
from schema.fields.scalars import key_of
from tests.support.serving import Serve, Served
from tests.support.spec_owners import SpecOwner, publish
from tests.support.specs import described

MAKE = """mutation($label: String!, $spec: ID, $expiresAt: DateTime!, $replace: Boolean!) {
  done: createSpecToken(label: $label, spec: $spec, expiresAt: $expiresAt, replace: $replace) { __typename
    ... on IssuedCredential { secret publicKey credential { id kind label expiresAt spec { canonicalName } } }
    ... on Problem { code message field } } }"""
SPECS = "{specs(first: 9) {nodes {canonicalName latestVersion {source files(first: 9) {nodes {name}}}}} viewer {id} credentials(first: 9) {nodes {id}}}"


def after(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


class Holder:
    """Tom with two specs, and with tokens of them."""

    def __init__(self, owner: SpecOwner, specs: dict[str, str]) -> None:
        self.owner = owner
        self.specs = specs

    async def make(
        self, label: str = "ci", spec: str | None = None, *, seconds: float = 600, replace: bool = False
    ) -> Any:
        given = {"label": label, "spec": spec and self.specs[spec], "expiresAt": after(seconds), "replace": replace}
        return (await self.owner.gateway.ask(MAKE, self.owner.bearer, **given))["done"]

    async def page(self, path: str, secret: str) -> Any:
        auth = ("__token__", secret)
        return await self.owner.gateway.client.get(path, auth=auth, headers={"Accept": pages.JSON})


@pytest.fixture
async def tom(serve: Serve, backend: str) -> Holder:
    gateway: Served = await serve(backend)
    owner = SpecOwner(gateway, await gateway.log_in("tom"))
    made = {name: await publish(owner, name, described("Magnet", version="1.0")) for name in ("beam", "dose")}
    return Holder(owner, {name: one["spec"]["id"] for name, one in made.items()})


async def test_a_token_of_all_specs_reads_them_and_installs_their_packages(tom: Holder) -> None:
    made = await tom.make()
    assert (made["credential"]["kind"], made["credential"]["spec"], made["publicKey"]) == ("SPEC_TOKEN", None, None)
    names = [one["name"] for one in (await tom.page("/simple/", made["secret"])).json()["projects"]]
    assert names == ["beam", "dose"]
    (file, *_) = (await tom.page("/simple/beam/", made["secret"])).json()["files"]
    assert (await tom.page(f"/simple/beam/{file['filename']}", made["secret"])).status_code == 200
    found = await tom.owner.gateway.ask(SPECS, f"Bearer {made['secret']}")
    assert {one["canonicalName"] for one in found["specs"]["nodes"]} == {"beam", "dose", "clinic"}
    assert [len(one["latestVersion"]["files"]["nodes"]) for one in found["specs"]["nodes"]] == [2, 0, 2]
    assert (found["viewer"], found["credentials"]["nodes"]) == (None, [])


async def test_a_token_of_one_spec_reads_that_one(tom: Holder) -> None:
    made = await tom.make(spec="dose")
    assert made["credential"]["spec"] == {"canonicalName": "dose"}
    assert [one["name"] for one in (await tom.page("/simple/", made["secret"])).json()["projects"]] == ["dose"]
    assert (await tom.page("/simple/beam/", made["secret"])).status_code == 404
    assert (await tom.page("/simple/beam/beam-1.0.tar.gz", made["secret"])).status_code == 404
    assert (await tom.page("/simple/dose/", made["secret"])).status_code == 200
    found = await tom.owner.gateway.ask(SPECS, f"Bearer {made['secret']}")
    assert [one["canonicalName"] for one in found["specs"]["nodes"]] == ["dose"]


async def test_a_token_changes_nothing(tom: Holder) -> None:
    secret = (await tom.make())["secret"]
    for mutation in (f'deleteSpec(id:"{tom.specs["beam"]}")', "deleteAllSpecs", "revokeAllCredentials"):
        query = f"mutation{{done:{mutation}{{...on Problem{{code}}}}}}"
        assert (await tom.owner.gateway.ask(query, f"Bearer {secret}"))["done"]["code"] == "UNAUTHENTICATED", mutation
    given = {"label": "more", "spec": None, "expiresAt": after(60), "replace": False}
    assert (await tom.owner.gateway.ask(MAKE, f"Bearer {secret}", **given))["done"]["code"] == "UNAUTHENTICATED"


async def test_a_token_ends_when_it_is_revoked_replaced_or_its_owner_is_disabled(tom: Holder) -> None:
    gateway = tom.owner.gateway

    async def works(secret: str) -> bool:
        return (await tom.page("/simple/", secret)).status_code == 200

    first = await tom.make()
    assert (await tom.make())["code"] == "CONFLICT"
    second = await tom.make(replace=True)
    assert (await works(first["secret"]), await works(second["secret"])) == (False, True)
    revoke = "mutation($id:ID!){done:revokeCredential(id:$id){__typename}}"
    await gateway.ask(revoke, tom.owner.bearer, id=second["credential"]["id"])
    assert not await works(second["secret"])
    third = await tom.make("third")
    await gateway.ask("mutation{done:revokeAllCredentials{__typename}}", tom.owner.bearer)
    assert not await works(third["secret"])
    fourth = await tom.make("fourth")
    assert await works(fourth["secret"])
    root = await gateway.log_in("root")
    me = (await gateway.ask("{viewer{id version}}", tom.owner.bearer))["viewer"]
    off = "mutation($id:ID!,$v:Int!){done:updateUser(id:$id,expectedVersion:$v,input:{active:false}){__typename}}"
    assert (await gateway.ask(off, root, id=me["id"], v=me["version"]))["done"]["__typename"] == "User"
    assert not await works(fourth["secret"])


async def test_a_token_of_one_spec_ends_with_it(tom: Holder) -> None:
    secret = (await tom.make(spec="dose"))["secret"]
    assert (await tom.page("/simple/", secret)).status_code == 200
    await tom.owner.run("deleteSpec", tom.specs["dose"])
    assert (await tom.page("/simple/", secret)).status_code == 401


async def test_what_is_no_token_is_told(tom: Holder) -> None:
    assert ((await tom.make(seconds=-1))["code"], (await tom.make(""))["code"]) == ("INVALID", "INVALID")
    maria = SpecOwner(tom.owner.gateway, await tom.owner.gateway.log_in("maria"))
    found = await Holder(maria, tom.specs).make(spec="beam")
    assert (found["code"], found["field"]) == ("NOT_FOUND", "spec")
    bad = await tom.page("/simple/", "tk_" + "0" * 49)
    assert (bad.status_code, bad.headers["WWW-Authenticate"][:5]) == (401, "Basic")
    key = (
        await tom.owner.gateway.ask(
            'mutation{done:createApiKey(label:"k",scopes:[WRITE]){...on IssuedCredential{secret}}}', tom.owner.bearer
        )
    )["done"]
    by_key = {"label": "x", "spec": None, "expiresAt": after(60), "replace": False}
    assert (await tom.owner.gateway.ask(MAKE, f"Bearer {key['secret']}", **by_key))["done"]["code"] == "FORBIDDEN"


async def test_the_secret_of_a_token_is_stored_as_a_digest(tom: Holder) -> None:
    made = await tom.make()
    wanted = sa.select(*Credential.__table__.columns).where(
        Credential.id == key_of("Credential", made["credential"]["id"])
    )
    (row,) = await tom.owner.gateway.services.database.rows(wanted)
    assert not any(made["secret"] in str(value) for value in row)
