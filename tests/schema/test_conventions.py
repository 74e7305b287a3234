"""The conventions of the schema, which docs/developing.md tells. Each is held by walking the schema; what differs is
named here with its reason."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_specified_scalar_type,
)

from resolvers.spelling import global_id
from schema import Schema
from schema.fields.scalars import RENAMED, parse_id
from tests.support.platforms import Platform

WORKERS = "workers of the release before go on over an upgrade, and only `torana worker` sends this"

OTHER_INPUTS = {
    "ClientInfo": "says what program signs in",
    "EvaluatorBounds": "what a program may use, beside what it is",
    "ClusterOptions": "what a command is given beside a row: named for what it is",
    "ExternalSubject": "says who a user is",
    "LineInput": WORKERS,
    "Owner": "says which user is meant",
}

OTHER_REFERENCES = {
    "submitSimulation(from)": "a Simulation, as the row that comes to be",
    "grantRole(grantee)": "a UserGroup, a Device or a ParticipantGroup",
    "setLinks(ids)": "of the type that `kind` names",
}
"""Arguments of mutations with ids that are called neither `id` nor like a type."""

OTHER_VALUES = {
    "HeldRole.role": "the word of a role, `admin` or `user`",
    "createDownload(estimator)": "a part of the address: the file's name does, too",
    "createDownload(page)": "a part of the address: the page's number",
    "createDownload(estimators)": "a part of the address: names or files",
    "createDownload(pages)": "a part of the address: numbers such as `1-3,5`",
    "LineInput.file": WORKERS,
    "LogEntry.file": "the name of a file of the program's",
    "LogEntryFilter.file": "the name of a file of the program's",
    "workerPutResults(estimators)": WORKERS,
    "WorkerAssignment.files": WORKERS,
    "createDownload(file)": "a part of the address: the input file's name",
}
"""What is called like a type and holds something else."""

OWN_SCALARS = {"Bins": "a small grammar of our own, which stands in its description"}
"""Scalars that nobody else specifies."""

OWN_ROW = {
    "updateProfile": "of the user who asks",
    "updateDeviceConfig": "of the device that asks",
}
"""Updates without `id`."""

COMMANDS = {
    "a row comes to be, of what is named": {
        "createApiKey", "createAssetGrant", "createChallengeToken", "createDeviceCertificate", "createDeviceToken", "createDownload", "createLoginCode", "createParticipantToken", "createServiceToken",
        "createSimulationLink", "createSpecToken", "createTeam", "grantRole", "addLogEvent", "joinChallenge", "registerDevice", "reevaluate", "reportEvents", "signUp", "submitSimulation",
    },
    "a state is asked for, and checked, whatever else changed": {
        "archiveSubmission", "buildPackage", "cancelJob", "cancelJobs", "cancelReevaluation", "cancelSubmission", "chooseSubmission", "decideRegistration",
        "evaluateSubmission", "excludeSubmission", "inviteToTeam", "cancelSession", "inviteToSession", "replyInvite", "startSession", "stopSession", "terminateSession", "joinTeam", "setAuthorLabel", "setSubmissionEvaluator",
        "setSubmissionStatus", "unyankPackage", "withdrawSubmission", "yankPackage", "retryJob", "retryJobs", "refuseAsset", "releaseAsset", "rotateApiKey", "setOldestClient", "setReadOnly", "newDeviceRegisterKey", "setJobPriority",
    },
    "an ending that holds whatever changed meanwhile": {
        "disconnect", "closeOtherSessions", "closeSession", "closeSessions", "deleteAllSpecs", "deleteJobs", "deleteSimulations", "deleteUpload", "leaveSession", "leaveTeam", "removeFromSession",
        "logOut", "revokeAllCredentials", "revokeCredential",
    },
    "a proof of who asks, or what only its owner has": {
        "redeemLoginCode", "changeParticipantPassword", "requestParticipantPasswordReset", "changePassword", "completeTwoFactor", "confirmTwoFactor", "disableTwoFactor", "logIn", "logInParticipant",
        "newRecoveryCodes", "refresh", "removeClusterLogin", "removeTwoFactor", "requestPasswordReset",
        "resendVerification", "resetPassword", "setClusterLogin", "setParticipantPassword", "setPassword",
        "setUpTwoFactor", "verifyEmail",
    },
    "links are no rows that a client reads": {"addToGroup", "removeFromGroup", "setLinks"},
    "the newest report counts": {"setDeviceStatus"},
    "it writes nothing": {"createExport"},
    "nothing is kept": {"announceChallenge", "sendNotification"},
    "what is there is read, and nothing of it is lost": {"rebuildLeaderboard", "upsertEvaluator"},
    "the row may not be there yet, so its version is optional": {"putSpec", "setPreference"},
}  # fmt: skip
"""Mutations that are no `create`, `update`, `delete` or `restore` of a row with an input."""

CONNECTION = {"nodes", "edges", "pageInfo", "totalCount", "totalCountAtLeast"}
OTHER_LISTS = {
    "Query.nodes": "as many as ids are given",
    "DeletedBatch.outcomes": "one for each row of a mutation of several",
    "JobBatch.outcomes": "the same",
    "InputDifference.inputFiles": "those of one input, at most 32",
    "InputDifference.inputJson": "of two documents, with a bound of its own",
    "SignInOptions.providers": "those of the settings, at most one of each kind",
    "SpecDifference.changes": "of two documents, with a bound of its own",
    "Query.clientVersions": "those that superadmins set, at most 1000",
    "Form.fields": "those of one input of the schema",
    "Query.eventGaps": "of one device, at most 1000",
    "RowChanges.changes": "a page with a cursor of its own, which outlives a connection",
    "EventBatch.outcomes": "one for each event of a batch",
    "Subscription.invitations": "what came at once, of a stream",
    "Subscription.sessionEvents": "what came at once, of a stream",
    "Subscription.presence": "what came at once, of a stream",
    "Subscription.entityChanged": "what came at once, of a stream",
    "WorkerAssignment.fetched": "the input files of one task",
}
"""Lists of objects that are no connections."""


def test_inputs_are_called_new_changes_filter_or_order(schema: Schema) -> None:
    assert strange_inputs(schema.core) == []


def test_a_reference_is_called_like_its_type(schema: Schema) -> None:
    assert strange_references(schema.core) == []


def test_a_mutation_names_its_row_by_id_and_its_version(schema: Schema) -> None:
    assert strange_rows(schema.core) == []


def test_every_mutation_answers_a_union_with_problem(schema: Schema) -> None:
    assert strange_results(schema.core) == []


def test_lists_are_connections_whose_order_has_a_default(schema: Schema) -> None:
    assert strange_lists(schema.core) == []


def test_the_schema_its_scalars_and_all_that_is_in_it_are_described(schema: Schema) -> None:
    assert bare(schema.core) == []
    assert schema.core.description
    assert build_schema(schema.as_str()).description == schema.core.description


def test_moments_and_days_are_called_so(schema: Schema) -> None:
    ends = {"DateTime": ("At",), "Date": ("Date",)}
    wrong = [
        where
        for where, name, kind in _named(schema.core)
        if (end := ends.get(get_named_type(kind).name)) and name != "at"
        if where.partition(".")[0] not in ("DateTimeFilter", "DateFilter")
        if not name.endswith(end)
    ]
    assert wrong == []


OLD = """
scalar DateTime
type Query { project(projectId: ID): Project sessions: [Project!]! projects(first: Int, orderBy: ProjectOrder): ProjectConnection! }
enum ProjectOrder { NAME }
interface Node { id: ID! }
type Project implements Node { id: ID! }
type ProjectConnection { nodes: [Project!]! edges: [ProjectEdge!]! pageInfo: ID totalCount: Int totalCountAtLeast: Int! }
type ProjectEdge { node: Project! cursor: String! }
type ProjectInput { project: String }
type Problem { code: String }
union ProjectResult = Project | Problem
type Mutation {
  updateProject(project: ID!, input: UpdateProjectInput!): ProjectResult!
  deleteProject(id: ID!): Boolean!
  closeProject(id: ID!): ProjectResult
  moveProject(project: ID!): ProjectResult!
}
input UpdateProjectInput { projectId: ID }
"""


def test_what_breaks_a_convention_is_found() -> None:
    old = build_schema(OLD)
    assert strange_inputs(old) == ["ProjectInput", "UpdateProjectInput", "updateProject(input)"]
    assert strange_references(old) == ["ProjectInput.project", "UpdateProjectInput.projectId", "project(projectId)"]
    assert strange_rows(old) == [
        "closeProject", "deleteProject", "moveProject", "moveProject(project)", "updateProject", "updateProject(project)",
    ]  # fmt: skip
    assert strange_results(old) == ["closeProject", "deleteProject"]
    assert strange_lists(old) == ["Query.projects", "Query.projects(orderBy)", "Query.sessions"]
    assert {"DateTime", "DateTime specifiedBy", "Query.sessions", "project(projectId)"} <= set(bare(old))


def test_nothing_is_excepted_that_keeps_the_conventions(schema: Schema) -> None:
    core, places = schema.core, {where for where, _, _ in _named(schema.core)}
    mutations = set(core.mutation_type.fields)  # type: ignore[union-attr]
    assert set(OTHER_INPUTS) <= set(core.type_map)
    assert {*OTHER_REFERENCES, *OTHER_VALUES, *OTHER_LISTS} <= places
    assert {*OWN_ROW}.union(*COMMANDS.values()) <= mutations


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
async def test_ids_from_before_a_type_was_renamed_are_understood(platform: Platform, old: str, new: str) -> None:
    query = "query($s:ID!){simulation(id:$s){input{id}}}"
    found = await platform.ask(query, "tom", s=platform.world.id("Simulation", "simulation"))
    id = found["simulation"]["input"]["id"]
    typename, key = parse_id(id)
    assert typename == new
    asked = await platform.ask("query($i:ID!){node(id:$i){id __typename}}", "tom", i=global_id(old, key))
    assert asked["node"] == {"id": id, "__typename": new}


# What is strange in a schema -----------------------------------------------------------------------------------------


def strange_inputs(schema: GraphQLSchema) -> list[str]:
    """Inputs that are called otherwise, outputs that are called like inputs, and arguments `input` of another thing."""
    wrong = []
    for kind in _types(schema, GraphQLInputObjectType):
        called = kind.name.startswith("New") or kind.name.endswith(("Changes", "Filter", "Order"))
        wrong += [kind.name] * (not called and kind.name not in OTHER_INPUTS)
    wrong += [kind.name for kind in _types(schema, GraphQLObjectType) if kind.name.endswith("Input")]
    for name, field in _fields(schema.mutation_type):
        if (given := field.args.get("input")) is not None:
            made, changed = get_named_type(given.type).name.startswith("New"), name.startswith("update")
            right = get_named_type(given.type).name.endswith("Changes") if changed else made
            wrong += [f"{name}(input)"] * (not right)
    return sorted(wrong)


def strange_references(schema: GraphQLSchema) -> list[str]:
    """Ids that are called `projectId`, and what is called `project` without being one."""
    nodes = {name[0].lower() + name[1:]: name for name in _nodes(schema)}
    wrong = []
    for where, name, kind in _named(schema):
        inner = get_named_type(kind).name
        if inner == "ID" and name.endswith(("Id", "Ids")):
            wrong.append(where)
        singular = name if name in nodes else name.removesuffix("s")
        counted = {"Int"} if name != singular else set()
        if singular not in nodes or where in OTHER_VALUES:
            continue
        listed = {f"{nodes[singular]}{kind}" for kind in ("Connection", "Filter", "ListFilter")}
        if inner not in {"ID", nodes[singular]} | listed | counted:
            wrong.append(where)
    return sorted(set(wrong))


def strange_rows(schema: GraphQLSchema) -> list[str]:
    """Mutations that name their row or its version otherwise, and those that are neither of a row nor known."""
    commands = set().union(*COMMANDS.values())
    nodes = {name[0].lower() + name[1:]: name for name in _nodes(schema)}
    wrong = []
    for name, field in _fields(schema.mutation_type):
        given = {argument: str(one.type) for argument, one in field.args.items()}
        answered = _members(get_named_type(field.type))
        version = given.get("expectedVersion")
        for argument, kind in given.items():
            known = argument == "id" or argument in nodes or argument.removesuffix("s") in nodes
            own = nodes.get(argument) in answered  # the row that is written, which is `id`
            if "ID" in kind and (own or not known) and f"{name}({argument})" not in OTHER_REFERENCES:
                wrong.append(f"{name}({argument})")
        if _of_workers(name) or name in commands:
            continue
        if name.startswith("create"):
            right = list(given) == ["input"]
        elif name.startswith("restore"):
            right = list(given) == ["id"]
        elif name.startswith("update"):
            right = version == "Int!" and (given.get("id") == "ID!") is (name not in OWN_ROW)
        elif name.startswith("delete") or name == "revokeRole":
            right = given == {"id": "ID!", "expectedVersion": "Int"}
        else:
            right = False
        wrong += [name] * (not right)
    return sorted(wrong)


def strange_results(schema: GraphQLSchema) -> list[str]:
    """Mutations that answer something else than a union with Problem, or null."""
    return sorted(
        name
        for name, field in _fields(schema.mutation_type)
        if not _of_workers(name)  # see WORKERS
        if not is_non_null_type(field.type) or "Problem" not in _members(get_named_type(field.type))
    )


def _of_workers(name: str) -> bool:
    return name.startswith(("worker", "challengeWorker"))


def strange_lists(schema: GraphQLSchema) -> list[str]:
    """Lists of objects that are no connections, and connections that are asked for otherwise."""
    wrong = []
    for kind in _types(schema, GraphQLObjectType):
        for name, field in kind.fields.items():
            where, inner = f"{kind.name}.{name}", get_named_type(field.type)
            if is_list_type(get_nullable_type(field.type)) and not is_leaf_type(inner):
                part = kind.name.endswith("Connection") and name in ("nodes", "edges", "groups")
                wrong += [where] * (not part and where not in OTHER_LISTS)
            if inner.name.endswith("Connection"):
                wrong += [where] * (not {"first", "after", "last", "before"} <= set(field.args))
                wrong += [where] * (set(inner.fields) - {"groups"} != CONNECTION)  # type: ignore[union-attr]
                if (order := field.args.get("orderBy")) is not None:
                    wrong += [f"{where}(orderBy)"] * (order.default_value in (None, Undefined))
    return sorted(wrong)


def bare(schema: GraphQLSchema) -> list[str]:
    """What has no description, and scalars that don't tell by what they are specified."""
    found = []
    for kind in schema.type_map.values():
        if kind.name.startswith("__") or is_specified_scalar_type(kind):
            continue
        found += [kind.name] * (not kind.description)
        if isinstance(kind, GraphQLScalarType):
            found += [f"{kind.name} specifiedBy"] * (not kind.specified_by_url and kind.name not in OWN_SCALARS)
        elif isinstance(kind, GraphQLEnumType):
            found += [f"{kind.name}.{name}" for name, value in kind.values.items() if not value.description]
    return found + [where for where, one in _described(schema) if not one.description]


# The walk ------------------------------------------------------------------------------------------------------------


def _types(schema: GraphQLSchema, *kinds: Any) -> Iterator[Any]:
    for kind in schema.type_map.values():
        if isinstance(kind, kinds) and not kind.name.startswith("__"):
            yield kind


def _fields(kind: Any) -> Iterator[tuple[str, Any]]:
    yield from kind.fields.items()


def _nodes(schema: GraphQLSchema) -> set[str]:
    return {kind.name for kind in _types(schema, GraphQLObjectType) if "Node" in {i.name for i in kind.interfaces}}


def _members(kind: Any) -> set[str]:
    return {member.name for member in kind.types} if isinstance(kind, GraphQLUnionType) else set()


def _described(schema: GraphQLSchema) -> Iterator[tuple[str, Any]]:
    """Each field, argument and input field, and where it is: `Type.field` or `field(argument)`."""
    for kind in _types(schema, GraphQLObjectType, GraphQLInterfaceType, GraphQLInputObjectType):
        for name, field in kind.fields.items():
            yield f"{kind.name}.{name}", field
            for argument, one in getattr(field, "args", {}).items():
                yield f"{name}({argument})", one


def _named(schema: GraphQLSchema) -> Iterator[tuple[str, str, Any]]:
    """The same, with its own name and its type."""
    for where, one in _described(schema):
        yield where, where.rstrip(")").replace("(", ".").rpartition(".")[2], one.type
