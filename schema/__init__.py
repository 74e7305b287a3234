"""What clients see: one schema, assembled from an explicit list of areas. Runs no SQL."""

import asyncio
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Annotated, Any

import strawberry
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema, GraphQLUnionType
from strawberry.schema.config import StrawberryConfig

from resolvers.failures import Failure, check_limit
from resolvers.reading.paging import MOST
from schema.fields.checks import check
from schema.fields.fields import Info, by_id
from schema.fields.mutations import written
from schema.fields.nodes import Node
from schema.fields.problems import ProblemHandler
from schema.fields.scalars import SCALARS, parse_id
from schema.fields.selection import model_of
from schema.lists.connections import give_defaults
from schema.lists.roots import roots
from schema.types.access import AccessMutation, AccessQuery
from schema.types.accounts.client_versions import ClientVersionsMutation, ClientVersionsQuery
from schema.types.accounts.credentials import CredentialsMutation
from schema.types.accounts.device_credentials import DeviceCredentialsMutation
from schema.types.accounts.login_codes import LoginCodesMutation
from schema.types.accounts.login_sessions import LoginSessionsMutation, LoginSessionsQuery
from schema.types.accounts.passwords import PasswordsMutation
from schema.types.accounts.people import PeopleMutation, PeopleQuery
from schema.types.accounts.sign_in_options import SignInOptionsQuery
from schema.types.accounts.signing import SigningMutation, SigningQuery
from schema.types.accounts.users import AccountsQuery
from schema.types.archives import ArchivesMutation
from schema.types.attention import AttentionQuery
from schema.types.challenges.challenges import ChallengesMutation
from schema.types.challenges.commands import SubmissionCommandsMutation, SubmissionQuotaQuery
from schema.types.challenges.evaluators import EvaluatorsMutation
from schema.types.challenges.leaderboards import LeaderboardsMutation
from schema.types.challenges.participation import ParticipationMutation
from schema.types.challenges.streams import ChallengeStreamsSubscription
from schema.types.clusters import ClustersMutation, ClustersQuery
from schema.types.devices import DevicesMutation
from schema.types.exports import ExportsMutation
from schema.types.files.files import FilesMutation
from schema.types.files.uploads import UploadsMutation, UploadStreamsSubscription
from schema.types.following import FollowingSubscription
from schema.types.forms import FormsQuery
from schema.types.groups import GroupsMutation
from schema.types.job_batches import JobBatchesMutation
from schema.types.job_streams import JobStreamsSubscription
from schema.types.jobs import JobsMutation
from schema.types.notices import NoticesMutation
from schema.types.organisation import OrganisationMutation
from schema.types.services import ServicesMutation
from schema.types.sessions.assets import AssetsMutation, AssetsQuery
from schema.types.sessions.commands import SessionsMutation
from schema.types.sessions.events import SessionEventsMutation
from schema.types.sessions.kinds import SessionTypesMutation
from schema.types.sessions.offline import OfflineQuery
from schema.types.sessions.streams import SessionStreamsSubscription
from schema.types.simulations import results  # noqa: F401  (the same)
from schema.types.simulations.differences import DifferencesQuery
from schema.types.simulations.downloads import DownloadsMutation
from schema.types.simulations.share_links import SimulationLinksMutation
from schema.types.simulations.simulations import SimulationsMutation
from schema.types.simulations.submissions import SubmissionsMutation
from schema.types.specs.commands import SpecDifferenceQuery, SpecsMutation
from schema.types.workers import WorkersMutation

DESCRIPTION = (
    "Torana: one gateway for simulations and their jobs, projects and the people in them, devices, sessions, "
    "challenges and specs. "
    "Sign in with `logIn`, and send the access token in the header `Authorization: Bearer ...`. "
    "Lists are connections: give `first` or `last`. "
    "A mutation answers what it wrote, or a `Problem`; an error of a query carries its code as `extensions.code`."
)

_Id = Annotated[strawberry.ID, strawberry.argument(description="The global id of any node.")]
_Ids = Annotated[list[strawberry.ID], strawberry.argument(description=f"Global ids, at most {MOST}.")]


async def _tried(info: Info, id: str, field: str) -> Any:
    """The node, or the failure, which is then the error of this element alone."""
    try:
        return await _node(info, id, field)
    except Failure as failure:
        return failure


async def _node(info: Info, id: str, field: str) -> Any:
    typename, key = parse_id(id, field)
    model = model_of(info._raw_info.schema.get_type(typename))
    return None if model is None else await written(info, typename, model, key)


@strawberry.type
class NodesQuery:
    @by_id("The node with this id; null when there is no such node or you may not see it.")
    async def node(self, info: Info, id: _Id) -> Node | None:
        return await _node(info, id, "id")  # type: ignore[no-any-return]

    @by_id(
        "The nodes with these ids, in their order; null for each that you may not see. For a text that is no id it "
        "is null, "
        "with an error of its own."
    )
    async def nodes(self, info: Info, ids: _Ids) -> list[Node | None]:
        check_limit(f"at most {MOST} ids, not {len(ids)}", len(ids), MOST, limit="ids")
        return list(await asyncio.gather(*(_tried(info, id, f"ids.{index}") for index, id in enumerate(ids))))


QUERIES: list[type] = [
    AccountsQuery,
    SignInOptionsQuery,
    SigningQuery,
    LoginSessionsQuery,
    PeopleQuery,
    AccessQuery,
    DifferencesQuery,
    ClustersQuery,
    SubmissionQuotaQuery,
    SpecDifferenceQuery,
    AssetsQuery,
    OfflineQuery,
    ClientVersionsQuery,
    AttentionQuery,
    FormsQuery,
    NodesQuery,
]
MUTATIONS: list[type] = [
    AccessMutation,
    SigningMutation,
    LoginSessionsMutation,
    LoginCodesMutation,
    ClientVersionsMutation,
    PasswordsMutation,
    PeopleMutation,
    OrganisationMutation,
    GroupsMutation,
    DevicesMutation,
    CredentialsMutation,
    DeviceCredentialsMutation,
    ServicesMutation,
    SessionTypesMutation,
    SessionsMutation,
    SessionEventsMutation,
    AssetsMutation,
    SubmissionsMutation,
    SimulationsMutation,
    SimulationLinksMutation,
    DownloadsMutation,
    ExportsMutation,
    JobsMutation,
    JobBatchesMutation,
    FilesMutation,
    UploadsMutation,
    ArchivesMutation,
    SpecsMutation,
    ChallengesMutation,
    EvaluatorsMutation,
    LeaderboardsMutation,
    ParticipationMutation,
    SubmissionCommandsMutation,
    WorkersMutation,
    ClustersMutation,
    NoticesMutation,
]
SUBSCRIPTIONS: list[type] = [
    JobStreamsSubscription,
    UploadStreamsSubscription,
    ChallengeStreamsSubscription,
    SessionStreamsSubscription,
    FollowingSubscription,
]
"""The areas: each has fields at the root."""


class Schema(strawberry.Schema):
    """Strawberry's schema; `core` is the graphql-core schema that operations run on."""

    @property
    def core(self) -> GraphQLSchema:
        return self._schema

    def as_str(self) -> str:
        """The SDL. Strawberry prints no description of the schema itself."""
        roots = "\n".join(f"  {name.lower()}: {name}" for name in ("Query", "Mutation", "Subscription"))
        return f'"""\n{DESCRIPTION}\n"""\nschema {{\n{roots}\n}}\n\n{super().as_str()}'


@cache
def build() -> Schema:
    """The schema, checked, and made once for a process; raises TypeError for a declaration that breaks a rule."""
    with _uncollected():
        return _built()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's collector: what is made here stays, and looking through it takes a quarter of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _built() -> Schema:
    areas: list[Any] = QUERIES
    own = {field.python_name for area in areas for field in area.__strawberry_definition__.fields}
    schema = Schema(
        _root(
            "Query",
            [*QUERIES, roots(own)],
            "Everything that can be read. Anyone may ask, and sees what they may see. A list is never null: an "
            "error in its arguments, such as a cursor of another list, makes the object null that holds the list, "
            "here all of `data`.",
        ),
        _root(
            "Mutation",
            MUTATIONS,
            "Everything that can be changed. Each mutation is one transaction; of several rows at once, each row is "
            "one. An expected failure is answered by a `Problem`.",
        ),
        _root("Subscription", SUBSCRIPTIONS, "Streams of changes, as they happen."),
        config=StrawberryConfig(scalar_map=SCALARS, relay_max_results=MOST),
        exception_handlers=[ProblemHandler()],
    )
    schema.core.description = DESCRIPTION
    give_defaults(schema.core)
    for kind in schema.core.type_map.values():
        # Rows are no instances of the types that show them: an abstract type is told by what stands in the row.
        if isinstance(kind, GraphQLObjectType):
            kind.is_type_of = None
        elif isinstance(kind, GraphQLInterfaceType | GraphQLUnionType) and not kind.name.startswith("__"):
            kind.resolve_type = _typename
    check(schema.core)
    return schema


def _root(name: str, areas: Sequence[type], description: str) -> type:
    """A root that has the fields of all areas."""
    return strawberry.type(type(name, tuple(areas), {}), description=description)


def _typename(value: Any, *_: Any) -> str:
    definition = getattr(value, "__strawberry_definition__", None)
    name: str = value.typename if definition is None else definition.name
    return name
