"""torana jobs, torana simulations, torana clusters: what runs, what came out, and where."""

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Annotated

import typer

from db.models import JobState, Platform
from gateway.commands.administration.asking import Asking, among, has, is_, listing, uuid_of, writing
from gateway.commands.administration.commands import Limit, Shown, Yes, command, confirm, group, rows
from gateway.commands.tables import moment

jobs = group("jobs", "What runs, ran or waits to run.")
simulations = group("simulations", "What was asked of jobs, and what came out.")
clusters = group("clusters", "Where jobs may run besides this machine; the settings say how each is reached.")

_JOB = """id key title state platform attempt progress submittedAt startedAt endedAt error { code message }
    owner { username } cluster { name }"""
_LIST = listing("jobs", "Job", _JOB)
_TASKS = """query($id: ID!) { job(id: $id) { tasks(first: 100) {
    nodes { id ordinal state requested done attempt startedAt endedAt error { code message } } } } }"""
_TOTALS = """query($filter: JobFilter) {
    jobs(first: 0, filter: $filter) { groups(by: STATE) { key { state } count } } }"""
_CANCEL = writing("cancelJob", "Job { id key state }", id="ID!")
_RETRY = writing("retryJob", "Job { id key attempt }", id="ID!", cluster="ID")
_REMOVE = writing("deleteJob", "Deleted { id at }", id="ID!")
_SIMULATION = "id title simType inputType createdAt owner { username } project { name } job { state }"
_SIMULATIONS = listing("simulations", "Simulation", _SIMULATION)
_REMOVE_SIMULATION = writing("deleteSimulation", "Deleted { id at }", id="ID!")
_CLUSTER = "id name platform enabled maxTasks description version userGroups(first: 50) { nodes { name } }"
_CLUSTERS = listing("clusters", "Cluster", _CLUSTER)
_UPDATE_CLUSTER = writing(
    "updateCluster", f"Cluster {{ {_CLUSTER} }}", id="ID!", expectedVersion="Int!", input="UpdateClusterInput!"
)

State = Enum("State", {state.name: state.name for state in JobState})  # type: ignore[misc]
Where = Enum("Where", {platform.name: platform.name for platform in Platform})  # type: ignore[misc]
JobId = Annotated[str, typer.Argument(help="A job by its id.")]
OfUser = Annotated[str | None, typer.Option(help="Of this user, by username, e-mail address or id.")]
States = Annotated[list[State] | None, typer.Option(help="In this state; may be given again.")]
Text = Annotated[str | None, typer.Option(help="With this in the title or the key.")]
Days = Annotated[float | None, typer.Option(min=0, help="Submitted in the last so many days.")]


def _since(days: float | None) -> dict[str, str] | None:
    return None if days is None else {"from": (datetime.now(UTC) - timedelta(days=days)).isoformat()}


@command(jobs, "list")
async def list_jobs(
    ask: Asking,
    user: OfUser = None,
    state: States = None,
    platform: Annotated[Where | None, typer.Option(help="On this platform.")] = None,
    text: Text = None,
    days: Days = None,
    limit: Limit = None,
) -> Shown:
    """List jobs, the latest first."""
    found = await ask.all(
        _LIST,
        limit,
        owner=is_(await ask.id("User", user)),
        state=among([one.value for one in state or ()]),
        platform=among([platform.value] if platform else None),
        text=text,
        submittedAt=_since(days),
    )
    return rows(
        found,
        {
            "submitted (UTC)": moment("submittedAt"),
            "state": "state",
            "done": lambda job: f"{job['progress']:.0%}",
            "by": lambda job: job["owner"] and job["owner"]["username"],
            "on": lambda job: job["cluster"]["name"] if job["cluster"] else job["platform"],
            "title": "title",
            "why": lambda job: job["error"] and job["error"]["message"],
            "id": lambda job: uuid_of(job["id"]),
        },
    )


@command(jobs, "totals")
async def totals(ask: Asking, user: OfUser = None, days: Days = None) -> Shown:
    """Count the jobs in each state."""
    given = {"owner": is_(await ask.id("User", user)), "submittedAt": _since(days)}
    data = await ask.data(_TOTALS, filter={name: value for name, value in given.items() if value is not None})
    found = [{"state": one["key"]["state"], "count": one["count"]} for one in data["jobs"]["groups"]]
    return Shown(found, "\n".join(f"{one['state']:<16}{one['count']:>8}" for one in found))


@command(jobs, "tasks")
async def tasks(ask: Asking, job: JobId) -> Shown:
    """List the tasks of a job."""
    found = await ask.find("Job", job)
    nodes = (await ask.data(_TASKS, id=found.id))["job"]["tasks"]["nodes"]
    lines = [
        f"{one['ordinal']:>6}  {one['state']:<16}{one['done']:>12} of {one['requested']:<12} run {one['attempt']}"
        f"{'  ' + one['error']['message'] if one['error'] and one['error']['message'] else ''}"
        for one in nodes
    ]
    return Shown(nodes, "\n".join(lines))


@command(jobs, "cancel")
async def cancel(ask: Asking, job: JobId, yes: Yes = False) -> Shown:
    """End a job; what its tasks delivered is kept."""
    found = await ask.find("Job", job)
    confirm("Cancel it? It can be run again as a new attempt.", yes=yes)
    node = await ask.write(_CANCEL, id=found.id)
    return Shown(node, f"{node['key']} is {node['state']}")


@command(jobs, "retry")
async def retry(
    ask: Asking,
    job: JobId,
    cluster: Annotated[str | None, typer.Option(help="On this cluster, by its name or id.")] = None,
    here: Annotated[bool, typer.Option("--here", help="On the gateway's own machine.")] = False,
) -> Shown:
    """Run a job that FAILED or was CANCELED again, as a new attempt: where it ran, unless told otherwise."""
    if here and cluster is not None:
        raise typer.BadParameter("--here and --cluster name two places")
    place = {"cluster": await ask.id("Cluster", cluster)} if here or cluster is not None else {}
    node = await ask.write(_RETRY, id=(await ask.find("Job", job)).id, **place)
    return Shown(node, f"{node['key']} is attempt {node['attempt']}")


@command(jobs, "remove")
async def remove(ask: Asking, job: JobId, yes: Yes = False) -> Shown:
    """Remove a job that has ended, with its tasks and its log, for good."""
    found = await ask.find("Job", job)
    confirm("Remove it, with its log? It can't be brought back.", yes=yes)
    node = await ask.write(_REMOVE, id=found.id)
    return Shown(node, f"removed {uuid_of(node['id'])}")


@command(simulations, "list")
async def list_simulations(
    ask: Asking,
    user: OfUser = None,
    title: Annotated[str | None, typer.Option(help="With this in the title.")] = None,
    limit: Limit = None,
) -> Shown:
    """List simulations, the latest first."""
    found = await ask.all(_SIMULATIONS, limit, owner=is_(await ask.id("User", user)), title=has(title))
    return rows(
        found,
        {
            "made (UTC)": moment("createdAt"),
            "program": "simType",
            "input": "inputType",
            "by": lambda one: one["owner"] and one["owner"]["username"],
            "project": lambda one: one["project"] and one["project"]["name"],
            "job": lambda one: one["job"] and one["job"]["state"],
            "title": "title",
            "id": lambda one: uuid_of(one["id"]),
        },
    )


@command(simulations, "remove")
async def remove_simulation(
    ask: Asking, id: Annotated[str, typer.Argument(help="A simulation by its id.")], yes: Yes = False
) -> Shown:
    """Delete a simulation whose jobs have ended, with its results."""
    found = await ask.find("Simulation", id)
    confirm("Delete it, with its results?", yes=yes)
    node = await ask.write(_REMOVE_SIMULATION, id=found.id)
    return Shown(node, f"deleted {uuid_of(node['id'])}")


@command(clusters, "list")
async def list_clusters(ask: Asking, limit: Limit = None) -> Shown:
    """List the clusters that the settings of a gateway have named."""
    found = await ask.all(_CLUSTERS, limit)
    return rows(
        found,
        {
            "name": "name",
            "platform": "platform",
            "takes jobs": "enabled",
            "tasks at once": "maxTasks",
            "for": lambda one: [node["name"] for node in one["userGroups"]["nodes"]] or "every user",
            "description": "description",
            "id": lambda one: uuid_of(one["id"]),
        },
    )


@command(clusters, "change")
async def change(
    ask: Asking,
    cluster: Annotated[str, typer.Argument(help="A cluster by its name or id.")],
    enabled: Annotated[bool | None, typer.Option(help="Whether it takes jobs.")] = None,
    tasks_at_once: Annotated[int | None, typer.Option(min=1, help="Tasks that are handed to it at once.")] = None,
    no_bound: Annotated[bool, typer.Option("--no-bound", help="As many tasks at once as it takes.")] = False,
    description: Annotated[str | None, typer.Option(help="What its users should know.")] = None,
) -> Shown:
    """Change whether a cluster takes jobs, how many tasks at once, and what is said of it."""
    found = await ask.find("Cluster", cluster)
    given = {"enabled": enabled, "maxTasks": tasks_at_once, "description": description}
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if no_bound:
        changes["maxTasks"] = None
    node = await ask.write(_UPDATE_CLUSTER, id=found.id, expectedVersion=found.version, input=changes)
    return Shown(node, f"changed {node['name']}")
