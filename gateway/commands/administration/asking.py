"""Run operations of the schema in process, as a user or as the operator of the machine.

So access, checks and messages are the same as for every other client.
"""

import getpass
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from re import fullmatch
from typing import Any
from uuid import UUID

import orjson

from gateway.app import bounds_of
from gateway.operations.documents import Documents, Envelope
from gateway.operations.execution import Execution
from gateway.operations.responses import Refused, encode
from gateway.settings import Settings
from resolvers.accounts.addresses import spellings
from resolvers.context import Context, Services
from resolvers.failures import Code, Failure, Invalid
from resolvers.identity.lookup import principal_named
from resolvers.identity.principal import OPERATOR, Principal
from resolvers.spelling import global_id
from schema import build
from schema.fields.scalars import parse_id

PAGE = 50
"""The most rows that are asked for at once."""


class Refusal(Exception):
    """A command was refused, or can't be carried out."""

    def __init__(self, message: str, code: str = Code.INVALID.name, field: str | None = None) -> None:
        super().__init__(f"{message} ({code}{f', {field}' if field else ''})")
        self.code = code


@dataclass(frozen=True, slots=True)
class Found:
    """A row that was named: its global id, its version, and its other requested fields."""

    id: str
    version: int
    name: str


@dataclass(frozen=True, slots=True)
class Listed:
    """The rows of a list; `more` when the list goes on."""

    nodes: list[dict[str, Any]]
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Names:
    """How rows of a type are found by name: the list, each filter with the field that must equal the name, and what
    distinguishes two rows of the same name."""

    field: str
    filters: Mapping[str, tuple[str, ...]]
    apart: str = ""

    def told(self, node: Mapping[str, Any]) -> str:
        """A row as text: its id, and what distinguishes it."""
        place = node[self.apart.split()[0]] if self.apart else None
        name = place["name"] if isinstance(place, dict) else place
        return f"{uuid_of(node['id'])}{f' ({name})' if name else ''}"


NAMED: Mapping[str, _Names] = {
    "User": _Names("users", {"text": ("username", "email")}, "authProvider"),
    "UserGroup": _Names("userGroups", {"name": ("name",)}),
    "Site": _Names("sites", {"name": ("name",)}),
    "Project": _Names("projects", {"name": ("name",)}, "site { name }"),
    "Participant": _Names("participants", {"text": ("username", "name")}, "project { name }"),
    "ParticipantGroup": _Names("participantGroups", {"name": ("name",)}, "project { name }"),
    "Device": _Names("devices", {"name": ("name",)}, "type { name }"),
    "Service": _Names("services", {"key": ("key",), "name": ("name",)}),
    "Cluster": _Names("clusters", {"name": ("name",)}),
}
WORDS = {
    "User": "user",
    "UserGroup": "group",
    "ParticipantGroup": "group of participants",
    "Credential": "key or token",
    **{
        name: name.lower()
        for name in ("Site", "Project", "Participant", "Device", "Service", "Cluster", "Job", "Simulation")
    },
}


def listing(field: str, kind: str, shown: str) -> str:
    """The document of a page of a list."""
    return f"""query($first: Int!, $after: String, $filter: {kind}Filter) {{
        page: {field}(first: $first, after: $after, filter: $filter) {{
            nodes {{ {shown} }} pageInfo {{ hasNextPage endCursor }} }} }}"""


def is_(id: str | None) -> dict[str, Any] | None:
    """The filter of a reference to the row of an id; None for no id."""
    return None if id is None else {"ids": [id]}


def among(values: Sequence[str] | None) -> dict[str, Any] | None:
    """The filter of one of several values; None for none."""
    return {"in": list(values)} if values else None


def has(text: str | None) -> dict[str, Any] | None:
    """The filter of a part of a text."""
    return None if text is None else {"contains": text}


def some(filter: dict[str, Any] | None) -> dict[str, Any] | None:
    """The filter that some of several rows meet."""
    return None if filter is None else {"some": filter}


def writing(field: str, shown: str, **variables: str) -> str:
    """The document of a mutation. `shown` is a fragment of its result; `variables` are its arguments with their
    types."""
    declared = ", ".join(f"${name}: {kind}" for name, kind in variables.items())
    given = ", ".join(f"{name}: ${name}" for name in variables)
    return f"""mutation{f"({declared})" if declared else ""} {{
        result: {field}{f"({given})" if given else ""} {{
            __typename ... on {shown} ... on Problem {{ code message field }} }} }}"""


@dataclass(frozen=True)
class Asking:
    """Runs operations as one principal. `services` and `context` are for what no operation of the schema does."""

    settings: Settings
    services: Services
    principal: Principal
    documents: Documents
    execution: Execution
    client: Mapping[str, Any]

    @classmethod
    def of(cls, settings: Settings, services: Services, agent: str) -> "Asking":
        """As the operator, by a program of this name."""
        schema, given = build(), settings.operations
        bounds = bounds_of(given)
        return cls(
            settings,
            services,
            OPERATOR,
            Documents(schema.core, bounds, keep=10**7),
            Execution(schema, bounds, timeout=given.operation_timeout, rendering=given.rendering),
            {"agent": agent, "account": _account()},
        )

    async def as_user(self, username: str) -> "Asking":
        return replace(self, principal=await principal_named(self.services.database, username))

    async def as_owner(self, username: str) -> "Asking":
        """As another user, for what only the user can do; only the operator may become someone else."""
        owner = await self.as_user(username)
        if self.principal not in (OPERATOR, owner.principal):
            raise Refusal("this is for its owner", Code.FORBIDDEN.name)
        return owner

    @property
    def context(self) -> Context:
        return Context(self.services, self.principal, dict(self.client))

    async def data(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation. Fields that the principal may not read are null; any other error is a Refusal."""
        try:
            answer = await self.execution.run(self.documents.operation(Envelope(document)), variables, self.context)
        except Refused as refusal:
            answer = refusal.answer
        body = orjson.loads(encode(answer.body))
        data: dict[str, Any] | None = body.get("data")
        for error in body.get("errors", ()):
            code = error.get("extensions", {}).get("code", "")
            if data is None or code != Code.FORBIDDEN.name or len(error.get("path", ())) < 2:
                raise Refusal(error["message"], code, error["extensions"].get("field"))
        assert data is not None
        return data

    async def write(self, document: str, **variables: Any) -> dict[str, Any]:
        """The result of a mutation; a Problem is raised as a Refusal."""
        result: dict[str, Any] = (await self.data(document, **variables))["result"]
        if result.pop("__typename") == "Problem":
            raise Refusal(result["message"], result["code"], result["field"])
        return result

    async def all(
        self, document: str, limit: int | None = None, given: Mapping[str, Any] | None = None, /, **filter: Any
    ) -> Listed:
        """The rows of a list, page by page, up to a limit; `given` has further arguments of its field."""
        nodes: list[dict[str, Any]] = []
        chosen = {name: value for name, value in filter.items() if value is not None}
        after = None
        while limit is None or len(nodes) < limit:
            first = PAGE if limit is None else min(PAGE, limit - len(nodes))
            page = (await self.data(document, first=first, after=after, filter=chosen, **(given or {})))["page"]
            nodes += page["nodes"]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return Listed(nodes)
        return Listed(nodes, more=True)

    async def find(self, kind: str, named: str) -> Found:
        """The row of a type that an id or a name names; a Refusal for none, and for a name that several have."""
        if (id := id_in(kind, named)) is not None:
            node = (await self.data("query($id: ID!) { node(id: $id) { id version } }", id=id))["node"]
            if node is None:
                raise Refusal(f"there is no {WORDS[kind]} with this id", Code.NOT_FOUND.name)
            return Found(node["id"], node["version"], named)
        if (known := NAMED.get(kind)) is None:
            raise Refusal(f"a {WORDS[kind]} is named by its id")
        for condition, fields in known.filters.items():
            shown = f"id version {' '.join(fields)} {known.apart}"
            text = named[:100] if condition == "text" else {"equals": named}
            near = (await self.all(listing(known.field, kind, shown), **{condition: text})).nodes
            for field in fields:
                wanted = spellings(named)[0] if kind == "User" else named
                same = [node for node in near if node[field] == wanted]
                if len(same) > 1:
                    told = ", ".join(map(known.told, same))
                    raise Refusal(f"several are called {named}; name one by its id: {told}")
                if same:
                    return Found(same[0]["id"], same[0]["version"], same[0][field])
        raise Refusal(f"no {WORDS[kind]} is called {named}", Code.NOT_FOUND.name)

    def deleted(self, kind: str, text: str) -> str:
        """The id of a deleted row, which no list shows any more."""
        if (id := id_in(kind, text)) is None:
            raise Refusal("what is deleted is named by its id, which torana audit list --action DELETE tells")
        return id

    async def id(self, kind: str, named: str | None) -> str | None:
        """The id of the named row; None when no name was given."""
        return None if named is None else (await self.find(kind, named)).id


def id_in(kind: str, text: str) -> str | None:
    """The global id that a text is, or whose UUID it is; None for any other text."""
    if fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
        return global_id(kind, UUID(text))
    try:
        typename, _ = parse_id(text)
    except Invalid:
        return None
    if typename != kind:
        raise Refusal(f"this is the id of a {typename}, not of a {kind}")
    return text


def uuid_of(id: str | None) -> str | None:
    """The UUID of a global id, which tables show because it is shorter."""
    return None if id is None else str(parse_id(id)[1])


def refusal_of(failure: Failure) -> Refusal:
    return Refusal(failure.message, failure.code.name, failure.field)


def _account() -> str:
    """The account of the machine that runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
