"""Somebody with each role, made as an administrator would: by mutations of the gateway under test."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from torana_client.pytest_plugin.running import Gateway

if TYPE_CHECKING:
    from torana_client import Client

ROLES = (
    "superadmin",
    "manager",
    "site_admin",
    "site_user",
    "project_admin",
    "project_user",
    "outsider",
    "participant",
    "device",
    "service",
)
"""What a principal can be. A manager manages users; an outsider is a user without a role anywhere."""
PASSWORD = "quartz lantern sparrow 42"  # noqa: S105
"""The password of those who have one, but the first superadmin."""

_TOKENS = "... on Tokens { accessToken viewer { id } participant { id } }"
_ISSUED = "... on IssuedCredential { secret }"


class NotMade(Exception):
    """The gateway refused to make what a fixture needs; the message says why."""


@dataclass(frozen=True)
class Principal:
    """Somebody who may ask the gateway: what it is, its id, and the bearer token that it asks with. Users and
    participants have a name and a password to sign in with, too."""

    role: str
    id: str
    token: str = field(repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Principals:
    """Somebody with each role. `site` and `project` are the ids of the places in which the roles are; the participant
    is of the project, the device and the service are linked with both."""

    site: str
    project: str
    superadmin: Principal
    manager: Principal
    site_admin: Principal
    site_user: Principal
    project_admin: Principal
    project_user: Principal
    outsider: Principal
    participant: Principal
    device: Principal
    service: Principal

    def __iter__(self) -> Iterator[Principal]:
        return (self.of(role) for role in ROLES)

    def of(self, role: str) -> Principal:
        """Who has a role. Raises ValueError for an unknown one."""
        _check(role)
        found: Principal = getattr(self, role)
        return found


def sign_in(gateway: Gateway) -> Principal:
    """The superadmin whom the database has from the start, signed in."""
    username, password = gateway.account
    with gateway.client() as client:
        token, id = _signed_in(client, "logIn", username, password)
    return Principal("superadmin", id, token, username, password)


class Cast:
    """Makes principals in a site and a project of its own."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._numbers = count(1)
        self._groups: dict[str, str] = {}
        self._type = ""
        self._site = self._project = ""

    def all(self) -> Principals:
        """The places, and somebody with each role. Raises NotMade when the gateway refuses."""
        with self._gateway.client(self._gateway.superadmin) as client:
            self._site = _created(client, "Site", name="Harbour")
            self._project = _created(client, "Project", site=self._site, name="Protons")
            self._type = _created(client, "DeviceType", name="Sensor", key="sensor")
            for kind, place in (("site", self._site), ("project", self._project)):
                for name, role in _roles(client, kind, place).items():
                    self._groups[f"{kind}_{name}"] = _created(client, "UserGroup", name=f"{kind} {name}", roles=[role])
            people = {role: self._made(client, role, role.replace("_", "-")) for role in ROLES[1:]}
        return Principals(self._site, self._project, superadmin=self._gateway.superadmin, **people)

    def one(self, role: str) -> Principal:
        """A further principal with a role, in the same places. Raises ValueError for an unknown role."""
        _check(role)
        with self._gateway.client(self._gateway.superadmin) as client:
            return self._made(client, role, f"{role.replace('_', '-')}-{next(self._numbers)}")

    def _made(self, client: "Client", role: str, name: str) -> Principal:
        make: Callable[[Client, str], Principal]
        if role in ("participant", "device", "service"):
            make = {"participant": self._participant, "device": self._device, "service": self._service}[role]
            return make(client, name)
        groups = [self._groups[role]] if role in self._groups else []
        return self._user(client, role, name, groups)

    def _user(self, client: "Client", role: str, name: str, groups: list[str]) -> Principal:
        more: dict[str, Any] = {"superadmin": True} if role == "superadmin" else {}
        if role == "manager":
            more["platformRole"] = "MANAGER"
        id = _created(client, "User", username=name, groups=groups, **more)
        given = _done(
            client,
            "mutation($id: ID!, $password: String!) { done: setPassword(id: $id, newPassword: $password)",
            "... on User { version }",
            id=id,
            password=PASSWORD,
        )
        _done(  # else it would have to be changed first
            client,
            "mutation($id: ID!, $version: Int!) { done: updateUser(id: $id, expectedVersion: $version,"
            " input: {forcePasswordChange: false})",
            "... on User { id }",
            id=id,
            version=given["version"],
        )
        token, _ = _signed_in(client, "logIn", name, PASSWORD)
        return Principal(role, id, token, name, PASSWORD)

    def _participant(self, client: "Client", name: str) -> Principal:
        id = _created(client, "Participant", project=self._project, name=name, username=name, loginEnabled=True)
        _done(
            client,
            "mutation($id: ID!, $password: String!) { done: setParticipantPassword(id: $id, newPassword: $password)",
            "... on Participant { id }",
            id=id,
            password=PASSWORD,
        )
        token, _ = _signed_in(client, "logInParticipant", name, PASSWORD)
        return Principal("participant", id, token, name, PASSWORD)

    def _device(self, client: "Client", name: str) -> Principal:
        id = _created(client, "Device", name=name, type=self._type, enabled=True, sites=[self._site])
        _link(client, "DEVICE_PROJECTS", id, self._project)
        return Principal("device", id, _token(client, "device", id))

    def _service(self, client: "Client", name: str) -> Principal:
        place = {"hostname": "service.internal", "port": 4000, "endpoint": "/", "clientEndpoint": f"/{name}"}
        id = _created(client, "Service", name=name, key=name, enabled=True, configSchema={}, **place)
        _link(client, "SERVICE_SITES", id, self._site)
        _link(client, "SERVICE_PROJECTS", id, self._project)
        return Principal("service", id, _token(client, "service", id))


def _check(role: str) -> None:
    if role not in ROLES:
        raise ValueError(f"no role is called {role}; there are {', '.join(ROLES)}")


def _created(client: "Client", kind: str, **given: Any) -> str:
    """The id of a new row."""
    mutation = f"mutation($input: New{kind}!) {{ done: create{kind}(input: $input)"
    made = _done(client, mutation, f"... on {kind} {{ id }}", input=given)
    return str(made["id"])


def _roles(client: "Client", kind: str, place: str) -> dict[str, str]:
    """The ids of the roles of a site or project by their names."""
    query = "query($filter: RoleFilter!) { roles(first: 10, filter: $filter) { nodes { id name } } }"
    found = client.execute(query, {"filter": {kind: {"ids": [place]}}})["roles"]["nodes"]
    return {role["name"]: role["id"] for role in found}


def _link(client: "Client", kind: str, id: str, other: str) -> None:
    mutation = "mutation($kind: LinkKind!, $id: ID!, $ids: [ID!]!) { done: setLinks(kind: $kind, id: $id, ids: $ids)"
    _done(client, mutation, "... on Linked { added }", kind=kind, id=id, ids=[other])


def _token(client: "Client", kind: str, id: str) -> str:
    """A static token of a device or a service."""
    mutation = f"mutation($id: ID!) {{ done: create{kind.title()}Token({kind}: $id)"
    return str(_done(client, mutation, _ISSUED, id=id)["secret"])


def _signed_in(client: "Client", mutation: str, username: str, password: str) -> tuple[str, str]:
    """An access token, and the id of its user or participant."""
    asked = f"mutation($name: String!, $password: String!) {{ done: {mutation}(username: $name, password: $password)"
    tokens = _done(client, asked, _TOKENS, name=username, password=password)
    return tokens["accessToken"], (tokens["viewer"] or tokens["participant"])["id"]


def _done(client: "Client", mutation: str, shown: str, **variables: Any) -> dict[str, Any]:
    """What a mutation has done. Raises NotMade for a Problem."""
    document = f"{mutation} {{ __typename ... on Problem {{ code message field }} {shown} }} }}"
    done: dict[str, Any] = client.execute(document, variables)["done"]
    if done["__typename"] == "Problem":
        raise NotMade(f"{done['message']} ({done['code']}, {done['field']})")
    return done
