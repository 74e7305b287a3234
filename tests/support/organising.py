"""The mutations that make, change, delete and link, as a client sends them; a site to try them on; and all that a
database holds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any
from uuid import UUID

import orjson

from db import models
from db.models import Base, CredentialKind
from resolvers.access import roles
from resolvers.identity.principal import Principal
from resolvers.identity.tokens import digest_of
from resolvers.spelling import global_id
from schema.fields.scalars import parse_id
from tests.support.platforms import Platform, principal_as

Who = str | Principal
PROBLEM = "... on Problem{code message field details}"


async def create(platform: Platform, typename: str, who: Who = "root", *, select: str = "", **given: Any) -> Any:
    """The new row, or the problem."""
    query = f"mutation($i:New{typename}!){{x:create{typename}(input:$i){{{_shown(typename, select)}}}}}"
    return (await platform.ask(query, who, i=given))["x"]


async def made(platform: Platform, typename: str, who: Who = "root", **given: Any) -> str:
    """The id of a new row."""
    row = await create(platform, typename, who, **given)
    assert row["__typename"] == typename, row
    return str(row["id"])


async def update(
    platform: Platform, id: str, who: Who = "root", *, version: int | None = None, select: str = "", **given: Any
) -> Any:
    """The changed row, or the problem; without `version` it is the present one."""
    typename = type_of(id)
    expected = (await look(platform, id))["version"] if version is None else version
    query = (
        f"mutation($d:ID!,$v:Int!,$i:{typename}Changes!)"
        f"{{x:update{typename}(id:$d,expectedVersion:$v,input:$i){{{_shown(typename, select)}}}}}"
    )
    return (await platform.ask(query, who, d=id, v=expected, i=given))["x"]


async def delete(platform: Platform, id: str, who: Who = "root", version: int | None = None) -> Any:
    """When it went, or the problem."""
    verb = "revokeRole" if type_of(id) == "RoleGrant" else f"delete{type_of(id)}"
    query = (
        f"mutation($d:ID!,$v:Int){{x:{verb}(id:$d,expectedVersion:$v){{__typename ... on Deleted{{id at}} {PROBLEM}}}}}"
    )
    return (await platform.ask(query, who, d=id, v=version))["x"]


async def gone(platform: Platform, *ids: str, who: Who = "root") -> None:
    """Delete rows, each of which must go."""
    for id in ids:
        assert (await delete(platform, id, who))["__typename"] == "Deleted"


async def restore(platform: Platform, id: str, who: Who = "root", *, select: str = "") -> Any:
    """The row that came back, or the problem."""
    typename = type_of(id)
    query = f"mutation($d:ID!){{x:restore{typename}(id:$d){{{_shown(typename, select)}}}}}"
    return (await platform.ask(query, who, d=id))["x"]


async def link(platform: Platform, kind: str, owner: str, ids: list[str], who: Who = "root") -> Any:
    """What `setLinks` says."""
    query = f"mutation($k:LinkKind!,$o:ID!,$n:[ID!]!){{x:setLinks(kind:$k,id:$o,ids:$n){{{_LINKED}}}}}"
    return (await platform.ask(query, who, k=kind, o=owner, n=ids))["x"]


async def enrol(platform: Platform, verb: str, group: str, users: list[str], who: Who = "root") -> Any:
    """What `addToGroup` or `removeFromGroup` says."""
    query = f"mutation($g:ID!,$u:[ID!]!){{x:{verb}(id:$g,users:$u){{{_LINKED}}}}}"
    return (await platform.ask(query, who, g=group, u=users))["x"]


async def grant(platform: Platform, role: str, grantee: str, who: Who = "root") -> Any:
    """The grant, or the problem."""
    query = f"mutation($r:ID!,$g:ID!){{x:grantRole(role:$r,grantee:$g){{{_shown('RoleGrant', '')}}}}}"
    return (await platform.ask(query, who, r=role, g=grantee))["x"]


async def look(platform: Platform, id: str, select: str = "", who: Who = "root") -> Any:
    """A row as somebody sees it, None when hidden."""
    query = f"query($d:ID!){{node(id:$d){{id version ... on {type_of(id)}{{id {select}}}}}}}"
    return (await platform.ask(query, who, d=id))["node"]


_LISTS = {
    "sites": {"device": "devices"},
    "projects": {"service": "services", "device": "devices"},
    "participants": {"device": "devices"},
    "userGroups": {"user": "users"},
    "devices": {"site": "sites", "project": "projects", "participant": "participants"},
    "services": {"site": "sites", "project": "projects"},
    "users": {"group": "groups"},
}
"""Of lists of a root: what leads to several rows of a kind."""
_PATHS = {
    ("sites", "user"): ("roles+", "grants+", "userGroup", "users+"),
    ("projects", "user"): ("roles+", "grants+", "userGroup", "users+"),
    ("participants", "site"): ("project", "site"),
    ("participants", "session"): ("memberships+", "session"),
    ("userGroups", "site"): ("grants+", "role", "site"),
    ("userGroups", "project"): ("grants+", "role", "project"),
    ("roleGrants", "site"): ("role", "site"),
    ("roleGrants", "project"): ("role", "project"),
    ("roleGrants", "service"): ("role", "service"),
    ("roleGrants", "user"): ("userGroup", "users+"),
    ("users", "project"): ("groups+", "grants+", "role", "project"),
}
"""The ways to rows further away; `+` where they are several."""


def filtered(field: str, **conditions: Any) -> dict[str, Any]:
    """The filter of a list by short names of conditions: a part of a name, a text, an equal value, the id of a row."""
    found: dict[str, Any] = {}
    for name, value in conditions.items():
        if name == "text":
            found[name] = value
        elif name == "name":
            found[name] = {"contains": value}
        elif name == "scope":
            found[name] = {"in": [value]}
        elif name == "grouped":
            found["group"] = {"isNull": not value}
        elif isinstance(value, bool) or name in ("key", "specificId", "appTag"):
            found[name] = {"equals": value}
        else:
            several = _LISTS.get(field, {}).get(name)
            inner: Any = {"ids": [value]}
            for step in reversed(_PATHS.get((field, name), (f"{several}+" if several else name,))):
                inner = {step[:-1]: {"some": inner}} if step.endswith("+") else {step: inner}
            found |= inner
    return found


async def ids_of(platform: Platform, field: str, who: Who = "root", filter: Any = None) -> list[str]:
    """The ids in a list, of rows that meet conditions by their short names."""
    kind = f"{typename_of(field)}Filter"
    arguments, given = ("", "") if filter is None else (f"($f:{kind})", ",filter:$f")
    query = f"query{arguments}{{{field}(first:100{given}){{nodes{{id}}}}}}"
    variables = {} if filter is None else {"f": filtered(field, **filter)}
    return [node["id"] for node in (await platform.ask(query, who, **variables))[field]["nodes"]]


async def role_of(platform: Platform, place: str, name: str) -> str:
    """The id of a site's or project's role `admin` or `user`."""
    (found,) = await ids_of(platform, "roles", filter={type_of(place).lower(): place, "name": name})
    return found


@dataclass(frozen=True)
class Dune:
    """Ids of a site that may be deleted, and of everything in it."""

    number: int
    site: str
    project: str
    group: str
    inside: str
    """A participant of the group, with a device, a configuration and a token."""
    alone: str
    kind: str
    device: str
    spare: str
    """A device that only the site has."""
    service: str
    crew: str
    """The group that administers the site; `user` is its member, who has a configuration and a preference."""
    user: str
    leader: str
    """A user who administers the project."""
    worker: str
    """A user of the project."""
    site_admin: Principal
    project_admin: Principal
    project_user: Principal
    """The three as signed in when all was made."""


_NUMBERS = count(1)


async def settle(platform: Platform) -> Dune:
    """A new site of one's own."""
    n = next(_NUMBERS)
    async with platform.services.database.write(as_system="test") as session:

        async def add(*rows: Any) -> None:
            session.add_all(rows)
            await session.flush()

        site = models.Site(name=f"Dune {n}")
        kind = models.DeviceType(name=f"Worm {n}", key=f"worm-{n}")
        service = models.Service(
            name=f"Calls {n}", key=f"dune-{n}", hostname="x", port=1, endpoint="/", client_endpoint="/",
            editable_config=True, enabled=True,
        )  # fmt: skip
        people = [
            models.User(username=f"{name}-{n}", email=f"{name}-{n}@x.example", email_verified=True)
            for name in ("paul", "chani", "jamis")
        ]
        await add(site, kind, service, *people)
        project = models.Project(site_id=site.id, name=f"Sand {n}")
        device = models.Device(name=f"worm {n}", type_id=kind.id, enabled=True)
        spare = models.Device(name=f"spare {n}", type_id=kind.id)
        await add(project, device, spare)
        group = models.ParticipantGroup(project_id=project.id, name=f"dwellers {n}")
        await add(group)
        inside = models.Participant(
            project_id=project.id, group_id=group.id, name=f"D-1 {n}", username=f"d1-{n}", token_enabled=True
        )
        alone = models.Participant(project_id=project.id, name=f"D-2 {n}")
        await add(inside, alone)
        for place in (site, project):
            await roles.found(session, place)
        crew = await roles.enrol(session, site, people[0].id, admin=True)
        await roles.enrol(session, project, people[1].id, admin=True)
        await roles.enrol(session, project, people[2].id)
        await add(
            models.SiteDevice(site_id=site.id, device_id=device.id),
            models.SiteDevice(site_id=site.id, device_id=spare.id),
            models.ProjectDevice(project_id=project.id, device_id=device.id),
            models.ParticipantDevice(participant_id=inside.id, device_id=device.id),
            models.SiteService(site_id=site.id, service_id=service.id),
            models.ProjectService(project_id=project.id, service_id=service.id),
            models.Preference(user_id=people[0].id, app_tag="app", value={}),
            *(
                models.ServiceConfig(service_id=service.id, config={}, **owner)
                for owner in ({"participant_id": inside.id}, {"device_id": device.id}, {"user_id": people[0].id})
            ),
            *(
                models.Credential(
                    kind=CredentialKind.STATIC_TOKEN, algorithm="sha256", label=who, secret_hash=secret_of(n, who),
                    **{f"{who}_id": owner.id},
                )
                for who, owner in (("participant", inside), ("device", device), ("service", service))
            ),
        )  # fmt: skip
        found = (site, project, group, inside, alone, kind, device, spare, service, crew, *people)
    principals = [await principal_as(platform.services, user.id) for user in people]
    return Dune(n, *(global_id(type(row).__name__, row.id) for row in found), *principals)


def secret_of(number: int, who: str) -> str:
    """What is kept of the static token of a settled site's participant, device or service."""
    return digest_of(f"{who} {number}")


async def acting(platform: Platform, id: str) -> Principal:
    """A user as signed in now."""
    return await principal_as(platform.services, key(id))


async def everything(platform: Platform) -> Counter[tuple[str, str]]:
    """All rows of all tables with their table, but for credentials and for the record of what was done."""
    return Counter((table, row) for table, row, _ in await _rows(platform))


async def live(platform: Platform) -> dict[str, set[UUID]]:
    """By table, the keys of all rows that are not deleted."""
    found: dict[str, set[UUID]] = {}
    for table, row, alive in await _rows(platform):
        if alive:
            found.setdefault(table, set()).add(UUID(orjson.loads(row)[0]))
    return found


async def _rows(platform: Platform) -> Sequence[Any]:
    async with platform.services.database.read() as connection:
        return (await connection.exec_driver_sql(_all_rows(platform.services.database.dialect))).all()


@cache
def _all_rows(dialect: str) -> str:
    """One statement for every row of every table: the table, its columns with the key first, whether it is there."""
    array = "json_array({})" if dialect == "sqlite" else "CAST(json_build_array({}) AS text)"
    return " UNION ALL ".join(
        f"SELECT '{table.name}', {array.format(', '.join(sorted(table.c.keys(), key=lambda c: c != 'id')))}, "
        f"{'deleted_at IS NULL' if 'deleted_at' in table.c else '1 = 1'} FROM {table.name}"
        for table in Base.metadata.sorted_tables
        if "id" in table.c and table.name not in ("audit_events", "credentials")
    )


def type_of(id: str) -> str:
    return parse_id(id)[0]


def typename_of(field: str) -> str:
    """The type of a root list by its name."""
    return field[0].upper() + field[1:-1]


def key(id: str) -> UUID:
    return parse_id(id)[1]


def here(platform: Platform, typename: str, name: str) -> str:
    """The id of something that the site of the world's people has."""
    return global_id(typename, getattr(platform.world.here, name))


def there(platform: Platform, typename: str, name: str) -> str:
    """The id of something that another site has, hidden from most."""
    return global_id(typename, getattr(platform.world.there, name))


def _shown(typename: str, select: str) -> str:
    return f"__typename ... on {typename}{{id version {select}}} {PROBLEM}"


_LINKED = f"__typename ... on Linked{{added removed}} {PROBLEM}"
