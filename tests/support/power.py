"""Who may do what, computed for all principals after each of many random writes by random principals.

`python -m tests.support.power --steps 5000` goes on for as long as one likes, and prints the fewest steps that lead to
what should not be. `tests/access/test_power.py` says what should be.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.aliases import Alias
from db.models import Entity
from db.types import later, uuid7
from resolvers.access.policy import policy_of
from resolvers.access.roles import enrol, found, role_in
from resolvers.access.rules import allowed
from resolvers.identity.lookup import principal_named, principal_of
from resolvers.identity.principal import AccessProfile, Kind, Principal
from resolvers.identity.tokens import Secret, digest_of
from resolvers.organisation import permissions
from resolvers.spelling import global_id
from schema import Schema, build
from schema.fields.cost import Bounds
from schema.fields.scalars import parse_id
from tests.support.databases import BACKENDS, WORLD, Prepared, Recipe
from tests.support.matrix import mutate
from tests.support.platforms import Platform, Reused, platform_on
from tests.support.world import World

Row = tuple[str, UUID]
Power = tuple[Row, str]
"""A row, and what may be done with it: DELETE, a column that may be changed, or `read` and a column that is guarded."""

# The world ------------------------------------------------------------------------------------------------------------

PEOPLE = (
    "root", "mona", "sita", "maria", "tom", "silo", "eve",
    "ines", "petra", "ulf", "bea", "cora", "pam", "dora", "max", "hugo",
)  # fmt: skip
SERVICES = ("caller", "other")
DEVICES = ("gauge",)
TYPES = (
    models.User, models.UserGroup, models.RoleGrant, models.Device, models.Project, models.ParticipantGroup,
    models.Participant,
)  # fmt: skip


async def _populate(session: AsyncSession, world: World) -> dict[str, str]:
    """Ids by what they are called. Site A is Harbour, site B is Island; each has two projects."""
    ids: dict[str, str] = {}

    async def add(name: str, row: Any) -> Any:
        session.add(row)
        await session.flush()
        ids[name] = global_id(type(row).__name__, row.id)
        return row

    a, b = [await session.get_one(models.Site, key) for key in (world.site, world.there.site)]
    a1, b1 = [await session.get_one(models.Project, key) for key in (world.shared, world.apart)]
    a2 = await add("a2", models.Project(site_id=a.id, name="Anchor"))
    b2 = await add("b2", models.Project(site_id=b.id, name="Beach"))
    for place in (a2, b2):
        await found(session, place)
    for name in PEOPLE:
        if hasattr(world, name):
            ids[name] = world.id("User", name)
        else:
            await add(name, models.User(username=name, email=f"{name}@torana.example", email_verified=True))
    max_ = await session.get_one(models.User, parse_id(ids["max"])[1])
    max_.platform_role = models.PlatformRole.MANAGER
    held = {
        "A admins": (a, True, ("sita", "bea", "pam")),
        "A users": (a, False, ("silo", "cora", "dora", "max")),
        "B admins": (b, True, ("ines", "bea", "cora")),
        "B users": (b, False, ("ulf", "dora", "mona")),
        "a1 admins": (a1, True, ("maria",)),
        "a1 users": (a1, False, ("tom", "petra")),
        "a2 users": (a2, False, ("hugo", "cora")),
        "b1 admins": (b1, True, ("petra", "pam")),
        "b1 users": (b1, False, ("ulf", "hugo", "maria")),
        "b2 users": (b2, False, ("sita", "eve")),
    }
    for name, (place, admin, members) in held.items():
        group = await enrol(session, place, *(parse_id(ids[member])[1] for member in members), admin=admin)
        ids[name] = global_id("UserGroup", group.id)
    joint = await add("joint", models.UserGroup(name="joint"))
    free = await add("free", models.UserGroup(name="free", creator_id=parse_id(ids["ines"])[1]))
    idle = await add("idle", models.UserGroup(name="idle"))
    for group, place in ((joint, a2), (joint, b), (idle, a)):
        role = await role_in(session, place, models.USER)
        session.add(models.RoleGrant(role_id=role.id, user_group_id=group.id))
    session.add_all(
        [
            models.UserGroupMember(user_group_id=joint.id, user_id=parse_id(ids["dora"])[1]),
            models.UserGroupMember(user_group_id=free.id, user_id=parse_id(ids["ulf"])[1]),
        ]
    )
    for name, key in (("caller", world.here.service), ("other", world.there.service)):
        ids[name] = global_id("Service", key)
    caller = world.here.service
    session.add_all(
        [
            models.SiteService(site_id=b.id, service_id=caller),
            *(models.ProjectService(project_id=place.id, service_id=caller) for place in (a2, b1, b2)),
        ]
    )
    await add("everywhere", models.Role(service_id=caller, scope=models.RoleScope.GLOBAL, name="everywhere"))
    await add("in A", models.Role(service_id=caller, scope=models.RoleScope.SITE, site_id=a.id, name="in A"))
    for name, place in (("A", a), ("B", b), ("a1", a1), ("a2", a2), ("b1", b1), ("b2", b2)):
        ids[name] = global_id(type(place).__name__, place.id)
        for role in (models.ADMIN, models.USER):
            ids[f"{role} of {name}"] = global_id("Role", (await role_in(session, place, role)).id)
    gauge = await add("gauge", models.Device(name="gauge", type_id=world.device_type, enabled=True))
    for name, place in (("here", world.here), ("there", world.there)):
        for kind, given in (("device", "Device"), ("spare", "Device"), ("group", "ParticipantGroup"),
                            ("participant", "Participant"), ("idle", "Participant"), ("grant", "RoleGrant")):  # fmt: skip
            ids[f"{kind} {name}"] = place.id(given, kind)
    await add("few", models.ParticipantGroup(project_id=a2.id, name="few"))
    await add("more", models.ParticipantGroup(project_id=b2.id, name="more"))
    await add("P-9", models.Participant(project_id=a2.id, name="P-9", group_id=parse_id(ids["few"])[1]))
    session.add_all(
        [
            *(models.SiteDevice(site_id=place.id, device_id=gauge.id) for place in (a, b)),
            models.ProjectDevice(project_id=b1.id, device_id=gauge.id),
            models.Credential(id=uuid7(), kind=models.CredentialKind.STATIC_TOKEN, algorithm="sha256", label="gauge",
                              secret_hash=digest_of("gauge"), expires_at=later(36_000), device_id=gauge.id),
        ]
    )  # fmt: skip
    ids["kind"] = global_id("DeviceType", world.device_type)
    await session.flush()
    grants = (
        sa.select(models.RoleGrant.id)
        .join(models.UserGroup, models.UserGroup.id == models.RoleGrant.user_group_id)
        .join(models.Role, models.Role.id == models.RoleGrant.role_id)
        .order_by(models.UserGroup.name, models.Role.name, models.Role.scope)
    )
    for n, grant in enumerate(await session.scalars(grants)):
        ids.setdefault(f"grant {n}", global_id("RoleGrant", grant))
    return ids


async def _fill(session: AsyncSession, world: World) -> tuple[World, dict[str, str]]:
    return world, await _populate(session, world)


POWER = Recipe("power", _fill, WORLD)


# Who may do what ------------------------------------------------------------------------------------------------------

_READ = {name: policy_of(models.User).fields[name] for name in ("email", "active", "notes")}
"""By column of a user that is guarded: who reads it."""


@cache
def _asked(model: type[Entity], profile: AccessProfile) -> tuple[Any, Sequence[str]]:
    """The statement of `myAccess` for all rows at once, and what its columns tell."""
    if model is models.UserGroupMember:
        entity: Any = Alias(model)
        clause = allowed(policy_of(model).delete, entity, profile)
        return sa.select(entity.id, clause.label("may_0")).where(clause), ["DELETE"]
    asked = permissions.asked_of(model, profile)
    told = [what if kind == "column" else what.value for kind, what in asked.what if kind in ("column", "action")]
    kept = [n for n, (kind, _) in enumerate(asked.what) if kind in ("column", "action")]
    statement, entity = asked.statement, asked.entity
    columns = [c for c in statement.selected_columns if c.name == "id" or c.name in {f"may_{n}" for n in kept}]
    more = []
    if model is models.User:
        for name, rules in _READ.items():
            more.append(allowed(rules, entity, profile).label(f"reads_{name}"))
            told.append(f"read {name}")
    return statement.with_only_columns(*columns, *more), told


forget = _asked.cache_clear
"""After a rule was replaced by another."""


@dataclass
class Facts:
    """What is there at a moment: principals, what each may do, and the places where each row is."""

    principals: dict[str, Principal]
    powers: dict[str, set[Power]]
    places: dict[Row, frozenset[Any]]
    there: set[Row]
    versions: dict[Row, int]
    gone: dict[str, list[UUID]]
    members: list[tuple[UUID, UUID, UUID]]
    grants: list[Any]

    def administered(self, name: str) -> set[UUID]:
        principal = self.principals[name]
        return {key for held in (principal.sites, principal.projects) for key, admin in held.items() if admin}

    def who_may(self, row: Row) -> list[str]:
        return [name for name, powers in self.powers.items() if any(one == row for one, _ in powers)]


# Steps ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ref:
    """An id, by what the row is called."""

    name: str

    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass(frozen=True)
class Step:
    """What somebody tries."""

    actor: str
    mutation: str
    given: Mapping[str, Any]
    kind: str
    number: int

    def __str__(self) -> str:
        return f"{self.actor}: {self.mutation}({', '.join(f'{n}: {v}' for n, v in self.given.items())})"


@dataclass
class Violation:
    step: Step
    gained: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    history: Sequence[Step] = ()

    @property
    def sort(self) -> str:
        return f"{self.step.kind}{' gain' if self.gained else ''}{' loss' if self.lost else ''}"

    def __str__(self) -> str:
        parts = [f"after {self.step}"]
        parts += [f"  gained: {one}" for one in self.gained[:6]] + [f"  lost: {one}" for one in self.lost[:6]]
        return "\n".join(parts)


class Untrue(AssertionError):
    """`myAccess` told something else than what happened."""


class Arena:
    """A world in which steps are taken and judged."""

    def __init__(self, platform: Platform, ids: Mapping[str, str]) -> None:
        self.platform = platform
        self.ids = dict(ids)
        self.tally: Counter[tuple[str, bool]] = Counter()
        self.done: list[Step] = []
        self.facts: Facts = None  # type: ignore[assignment]
        self.sites: Mapping[UUID, UUID] = {}
        """Of projects."""

    # What is there

    def key(self, name: str) -> Row:
        return parse_id(self.ids[name])

    def called(self, row: Row) -> str:
        id = global_id(*row)
        return next((name for name, one in self.ids.items() if one == id), f"{row[0]} {row[1]}")

    def all(self, typename: str, *, there: bool = True) -> list[str]:
        found = [name for name, id in self.ids.items() if parse_id(id)[0] == typename]
        if not there or typename in ("Role", "Service", "Site", "DeviceType"):
            return found
        return [name for name in found if self.key(name) in self.facts.there]

    async def _principals(self) -> dict[str, Principal]:
        database, secrets = self.platform.services.database, self.platform.world
        people = {name: replace(await principal_named(database, name), session=uuid7()) for name in PEOPLE
                  if self.facts is None or self.key(name) in self.facts.there}  # fmt: skip
        tokens = {"caller": (Kind.SERVICE, secrets.here.secrets["service"]),
                  "other": (Kind.SERVICE, secrets.there.secrets["service"]), "gauge": (Kind.DEVICE, "gauge")}  # fmt: skip
        more = {name: await principal_of(database, Secret(kind, digest_of(token))) for name, (kind, token) in tokens.items()
                if self.facts is None or self.key(name) in self.facts.there or kind is Kind.SERVICE}  # fmt: skip
        return people | more

    async def look(self) -> Facts:
        """Who may do what now."""
        database = self.platform.services.database
        m = models
        rows = {model: await database.rows(sa.select(model.id, model.version, model.deleted_at)) for model in TYPES}
        there = {(model.__name__, row.id) for model, found in rows.items() for row in found if row.deleted_at is None}
        versions = {(model.__name__, row.id): row.version for model, found in rows.items() for row in found}
        gone = {model.__name__: [r.id for r in found if r.deleted_at is not None] for model, found in rows.items()}
        if self.facts is None or there != self.facts.there:
            known, self.facts = self.facts, Facts({}, {}, {}, there, versions, gone, [], [])
            principals = await self._principals()
            self.facts = known
        else:
            principals = await self._principals()
        granted = await database.rows(
            sa.select(
                m.RoleGrant.id, m.RoleGrant.user_group_id, m.RoleGrant.device_id, m.RoleGrant.participant_group_id,
                m.Role.id.label("role"), m.Role.service_id, m.Role.site_id, m.Role.project_id,
            ).join(m.Role, m.Role.id == m.RoleGrant.role_id).where(m.RoleGrant.deleted_at.is_(None))
        )  # fmt: skip
        members = await database.rows(
            sa.select(m.UserGroupMember.id, m.UserGroupMember.user_group_id, m.UserGroupMember.user_id)
        )
        places: dict[Row, set[Any]] = defaultdict(set)
        for project in [row.id for row in rows[m.Project] if row.deleted_at is None]:
            places["Project", project].add(project)
        for model in (m.ParticipantGroup, m.Participant):
            for key, project in await database.rows(sa.select(model.id, model.project_id)):
                places[model.__name__, key].add(project)
        for link, column in ((m.SiteDevice, m.SiteDevice.site_id), (m.ProjectDevice, m.ProjectDevice.project_id)):
            for device, place in await database.rows(sa.select(link.device_id, column)):
                places["Device", device].add(place)
        away, sites = set(gone["Project"]), dict(await database.rows(sa.select(m.Project.id, m.Project.site_id)))
        self.sites = sites
        for grant in granted:
            place = grant.site_id or grant.project_id
            if grant.user_group_id and place and grant.service_id == m.CORE:
                live = set() if place in away else {place}
                places["UserGroup", grant.user_group_id] |= live | {f"site of {sites.get(place, place)}"}
        for row, group, user in members:
            places["User", user] |= places["UserGroup", group]
            places["UserGroupMember", row] = places["UserGroup", group]
            there.add(("UserGroupMember", row))
        for grant in granted:
            of = next((kind, key) for kind, key in (("UserGroup", grant.user_group_id), ("Device", grant.device_id),
                                                    ("ParticipantGroup", grant.participant_group_id)) if key)  # fmt: skip
            own = {place for place in (grant.site_id, grant.project_id) if place and place not in away}
            places["RoleGrant", grant.id] = places[of] | own
        powers = {name: await self._powers(principal) for name, principal in principals.items()}
        frozen = {row: frozenset(held) for row, held in places.items()}
        return Facts(principals, powers, frozen, there, versions, gone, [tuple(r) for r in members], list(granted))

    async def _powers(self, principal: Principal) -> set[Power]:
        found: set[Power] = set()
        for model in (*TYPES, models.UserGroupMember):
            statement, told = _asked(model, principal.profile)
            for row in await self.platform.services.database.rows(statement, dict(principal.parameters)):
                found.update(((model.__name__, row[0]), what) for what, may in zip(told, row[1:], strict=True) if may)
        return found

    # What is done

    def given(self, value: Any) -> Any:
        if isinstance(value, Ref):
            return self.ids[value.name]
        if isinstance(value, Mapping):
            return {name: self.given(one) for name, one in value.items()}
        return [self.given(one) for one in value] if isinstance(value, list) else value

    async def take(self, step: Step) -> dict[str, Any]:
        """What was answered."""
        given = self.given(step.given)
        if step.mutation.startswith("update"):
            given["expectedVersion"] = self.facts.versions[parse_id(given["id"])]
        answer, errors = await mutate(self.platform, self.facts.principals[step.actor], step.mutation, **given)
        if errors:
            raise AssertionError(f"{step}: {errors}")
        if "id" in answer:
            name = f"{answer['__typename']}#{step.number}"
            if answer["id"] not in self.ids.values():
                self.ids[name] = answer["id"]
        return answer

    async def step(self, step: Step) -> Violation | None:
        """Take a step, and judge it."""
        before = self.facts
        answer = await self.take(step)
        accepted = answer["__typename"] != "Problem"
        self.tally[step.kind, accepted] += 1
        self._compare(step, before, accepted, answer)
        if not accepted:
            return None
        self.done.append(step)
        await self.settle()
        self.facts = await self.look()
        return self.judge(step, before, self.facts)

    async def settle(self) -> None:
        """Whoever has a duty does it at once, so that the world does not run out of people."""
        u = models.User
        async with self.platform.services.database.write(as_system="test") as session:
            await session.execute(
                sa.update(u).where(sa.or_(u.force_password_change, sa.not_(u.email_verified), sa.not_(u.active)))
                .values(force_password_change=False, email_verified=True, active=True)
                .execution_options(synchronize_session=False)
            )  # fmt: skip

    def _compare(self, step: Step, before: Facts, accepted: bool, answer: Mapping[str, Any]) -> None:
        """That what happened is what `myAccess` told."""
        told = self._told(step, before)
        if told is None:
            return
        if accepted and not told:
            raise Untrue(f"{step}: was done, though not told")
        if told and answer.get("code") in ("FORBIDDEN", "NOT_FOUND"):
            raise Untrue(f"{step}: was told, but {answer['message']}")

    def _told(self, step: Step, before: Facts) -> bool | None:
        powers, given = before.powers[step.actor], self.given(step.given)
        match step.mutation:
            case "setPassword":
                return None if step.actor == step.given["id"].name else (parse_id(given["id"]), "active") in powers
            case "closeSessions":
                return (parse_id(given["user"]), "first_name") in powers
            case "revokeRole":
                return (parse_id(given["id"]), "DELETE") in powers
            case name if name.startswith("delete") and name != "deleteRole":
                if name == "deleteProject" and before.principals[step.actor].kind is Kind.SERVICE:
                    return None
                return (parse_id(given["id"]), "DELETE") in powers
            case name if name.startswith("update") and "project" not in given["input"]:
                (what,) = given["input"]
                if what in ("active", "platformRole") or step.actor == self.called(parse_id(given["id"])):
                    return None
                column = "".join(f"_{c.lower()}" if c.isupper() else c for c in what)
                return (parse_id(given["id"]), column) in powers
        return None

    async def compare(self, name: str, row: Row) -> None:
        """That `myAccess` tells what was computed."""
        query = "query($i:ID!){myAccess(id:$i){actions fields}}"
        told = (await self.platform.ask(query, self.facts.principals[name], i=global_id(*row)))["myAccess"]
        held = {what for one, what in self.facts.powers[name] if one == row and not what.startswith("read ")}
        actions = set(told["actions"]) if told else set()
        assert ("DELETE" in actions) is ("DELETE" in held), (name, self.called(row))
        assert ("UPDATE" in actions) is bool(held - {"DELETE"}), (name, self.called(row))
        camel = {what.split("_")[0] + "".join(part.title() for part in what.split("_")[1:]) for what in held}
        assert not told or set(told["fields"]) <= camel | {c.removesuffix("Id") for c in camel}

    # What should be

    def judge(self, step: Step, before: Facts, after: Facts) -> Violation | None:
        actor = step.actor
        if before.principals[actor].superadmin:
            return None
        found = Violation(step)
        own, can = before.administered(actor), before.powers[actor]
        left: dict[Row, bool] = {}

        def released(row: Row) -> bool:
            """The actor took the row out of places that the actor administers, and put it into none."""
            if row not in left:
                was, now = before.places.get(row, frozenset()), after.places.get(row, frozenset())
                left[row] = now < was and self._all_of(was - now, own)
            return left[row]

        for name, powers in after.powers.items():
            had = before.powers.get(name)
            if had is None or name not in before.principals:
                continue
            held_before, held_after = before.administered(name), after.administered(name)
            for row, what in powers - had:
                if row not in before.there or (row, what) in can:
                    continue
                if released(row) and (name != actor or self._all_of(before.places[row], own)):
                    continue
                places = after.places.get(row, frozenset())
                if (
                    held_after - held_before
                    and places
                    and places <= held_before | own | {f"site of {place}" for place in held_before | own}
                ):
                    continue
                found.gained.append(f"{name}: {what} of {self.called(row)}")
            for row, what in had - powers:
                if name == actor or (row, what) in can or self.called(row) == actor:
                    continue
                if row not in after.there:
                    if not self._goes(row, can, own, before, after):
                        found.lost.append(f"{name}: {what} of {self.called(row)}, which is gone")
                    continue
                lost = held_before - held_after
                if released(row) or (lost and lost <= own):
                    continue
                found.lost.append(f"{name}: {what} of {self.called(row)}")
        found.gained.sort()
        found.lost.sort()
        return found if found.gained or found.lost else None

    def _all_of(self, places: Collection[Any], own: Collection[UUID]) -> bool:
        """They administer all of these; of a site that is there by a project, the site itself."""
        by = {f"site of {place}" for place in own}
        return all(place in own or place in by for place in places)

    def _goes(self, row: Row, can: set[Power], own: Collection[UUID], before: Facts, after: Facts) -> bool:
        """The actor might delete it, or what it hangs on."""
        if (row, "DELETE") in can:
            return True
        for grant in before.grants:
            if row == ("RoleGrant", grant.id):
                ends = (("UserGroup", grant.user_group_id), ("Device", grant.device_id),
                        ("ParticipantGroup", grant.participant_group_id))  # fmt: skip
                return (
                    any(key and end not in after.there for end in ends for key in end[1:])
                    or grant.service_id != models.CORE
                    or self.sites.get(grant.project_id) in own
                )
        return False


# What is tried --------------------------------------------------------------------------------------------------------

Proposal = tuple[str, dict[str, Any], Collection[str]]
"""A mutation, what is given to it, and who might do it."""
_OPERATORS = ("root",)
"""Who alone might do it."""
_PASSWORD = "another battery staple horse"


class Proposals:
    """Draws what to try next."""

    def __init__(self, arena: Arena, random: Random) -> None:
        self.arena, self.random = arena, random
        self.number = 0

    def next(self, kind: str) -> Step | None:
        proposed = getattr(self, f"_{kind.replace(' ', '_')}")()
        if proposed is None:
            return None
        mutation, given, likely = proposed
        principals = list(self.arena.facts.principals)
        likely = [name for name in likely if name in principals and (name != "root" or likely == _OPERATORS)]
        tally = self.arena.tally
        share = 0.9 if not tally[kind, True] else 0.2 if not tally[kind, False] else 0.7
        actor = self.random.choice(likely if likely and self.random.random() < share else principals)
        self.number += 1
        return Step(actor, mutation, given, kind, self.number)

    def one(self, typename: str, *, there: bool = True) -> str | None:
        found = self.arena.all(typename, there=there)
        return self.random.choice(found) if found else None

    def may(self, name: str | None) -> list[str]:
        """Who has some power over a row."""
        return [] if name is None else self.arena.facts.who_may(self.arena.key(name))

    def leads(self, name: str) -> list[str]:
        """Who administers a place."""
        key = self.arena.key(name)[1]
        return [who for who in self.arena.facts.principals if key in self.arena.facts.administered(who)]

    def place(self) -> str:
        return self.random.choice(("A", "B", *self.arena.all("Project")))

    def role(self, place: str) -> str:
        return f"{self.random.choice((models.ADMIN, models.USER))} of {place}"

    def called(self) -> str:
        return f"n{self.number}x{self.random.randrange(10**6)}"

    def _grantRole(self) -> Proposal | None:
        typename = self.random.choice(
            ("UserGroup", "UserGroup", "UserGroup", "UserGroup", "Device", "ParticipantGroup")
        )
        grantee = self.one(typename)
        if grantee is None:
            return None
        if self.random.random() < 0.15:
            role = self.random.choice([r for r in self.arena.all("Role") if " of " not in r])
            return "grantRole", {"role": Ref(role), "grantee": Ref(grantee)}, ["caller"]
        roles = [f"{r} of {p}" for p in ("A", "B", *self.arena.all("Project")) for r in ("admin", "user")]
        role = self.random.choice([r for r in roles if r in self.arena.ids])
        place = role.partition(" of ")[2]
        return "grantRole", {"role": Ref(role), "grantee": Ref(grantee)}, self.leads(place)

    def _revokeRole(self) -> Proposal | None:
        grant = self.one("RoleGrant")
        return grant and ("revokeRole", {"id": Ref(grant)}, self.may(grant))  # type: ignore[return-value]

    def _createUserGroup(self) -> Proposal:
        place = self.place()
        roles = [Ref(role) for role in (self.role(place),) if role in self.arena.ids]
        return "createUserGroup", {"input": {"name": self.called(), "roles": roles}}, self.leads(place)

    def _update(self, typename: str, values: Mapping[str, Any]) -> Proposal | None:
        row = self.one(typename)
        if row is None:
            return None
        name = self.random.choice(sorted(values))
        return f"update{typename}", {"id": Ref(row), "input": {name: values[name]}}, self.may(row)

    def _delete(self, typename: str) -> Proposal | None:
        row = self.one(typename)
        return None if row is None else (f"delete{typename}", {"id": Ref(row)}, self.may(row))

    def _restore(self, typename: str) -> Proposal | None:
        gone = [n for n in self.arena.all(typename, there=False) if self.arena.key(n) not in self.arena.facts.there]
        gone = gone or self.arena.all(typename)
        admins = [who for who in self.arena.facts.principals if self.arena.facts.administered(who)]
        return f"restore{typename}", {"id": Ref(self.random.choice(gone))}, admins

    def _updateUserGroup(self) -> Proposal | None:
        return self._update("UserGroup", {"name": self.called()})

    def _deleteUserGroup(self) -> Proposal | None:
        held = {group for _, group, _ in self.arena.facts.members}
        empty = [n for n in self.arena.all("UserGroup") if self.arena.key(n)[1] not in held]
        if empty and self.random.random() < 0.8:
            group = self.random.choice(empty)
            return "deleteUserGroup", {"id": Ref(group)}, self.may(group)
        return self._delete("UserGroup")

    def _restoreUserGroup(self) -> Proposal | None:
        return self._restore("UserGroup")

    def _addToGroup(self) -> Proposal | None:
        group, user = self.one("UserGroup"), self.one("User")
        return "addToGroup", {"id": Ref(group or ""), "users": [Ref(user or "")]}, self.may(group)

    def _removeFromGroup(self) -> Proposal | None:
        called = self.arena.called
        held = [(called(("UserGroup", g)), called(("User", user))) for _, g, user in self.arena.facts.members]
        names = self.random.choice(sorted(held))
        return "removeFromGroup", {"id": Ref(names[0]), "users": [Ref(names[1])]}, self.may(names[0])

    def _links(self, kind: str, owner: str | None, others: Sequence[str], likely: Collection[str]) -> Proposal | None:
        if owner is None or not others:
            return None
        some = self.random.sample(list(others), min(len(others), self.random.choice((0, 1, 1, 2))))
        return "setLinks", {"kind": kind, "id": Ref(owner), "ids": [Ref(one) for one in some]}, likely

    def _setLinks_USER_GROUP_USERS(self) -> Proposal | None:
        group = self.one("UserGroup")
        return self._links("USER_GROUP_USERS", group, self.arena.all("User"), self.may(group))

    def _setLinks_DEVICE_SITES(self) -> Proposal | None:
        device = self.one("Device")
        return self._links("DEVICE_SITES", device, ("A", "B"), self.may(device))

    def _setLinks_DEVICE_PROJECTS(self) -> Proposal | None:
        device = self.one("Device")
        return self._links("DEVICE_PROJECTS", device, self.arena.all("Project"), self.may(device))

    def _setLinks_DEVICE_PARTICIPANTS(self) -> Proposal | None:
        device = self.one("Device")
        return self._links("DEVICE_PARTICIPANTS", device, self.arena.all("Participant"), self.may(device))

    def _setLinks_SERVICE_PROJECTS(self) -> Proposal | None:
        admins = [who for who in self.arena.facts.principals if self.arena.facts.administered(who)]
        return self._links("SERVICE_PROJECTS", self.random.choice(SERVICES), self.arena.all("Project"), admins)

    def _setLinks_SERVICE_SITES(self) -> Proposal | None:
        return self._links("SERVICE_SITES", self.random.choice(SERVICES), ("A", "B"), _OPERATORS)

    def _createUser(self) -> Proposal | None:
        group = self.one("UserGroup")
        groups = [Ref(group)] if group and self.random.random() < 0.7 else []
        return "createUser", {"input": {"username": self.called(), "groups": groups}}, [*self.may(group), "mona"]

    def _updateUser(self) -> Proposal | None:
        return self._update("User", {
            "firstName": self.called(), "email": f"{self.called()}@torana.example", "notes": self.called(),
            "active": False, "emailVerified": True, "platformRole": "CONTRIBUTOR",
        })  # fmt: skip

    def _deleteUser(self) -> Proposal | None:
        made = [n for n in self.arena.all("User") if n not in PEOPLE]
        return ("deleteUser", {"id": Ref(self.random.choice(made))}, _OPERATORS) if made else None

    def _restoreUser(self) -> Proposal | None:
        proposed = self._restore("User")
        return None if proposed is None else (proposed[0], proposed[1], _OPERATORS)

    def _setPassword(self) -> Proposal | None:
        user = self.one("User")
        return "setPassword", {"id": Ref(user or ""), "newPassword": _PASSWORD}, self.may(user)

    def _closeSessions(self) -> Proposal | None:
        user = self.one("User")
        return "closeSessions", {"user": Ref(user or "")}, self.may(user)

    def _createProject(self) -> Proposal:
        site = self.random.choice(("A", "B"))
        likely = [*self.leads(site), "caller"]
        return "createProject", {"input": {"site": Ref(site), "name": self.called()}}, likely

    def _updateProject(self) -> Proposal | None:
        return self._update("Project", {"name": self.called(), "description": self.called()})

    def _deleteProject(self) -> Proposal | None:
        return self._delete("Project")

    def _restoreProject(self) -> Proposal | None:
        return self._restore("Project")

    def _createParticipantGroup(self) -> Proposal | None:
        project = self.one("Project")
        given = {"project": Ref(project or ""), "name": self.called()}
        return "createParticipantGroup", {"input": given}, self.may(project)

    def _updateParticipantGroup(self) -> Proposal | None:
        return self._update("ParticipantGroup", {"name": self.called(), "project": Ref(self.one("Project") or "")})

    def _deleteParticipantGroup(self) -> Proposal | None:
        return self._delete("ParticipantGroup")

    def _restoreParticipantGroup(self) -> Proposal | None:
        return self._restore("ParticipantGroup")

    def _createParticipant(self) -> Proposal | None:
        project = self.one("Project")
        return "createParticipant", {"input": {"project": Ref(project or ""), "name": self.called()}}, self.may(project)

    def _updateParticipant(self) -> Proposal | None:
        to = {"name": self.called(), "project": Ref(self.one("Project") or ""), "username": self.called()}
        return self._update("Participant", to)

    def _deleteParticipant(self) -> Proposal | None:
        return self._delete("Participant")

    def _restoreParticipant(self) -> Proposal | None:
        return self._restore("Participant")

    def _setParticipantPassword(self) -> Proposal | None:
        one = self.one("Participant")
        return "setParticipantPassword", {"id": Ref(one or ""), "newPassword": _PASSWORD}, self.may(one)

    def _createRole(self) -> Proposal:
        site = self.random.choice(("A", "B"))
        given = {
            "service": Ref(self.random.choice(SERVICES)),
            "scope": "SITE",
            "site": Ref(site),
            "name": self.called(),
        }
        return "createRole", {"input": given}, SERVICES

    def _deleteRole(self) -> Proposal | None:
        role = self.random.choice(
            [r for r in self.arena.all("Role") if "#" in r or self.random.random() < 0.05] or [""]
        )
        return ("deleteRole", {"id": Ref(role)}, SERVICES) if role else None

    def _createDevice(self) -> Proposal:
        site = self.random.choice(("A", "B"))
        given = {"name": self.called(), "type": Ref("kind"), "sites": [Ref(site)]}
        return "createDevice", {"input": given}, self.leads(site)

    def _updateDevice(self) -> Proposal | None:
        return self._update("Device", {"name": self.called(), "notes": self.called(), "config": {"rate": 1}})

    def _deleteDevice(self) -> Proposal | None:
        return self._delete("Device")

    def _createNotificationTemplate(self) -> Proposal:
        place = self.place()
        given = {"key": "session_invited", "language": self.called()[:8], "text": "x",
                 "site" if place in "AB" else "project": Ref(place)}  # fmt: skip
        return "createNotificationTemplate", {"input": given}, self.leads(place)


KINDS = tuple(
    name.removeprefix("_").replace("setLinks_", "setLinks ")
    for name in vars(Proposals)
    if name.startswith("_") and name not in ("__init__", "_links", "_update", "_delete", "_restore")
    and not name.startswith("__")
)  # fmt: skip
_FREQUENT = ("grantRole", "addToGroup", "revokeRole", "removeFromGroup", "grantRole", "setLinks USER_GROUP_USERS")


def untried(tally: Counter[tuple[str, bool]]) -> list[str]:
    """The mutations that were not both accepted and refused."""
    return [kind for kind in KINDS if not (tally[kind, True] and tally[kind, False])]


async def roam(
    arena: Arena, random: Random, steps: int, *, kinds: Sequence[str] = (), all_tried: bool = False
) -> AsyncIterator[Violation]:
    """Try what was tried least, and now and then what gives and takes rights, or `kinds` alone; what should not be. With
    `all_tried` no longer than until each mutation was accepted and refused."""
    proposals = Proposals(arena, random)
    arena.facts = await arena.look()
    tried: Counter[str] = Counter()
    while proposals.number < steps and not (all_tried and not untried(arena.tally)):
        if kinds or random.random() < 0.3:
            kind = random.choice(kinds or _FREQUENT)
        else:
            few = [(min(arena.tally[k, True], arena.tally[k, False]), tried[k] // 4, random.random(), k) for k in KINDS]
            kind = min(few)[-1]
        tried[kind] += 1
        if (step := proposals.next(kind)) is None:
            continue
        if (violation := await arena.step(step)) is not None:
            violation.history = tuple(arena.done)
            yield violation
        if proposals.number % 10 == 0:
            row = random.choice([row for row in sorted(arena.facts.there) if row[0] != "UserGroupMember"])
            await arena.compare(random.choice(list(arena.facts.principals)), row)


async def again(arena: Arena, steps: Sequence[Step]) -> Violation | None:
    """Take steps anew, and judge the last; steps that name what is not there are left out."""
    arena.facts = await arena.look()
    for n, step in enumerate(steps):
        last = n == len(steps) - 1
        try:
            if last:
                return await arena.step(step)
            if (await arena.take(step))["__typename"] != "Problem":
                await arena.settle()
                arena.facts = await arena.look()
        except (KeyError, AssertionError):
            if last:
                return None
    return None


Arenas = Callable[[], Any]


async def shrunk(arenas: Arenas, violation: Violation) -> Violation:
    """The same with as few steps before it as are needed."""
    steps = list(violation.history)
    size = max(1, len(steps) // 2)
    while size:
        start = 0
        while start < len(steps) - 1:
            tried = steps[:start] + steps[min(start + size, len(steps) - 1) :]
            async with arenas() as arena:
                found = await again(arena, tried)
            if found is not None:
                violation, steps = replace(found, history=tuple(tried)), tried
            else:
                start += size
        size //= 2
    return violation


@asynccontextmanager
async def arena_on(
    prepared: Prepared, backend: str, schema: Schema, folder: Path, reused: Reused | None = None
) -> AsyncIterator[Arena]:
    async with prepared.lent(backend, POWER) as (url, (world, ids)), platform_on(url, world, schema, folder, Bounds(), reused) as platform:  # fmt: skip
        yield Arena(platform, ids)


def report(tally: Counter[tuple[str, bool]]) -> str:
    """How many steps of each mutation were accepted and refused."""
    lines = [f"{'mutation':32}{'accepted':>9}{'refused':>9}"]
    lines += [f"{kind:32}{tally[kind, True]:9}{tally[kind, False]:9}" for kind in KINDS]
    return "\n".join([*lines, f"{'all':32}{sum(n for (_, a), n in tally.items() if a):9}{sum(n for (_, a), n in tally.items() if not a):9}"])  # fmt: skip


def say(*lines: Any) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


async def _main(steps: int, seed: int, backend: str) -> int:
    schema, tally, sorts = build(), Counter[tuple[str, bool]](), dict[str, Violation]()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        prepared = Prepared(Path(folder), stack)
        taken = 0
        while taken < steps:
            async with arena_on(prepared, backend, schema, Path(folder)) as arena:
                async for violation in roam(arena, Random(seed), min(200, steps - taken)):
                    if violation.sort not in sorts:
                        sorts[violation.sort] = violation
                        say(f"seed {seed}", violation)
                tally += arena.tally
            taken, seed = taken + 200, seed + 1
        for violation in sorts.values():
            least = await shrunk(lambda: arena_on(prepared, backend, schema, Path(folder)), violation)
            say("", *least.history, least)
        say(report(tally))
    return len(sorts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", choices=BACKENDS, default=BACKENDS[0])
    given = parser.parse_args()
    sys.exit(min(1, asyncio.run(_main(given.steps, given.seed, given.backend))))


if __name__ == "__main__":
    main()
