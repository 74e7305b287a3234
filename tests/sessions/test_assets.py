"""Assets of sessions: brought by devices, kept by services, held until checked, and fetched with a grant."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from db import models as m
from resolvers.spelling import global_id
from tests.support.matrix import mutate
from tests.support.platforms import Platform
from tests.support.serving import Serve, Served
from tests.support.sessioning import soon
from tests.support.uploading import Uploader, code

CONTENT = b"t,x\n0,1\n" * 1_000
FILE = (
    "query($i:ID!){file(id:$i){state size address downloadUrl refusal{code message} device{id} session{id} expiresAt}}"
)
GRANT = "mutation($f:[ID!]!,$m:Int!){createAssetGrant(files:$f,minutes:$m){...on AssetGrant{token expiresAt files}...on Problem{code field}}}"


@pytest.fixture
async def gateway(serve: Serve, backend: str) -> Served:
    return await serve(backend)


def token(served: Served, who: str) -> str:
    return f"Bearer {served.world.here.secrets[who]}"


async def held(served: Served, **given: Any) -> str:
    """A session that the device made."""
    query = "mutation($i:NewSession!){createSession(input:$i){...on Session{id}...on Problem{code field}}}"
    kind = await served.ask("{sessionTypes(first:1){nodes{id}}}", await served.log_in("tom"))
    given = {
        "type": kind["sessionTypes"]["nodes"][0]["id"], "project": served.world.here.id("Project", "project"),
        "name": "night", "startsAt": soon(hours=-1), "status": "IN_PROGRESS", **given,
    }  # fmt: skip
    made = await served.ask(query, token(served, "device"), i=given)
    id: str = made["createSession"]["id"]
    return id


async def brought(served: Served, session: str, **said: str) -> m.File:
    device = Uploader(served, token(served, "device"))
    return await device.ready(CONTENT, "sensor.csv", purpose="SESSION_ASSET", target=session, **said)


async def test_a_device_brings_an_asset_of_its_session(gateway: Served) -> None:
    session = await held(gateway)
    file = await brought(gateway, session, recordedAt="2026-01-05T09:00:00Z", expiresAt="2099-01-01T00:00:00Z")
    id = global_id("File", file.id)
    for who in ("device", "service"):
        found = (await gateway.ask(FILE, token(gateway, who), i=id))["file"]
        assert found["state"] == "READY"
        assert found["session"]["id"] == session
        assert found["expiresAt"].startswith("2099")
        answer = await gateway.client.get(found["downloadUrl"])
        assert answer.content == CONTENT
    assert (await gateway.ask(FILE, await gateway.log_in("eve"), i=id))["file"] is None
    device = Uploader(gateway, token(gateway, "device"))
    hidden = global_id("Session", gateway.world.sessions[1])
    refused = await device.begin(purpose="SESSION_ASSET", name="x.csv", size="5", target=hidden)
    assert refused["code"] == "NOT_FOUND"


async def test_a_grant_opens_its_files_for_anybody_and_no_other(gateway: Served) -> None:
    session = await held(gateway)
    mine, other = await brought(gateway, session), await brought(gateway, session)
    ids = [global_id("File", one.id) for one in (mine, other)]
    maria = await gateway.log_in("maria")
    made = (await gateway.ask(GRANT, maria, f=ids[:1], m=5))["createAssetGrant"]
    assert made["files"] == ids[:1]
    given = {"grant": made["token"]}
    answer = await gateway.client.get(f"/files/{ids[0]}/x", params=given)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert code(await gateway.client.get(f"/files/{ids[1]}/x", params=given)) == (401, "UNAUTHENTICATED")
    forged = {"grant": made["token"][:-4] + "AAAA"}
    assert code(await gateway.client.get(f"/files/{ids[0]}/x", params=forged)) == (401, "UNAUTHENTICATED")
    ticket = parse_qs(urlsplit((await gateway.ask(FILE, maria, i=ids[0]))["file"]["downloadUrl"]).query)["ticket"][0]
    assert code(await gateway.client.get(f"/files/{ids[0]}/x", params={"grant": ticket})) == (401, "UNAUTHENTICATED")
    await gateway.ask("mutation{logOut{__typename}}", maria)
    assert code(await gateway.client.get(f"/files/{ids[0]}/x", params=given)) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("who", "files", "minutes", "expected"),
    [
        ("eve", 1, 5, {"code": "NOT_FOUND", "field": "files.0"}),
        ("maria", 0, 5, {"code": "INVALID", "field": "files"}),
        ("maria", 1, 0, {"code": "INVALID", "field": "minutes"}),
        ("maria", 1, 61, {"code": "INVALID", "field": "minutes"}),
        ("maria", 101, 5, {"code": "LIMIT_EXCEEDED", "field": "files"}),
    ],
)
async def test_a_grant_that_can_t_be_is_refused(
    gateway: Served, who: str, files: int, minutes: int, expected: dict[str, str]
) -> None:
    file = await brought(gateway, await held(gateway))
    ids = [global_id("File", file.id)] * files
    assert (await gateway.ask(GRANT, await gateway.log_in(who), f=ids, m=minutes))["createAssetGrant"] == expected


KEPT = {"name": "call.mp4", "address": "https://calls.example/assets/1", "size": "77", "mediaType": "video/mp4"}


async def change(platform: Platform, typename: str, id: str, who: str = "root", **input: Any) -> None:
    query = f"query($i:ID!){{node(id:$i){{...on {typename}{{version}}}}}}"
    version = (await platform.ask(query, "root", i=id))["node"]["version"]
    done, _ = await mutate(platform, who, f"update{typename}", id=id, expectedVersion=version, input=input)
    assert done["__typename"] == typename, done


async def test_a_service_keeps_the_bytes_itself(platform: Platform) -> None:
    here = platform.world.here
    session = global_id("Session", platform.world.sessions[0])
    given = {**KEPT, "session": session, "creator": here.id("Participant", "participant")}
    refused, _ = await mutate(platform, "service", "createAsset", input=given)
    assert refused["code"] == "FORBIDDEN"
    await change(platform, "Service", here.id("Service", "service"), hasAssets=True)
    made, _ = await mutate(platform, "service", "createAsset", "...on File{id}", input=given)
    found = (await platform.ask(FILE, "tom", i=made["id"]))["file"]
    assert (found["state"], found["address"], found["downloadUrl"]) == ("READY", KEPT["address"], KEPT["address"])
    grant = (await platform.ask(GRANT, "tom", f=[made["id"]], m=5))["createAssetGrant"]
    query = "query($t:String!){assetGrant(token:$t){files}}"
    assert (await platform.ask(query, "service", t=grant["token"]))["assetGrant"]["files"] == [made["id"]]
    assert await platform.refused(query, "service", t="x") == ["UNAUTHENTICATED"]
    assert await platform.refused(query, "tom", t=grant["token"]) == ["FORBIDDEN"]
    for wrong, field in (
        ({"address": "javascript:alert(1)"}, "address"), ({"address": "https://a:b@x.example/"}, "address"),
        ({"address": "http://[::1"}, "address"), ({"address": "https://x:99999999/"}, "address"), ({"mediaType": "text/html\r\nX: y"}, "mediaType"),
        ({"name": "../x"}, "name"), ({"size": "0"}, "size"), ({"digest": "xyz"}, "digest"), ({"mediaType": "x"}, "mediaType"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"), ({"session": global_id("Session", platform.world.sessions[1])}, "session"),
    ):  # fmt: skip
        refused, _ = await mutate(platform, "service", "createAsset", input={**given, **wrong})
        assert refused["field"] == f"input.{field}"
    refused, _ = await mutate(platform, "tom", "createAsset", input=given)
    assert refused["code"] == "FORBIDDEN"


async def test_an_asset_waits_for_the_service_that_checks_it(gateway: Served) -> None:
    root, here = await gateway.log_in("root"), gateway.world.here
    change = "mutation($i:ID!,$v:Int!){updateProject(id:$i,expectedVersion:$v,input:{quarantine:true}){__typename}}"
    project = await gateway.ask("query($i:ID!){project(id:$i){version}}", root, i=here.id("Project", "project"))
    await gateway.ask(
        change, await gateway.log_in("maria"), i=here.id("Project", "project"), v=project["project"]["version"]
    )
    session = await held(gateway)
    good, bad = await brought(gateway, session), await brought(gateway, session)
    ids = [global_id("File", one.id) for one in (good, bad)]
    tom = await gateway.log_in("tom")
    found = (await gateway.ask(FILE, tom, i=ids[0]))["file"]
    assert (found["state"], found["downloadUrl"]) == ("QUARANTINED", None)
    headers = {"Authorization": tom}
    assert code(await gateway.client.get(f"/files/{ids[0]}/x", headers=headers))[1] == "STATE"
    release = "mutation($i:ID!){releaseAsset(id:$i){__typename ...on Problem{code}}}"
    refuse = 'mutation($i:ID!){refuseAsset(id:$i,message:"a face is seen"){__typename ...on Problem{code}}}'
    service = token(gateway, "service")
    assert (await gateway.ask(release, service, i=ids[0]))["releaseAsset"]["code"] == "FORBIDDEN"
    known = await gateway.ask("query($i:ID!){service(id:$i){version}}", root, i=here.id("Service", "service"))
    checks = "mutation($i:ID!,$v:Int!){updateService(id:$i,expectedVersion:$v,input:{checksAssets:true}){__typename}}"
    await gateway.ask(checks, root, i=here.id("Service", "service"), v=known["service"]["version"])
    answer = await gateway.client.get(f"/files/{ids[0]}/x", headers={"Authorization": service})
    assert answer.content == CONTENT
    assert (await gateway.ask(release, service, i=ids[0]))["releaseAsset"]["__typename"] == "File"
    assert (await gateway.ask(refuse, service, i=ids[1]))["refuseAsset"]["__typename"] == "File"
    assert (await gateway.ask(release, service, i=ids[1]))["releaseAsset"]["code"] == "STATE"
    assert (await gateway.ask(FILE, tom, i=ids[0]))["file"]["state"] == "READY"
    found = (await gateway.ask(FILE, tom, i=ids[1]))["file"]
    assert found["refusal"] == {"code": "CHECK_REFUSED", "message": "a face is seen"}
