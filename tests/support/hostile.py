"""Requests that mean to keep others waiting, of every role; what they come to is measured and counted in two places.

`python -m bench.stalls` measures how long nothing else is answered meanwhile, `tests/protocol/test_stalls.py` counts the work.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import orjson
from graphql import get_introspection_query
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from db.models import InputType, SimulationType
from resolvers.context import Context, Services
from resolvers.identity.principal import Kind, Principal, TaskClaim
from resolvers.queue import leases
from resolvers.simulations import simulations
from tests.support.inputs import FILES
from tests.support.keys import large_key
from tests.support.platforms import login_session
from tests.support.world import World

PERSONS = ("root", "maria", "tom", "eve", "sita", "mona")
PRESENTED = ("participant", "device", "service")

Bodies = Callable[[World], Sequence[bytes]]


@dataclass(frozen=True)
class Hostile:
    """What somebody sends at once: bodies of POST, or payloads of `subscribe` on one socket. `tokens` by HTTP are sent
    as they are, without a body."""

    name: str
    who: str | None
    bodies: Bodies
    socket: bool = False
    url: str = ""
    """The query string of a GET in place of bodies."""
    headers: tuple[tuple[str, str], ...] = ()


def _body(query: str, **variables: Any) -> bytes:
    return orjson.dumps({"query": query, "variables": variables})


def _said(*bodies: bytes) -> Bodies:
    return lambda _world: bodies


def _same(query: str, times: int = 1, **variables: Any) -> Bodies:
    return _said(*[_body(query, **variables)] * times)


def _aliased(number: int, of: str) -> str:
    return " ".join(f"a{n}:{of}" for n in range(number))


def largest(number: int) -> str:
    """A document of nearly 2,000 tokens that is valid, and like no other of another number."""
    below = (
        "id name enabled createdAt project{id name createdAt site{id name createdAt}} group{id name project{id name}}"
    )
    devices = "devices(first:1){totalCount nodes{id name enabled createdAt type{id name key}}}"
    return (
        f"query q{number}{{" + _aliased(18, f"participants(first:1){{edges{{cursor node{{{below} {devices}}}}}}}") + "}"
    )


_SHARED = "fragment t on __Type{kind name fields{name args{name type{name kind}}}}"
_LONG = "a" * 900_000
_DEEP = b"[" * 400_000 + b"]" * 400_000
_REGEX = {"type": "object", "properties": {"x": {"type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}}}
_UNIQUE = {"type": "object", "properties": {"rows": {"type": "array", "uniqueItems": True}}}
_LOG_IN = "mutation($u:String!,$p:String!){logIn(username:$u,password:$p){__typename ...on Problem{code message}}}"
_CONFIG = "mutation($i:NewServiceConfig!){createServiceConfig(input:$i){__typename ...on Problem{code message}}}"
_SUBMIT = "mutation($i:NewSimulation!){submitSimulation(input:$i){__typename ...on Problem{code message}}}"
_LINES = "mutation($l:[LineInput!]!){workerReport(lines:$l){state}}"
_RESULTS = 'mutation($e:JSON!){workerPutResults(estimators:$e,done:"1"){state}}'
_TEMPLATE = "mutation($i:NewNotificationTemplate!){createNotificationTemplate(input:$i){__typename ...on Problem{code message}}}"
_PREFERENCE = 'mutation($v:JSON!){setPreference(appTag:"x",value:$v){__typename ...on Problem{code message}}}'
_LOGIN = "mutation($k:String!,$s:String!){setClusterLogin(privateKey:$k,signedKey:$s){__typename ...on Problem{code message}}}"


def _participant(world: World) -> str:
    return world.here.id("Participant", "participant")


def _schema(schema: Any) -> Bodies:
    query = "mutation($i:NewService!){createService(input:$i){__typename ...on Problem{code message}}}"
    given = {"name": "x", "key": "x", "hostname": "x", "port": 1, "endpoint": "/", "clientEndpoint": "/"}
    return _same(query, i={**given, "configSchema": schema})


def _config(config: Any) -> Bodies:
    def bodies(world: World) -> Sequence[bytes]:
        given = {
            "service": world.here.id("Service", "service"),
            "participant": world.here.id("Participant", "idle"),
            "config": config,
        }
        return [_body(_CONFIG, i=given)]

    return bodies


def _ids(world: World) -> Sequence[bytes]:
    return [_body("query($i:[ID!]!){nodes(ids:$i){id}}", i=[_participant(world)] * 8_000)]


def _references(parts: int) -> dict[str, Any]:
    """A schema whose references double with each step."""
    steps = {f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n + 1}"}] * 2} for n in range(parts)}
    return {"type": "object", "$defs": {**steps, f"s{parts}": {"type": "object"}}, "$ref": "#/$defs/s0"}


def _pages(pages: int, values: int) -> list[dict[str, Any]]:
    page = {"dimensions": 1, "metadata": {}, "data": {"name": "D", "unit": "Gy", "values": [1.5] * values},
            "axis_dim1": {"name": "Z", "unit": "cm", "values": [1.0 * n for n in range(values)]}}  # fmt: skip
    made = [{**page, "metadata": {"page_number": str(n)}} for n in range(pages)]
    return [{"name": "z", "file_name": "z.bdo", "metadata": {}, "pages": made}]


HOSTILE: Sequence[Hostile] = (
    # Documents, of anyone
    Hostile("one field 500 times", None, _same("{" + "viewer{id}" * 400 + "}")),
    Hostile("one list of fields 400 times", None, _same("{viewer{" + "memberships{id}" * 400 + "}}")),
    Hostile("one leaf 1,900 times", None, _same("{viewer{" + "id " * 1_900 + "}}")),
    Hostile("fragments that double 40 times", None, _same("{viewer{...f0}}" + "".join(f"fragment f{n} on User{{...f{n + 1} ...f{n + 1}}}" for n in range(40)) + "fragment f40 on User{id}")),
    Hostile("a fragment in a circle", None, _same("{viewer{...f}} fragment f on User{...g} fragment g on User{...f}")),
    Hostile("100 operations that share a fragment", None, _same("".join(f"query q{n}{{...f}}" for n in range(100)) + "fragment f on Query{sites(first:1){nodes{id}} projects(first:1){nodes{id}}}")),
    Hostile("49 aliases of __schema", None, _same("{" + _aliased(49, "__schema{types{...t}}") + "}" + _SHARED)),
    Hostile("19 aliases of __type", None, _same("{" + _aliased(19, '__type(name:"Query"){...t}') + "}" + _SHARED)),
    Hostile("a complete introspection", None, _same(get_introspection_query())),
    Hostile("eight complete introspections", None, _said(*(_body(get_introspection_query() + f"#{n}") for n in range(8)))),
    Hostile("an introspection written out many times", None, _same("{__schema{types{" + _aliased(12, "fields{name args{name type{name kind}} type{name kind}}") + "}}}")),
    Hostile("2,000 levels", None, _same("{viewer" * 900 + "{id}" + "}" * 900)),
    Hostile("900 unknown fields", None, _same("{" + " ".join(f"u{n}" for n in range(900)) + "}")),
    Hostile("90 kB of comments", None, _same("#" + "x" * 90_000 + "\n{viewer{id}}")),
    Hostile("1,900 empty comments", None, _same("#\n" * 1_900 + "{viewer{id}}")),
    Hostile("a document of a megabyte", None, _same("{viewer{id}}" + " " * 900_000)),
    Hostile("the largest document", None, _said(_body(largest(0)))),
    Hostile("40 of the largest documents", None, _said(*(_body(largest(n)) for n in range(40)))),
    Hostile("100 of the largest documents on a socket", None, _said(*(_body(largest(n)) for n in range(100, 200))), socket=True),
    Hostile("a hundred times the same document on a socket", "tom", _said(*[_body("{participants(first:100){nodes{id name project{name site{name}}}}}")] * 100), socket=True),
    # Variables and headers, of anyone
    Hostile("lists nested 400,000 times", None, _said(b'{"query":"query($v:[ID!]!){nodes(ids:$v){id}}","variables":{"v":' + _DEEP + b"}}")),
    Hostile("a number of 900,000 digits", None, _said(b'{"query":"query($v:[ID!]!){nodes(ids:$v){id}}","variables":{"v":' + b"9" * 900_000 + b"}}")),
    Hostile("100,000 wrong elements of a list", None, _same("query($s:[JobState!]){jobs(first:1,filter:{state:{in:$s}}){nodes{id}}}", s=["X"] * 100_000)),
    Hostile("80,000 right elements of a list", "tom", _same("query($s:[JobState!]){jobs(first:1,filter:{state:{in:$s}}){nodes{id}}}", s=["FAILED"] * 80_000)),
    Hostile("50,000 unknown fields of an input", None, _same("query($f:ParticipantFilter){participants(first:1,filter:$f){nodes{id}}}", f={f"x{n}": 1 for n in range(50_000)})),
    Hostile("a label of 900 kB", "tom", _same("query($l:String){challenge(label:$l){id}}", l="\u1e9b\u0323" * 200_000)),
    Hostile("50,000 variables that nobody declared", None, _same("{viewer{id}}", **{f"x{n}": 1 for n in range(50_000)})),
    Hostile("a header of 5,000 media ranges", None, _same("{viewer{id}}"), headers=(("Accept", ",".join(f"a/b{n};q=0.{n % 9}" for n in range(5_000))),)),
    Hostile("a header of 6,000 cookies", None, _same("{viewer{id}}"), headers=(("Cookie", ";".join(f"c{n}=1" for n in range(6_000))), ("graphql-require-preflight", "1"))),
    Hostile("a query string of 8,000 names", None, _said(), url="&".join(f"a{n}=" for n in range(8_000)) + "&query=" + quote("{viewer{id}}")),
    Hostile("a password of 900 kB, twenty times", None, _same(_LOG_IN, 20, u="tom", p=_LONG)),
    Hostile("a name of 900 kB to sign in with", None, _same(_LOG_IN, u="\u0130" * 400_000, p="x")),
    Hostile("a name of 65,000 marks to sign in with", None, _same(_LOG_IN, u="\u0f73" * 65_000, p="\u0301\u0323" * 32_000)),
    Hostile("a literal name of 30,000 marks", None, _same('mutation{logIn(username:"' + "\u0f73" * 30_000 + '",password:"x"){__typename}}')),
    Hostile("a label of 65,000 marks", "tom", _same("query($l:String!){challenge(label:$l){id}}", l="\u0301\u0323" * 32_000)),
    Hostile("a title of 65,000 marks", "tom", _same(_SUBMIT, i={"simType": "SHIELDHIT", "inputFiles": FILES, "title": "\u0301\u0323" * 32_000})),
    Hostile("forty sign-ins", None, _said(*(_body(_LOG_IN, u=f"nobody{n}", p="wrong horse battery") for n in range(40)))),
    # Of users
    Hostile("8,000 ids of nodes", "tom", _ids),
    Hostile("a cursor of 900 kB", "tom", _same("query($a:String){participants(first:1,after:$a){nodes{id}}}", a=_LONG)),
    Hostile("a search for 400,000 words", "tom", _same('query($t:String){participants(first:1,filter:{text:$t}){nodes{id}}}', t="a " * 400_000)),
    Hostile("a search for letters that become eighteen", "tom", _same('query($t:String){participants(first:1,filter:{text:$t}){nodes{id}}}', t="\ufdfa" * 300_000)),
    Hostile("a preference of 900 kB", "tom", _same(_PREFERENCE, v=[1] * 400_000)),
    Hostile("a preference nested 10,000 times", "tom", lambda _: [_body(_PREFERENCE, v=0).replace(b'"v":0', b'"v":' + b"[" * 10_000 + b"]" * 10_000)]),
    Hostile("a literal of 2,000 objects", "tom", _same('mutation{setPreference(appTag:"x",value:' + "{a:" * 600 + "1" + "}" * 600 + "){__typename ...on Problem{code message}}}")),
    Hostile("a configuration of 1,000 unique rows", "maria", _config({"rows": [{"x": n, "y": [n] * 5} for n in range(1_000)]})),
    Hostile("a configuration against a pattern that goes back", "maria", _config({"x": "a" * 50_000})),
    Hostile("an input of 900 kB", "tom", _same(_SUBMIT, i={"simType": "SHIELDHIT", "inputFiles": {**FILES, "beam.dat": "x " * 400_000}})),
    Hostile("an input of 20,000 files", "tom", _same(_SUBMIT, i={"simType": "SHIELDHIT", "inputFiles": {f"f{n}.dat": "x" for n in range(20_000)}})),
    Hostile("an editor's project of 900 kB", "tom", _same(_SUBMIT, i={"simType": "SHIELDHIT", "inputType": "EDITOR", "inputJson": {"figureManager": {"figures": [{"type": "BoxFigure", "userData": {}}] * 15_000}}})),
    Hostile("a job of 1,000 tasks", "tom", _same(_SUBMIT, i={"simType": "SHIELDHIT", "inputFiles": FILES, "tasks": 1_000})),
    Hostile("the largest lists that are allowed", "tom", _same("{simulations(first:100){nodes{id title job{id tasks(first:100){nodes{id ordinal state}}} estimators(first:15){nodes{id name metadata}}}}}")),
    Hostile("all values of a result", "tom", lambda world: [_body("query($i:ID!){simulation(id:$i){estimators(first:100){nodes{pages(first:100){nodes{data{values}}}}}}}", i=world.id("Simulation", "simulation"))] * 4),
    Hostile("a download, eight times", "tom", lambda world: [_body("mutation($i:ID!){createDownload(simulation:$i,kind:RESULTS){__typename ...on Problem{code message}}}", i=world.id("Simulation", "simulation"))] * 8),
    Hostile("keys that are none", "tom", _same(_LOGIN, k=_LONG[:400_000], s=_LONG[:400_000])),
    Hostile("8,000 links", "maria", lambda world: [_body("mutation($o:ID!,$i:[ID!]!){setLinks(kind:PROJECT_DEVICES,id:$o,ids:$i){__typename ...on Problem{code message}}}", o=world.id("Project", "shared"), i=[world.here.id("Device", "device")] * 8_000)]),
    Hostile("a key of 20,000 bits", "tom", _same(_LOGIN, k=large_key(), s="x")),
    Hostile("pages to two thousand million", "tom", lambda world: [_body("mutation($i:ID!,$p:String){createDownload(simulation:$i,kind:RESULTS,pages:$p){__typename ...on Problem{code message}}}", i=world.id("Simulation", "simulation"), p=",".join(["1-2000000000"] * 4_000))]),
    Hostile("a new password of 65,000 characters", "tom", _same('mutation($p:String!){changePassword(oldPassword:"correct horse battery",newPassword:$p){__typename ...on Problem{code message}}}', p="aB3$" * 16_000)),
    Hostile("an address of 65,000 characters", None, _same("mutation($i:NewAccount!){signUp(input:$i){__typename ...on Problem{code message}}}", i={"username": "x" * 60_000, "email": "a." * 30_000 + "@" + "b." * 2_000 + "example", "password": "aB3$" * 16_000})),
    Hostile("a link of 65,000 characters", None, _same("mutation($t:String!){verifyEmail(token:$t){__typename ...on Problem{code message}}}", t="a." * 32_000)),
    Hostile("a denied field many times, after 97,000 lines", None, _same("\n" * 97_000 + "{leaderboards(first:100){nodes{" + _aliased(48, "sortingKey") + "}}}")),
    Hostile("a stored value 48 times", "tom", _same("{preferences(first:20){nodes{" + _aliased(48, "value") + "}}}")),
    Hostile("totals of lists of lists", "tom", _same("{participants(first:100){nodes{project{participants(first:95){nodes{project{participants(first:0){totalCount} simulations(first:0){totalCount} devices(first:0){totalCount}}}}}}}}", 12)),
    Hostile("who is there, of lists of lists", "tom", _same("{participants(first:100){nodes{id name online project{id name participants(first:100){nodes{id name online project{id} group{id name}}}}}}}")),
    Hostile("fragments that double 100 times on the root", None, _same("{...f0 ...f1}" + "".join(f"fragment f{n} on Query{{...f{n + 1} ...f{n + 2} viewer{{id}}}}" for n in range(100)) + "fragment f100 on Query{viewer{id}} fragment f101 on Query{viewer{id}}")),
    # Of administrators
    Hostile("a template that counts to a thousand million", "maria", lambda world: [_body(_TEMPLATE, i={"key": "new_challenge", "project": world.id("Project", "shared"), "subject": "x", "text": "{% for a in range(1000000000) %}{% for b in range(1000000000) %}x{% endfor %}{% endfor %}"})]),
    Hostile("a template of 900 kB", "maria", lambda world: [_body(_TEMPLATE, i={"key": "new_challenge", "project": world.id("Project", "shared"), "subject": "x", "text": "{{ name }}" * 90_000})]),
    Hostile("a power in a template", "maria", lambda world: [_body(_TEMPLATE, i={"key": "new_challenge", "project": world.id("Project", "shared"), "subject": "x", "text": "{{ 9 ** 9 ** 9 }} {{ 'x' * 1000000000 }}"})]),
    Hostile("a schema whose references double 20 times", "root", _schema(_references(20))),
    Hostile("a schema with a pattern that goes back", "root", _schema(_REGEX)),
    Hostile("a schema of 900 kB", "root", _schema({"type": "object", "properties": {f"x{n}": {"type": "string"} for n in range(30_000)}})),
    Hostile("a mail to 8,000 users", "root", lambda world: [_body("mutation($u:[ID!]!){sendNotification(users:$u,subject:\"x\",text:\"y\"){__typename ...on Problem{code message}}}", u=[world.id("User", "tom")] * 8_000)]),
    # Of devices, services and workers
    Hostile("a status of 900 kB", "device", _same("mutation($s:JSON!){setDeviceStatus(status:$s){__typename ...on Problem{code message}}}", s={f"x{n}": n for n in range(60_000)})),
    Hostile("settings of 900 kB", "device", _same("mutation($s:JSON!){updateDeviceConfig(config:$s,expectedVersion:1){__typename ...on Problem{code message}}}", s={"x": _LONG})),
    Hostile("registering with 900 kB", None, _same('mutation($s:JSON!){registerDevice(registerKey:"x",name:"x",typeKey:"x",infos:$s){__typename ...on Problem{code message}}}', s={"x": _LONG})),
    Hostile("services' lists, all at once", "service", _same("{participants(first:100){nodes{id name project{name} devices(first:50){nodes{id name}}}}}", 20)),
    Hostile("5,000 lines of a log", "worker", _same(_LINES, l=[{"number": n, "text": "x" * 150} for n in range(5_000)])),
    Hostile("100,000 lines of a log", "worker", _same(_LINES, l=[{"number": n, "text": "x"} for n in range(100_000)])),
    Hostile("results of 10 MB", "worker", _same(_RESULTS, e=_pages(20, 50_000))),
    Hostile("results of 40 MB", "worker", _same(_RESULTS, e=_pages(4, 1_000_000))),
    Hostile("results of 30,000 pages", "worker", _same(_RESULTS, e=_pages(30_000, 1))),
    Hostile("results that are nested", "worker", lambda _: [_body(_RESULTS, e=0).replace(b'"e":0', b'"e":' + b"[" * 4_000_000 + b"]" * 4_000_000)]),
)  # fmt: skip
"""The names that are told are of what is sent; a bound may refuse it at once."""


async def authorizations(services: Services, world: World) -> Mapping[str | None, str]:
    """The Authorization header of each who may be hostile, a worker with a running task among them."""
    found: dict[str | None, str] = {}
    for name in PERSONS:
        owner = getattr(world, name)
        family = await login_session(services, owner, seconds=3_600)
        found[name] = f"Bearer {services.identity.keys.access_token(Kind.USER, owner, family, timedelta(hours=1))}"
    found |= {name: f"Bearer {world.here.secrets[name]}" for name in PRESENTED}
    found["worker"] = (
        f"Bearer {services.identity.keys.worker_token(await _errand(services, world), timedelta(hours=1))}"
    )
    return found


async def _errand(services: Services, world: World) -> TaskClaim:
    patient = replace(services, limits=replace(services.limits, lease=3_600.0))
    ctx = Context(patient, Principal(kind=Kind.USER, id=world.tom))
    await simulations.submit_simulation(
        ctx, title="hostile", sim_type=SimulationType.SHIELDHIT, input_type=InputType.FILES, given=FILES, tasks=1
    )
    async with services.database.write(as_system="test") as session:
        task_claims = await leases.claim_waiting(session, 1, 3_600)
    return task_claims[0]


async def on_socket(url: str, authorization: str | None, payloads: Sequence[bytes]) -> list[str]:
    """Send all at once on one socket; the kinds of messages that came back until each had ended."""
    heard: list[str] = []
    ended = 0
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], max_size=None) as socket:
        given = {"Authorization": authorization} if authorization else {}
        await socket.send(orjson.dumps({"type": "connection_init", "payload": given}).decode())
        await socket.recv()
        with suppress(ConnectionClosed):
            messages = [
                f'{{"type":"subscribe","id":"{n}","payload":{body.decode()}}}' for n, body in enumerate(payloads)
            ]
            await asyncio.gather(*map(socket.send, messages))
            while ended < len(payloads):
                kind = orjson.loads(await socket.recv())["type"]
                heard.append(kind)
                ended += kind in ("complete", "error")
    return heard
