"""torana challenges: what is set to everyone, its phases, and the tokens of its workers."""

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any

import typer

from db.models import RegistrationMode
from gateway.commands.administration.arguments import (
    REFERS,
    Field,
    InLabel,
    JsonFile,
    Value,
    change,
    fields_of,
    given,
    id_of,
    json_in,
    labelled,
    moments,
    phase,
    wrong,
)
from gateway.commands.administration.asking import Asking, Refusal, listing, uuid_of, writing
from gateway.commands.administration.commands import Limit, Shown, Yes, command, confirm, group, one, rows
from gateway.commands.administration.tokens import ONCE
from gateway.commands.tables import Cell, Row, columns, moment, names
from resolvers.failures import Code
from resolvers.spelling import camel

challenges = group("challenges", "Challenges, their phases, and tokens of external workers.")

_ROW = "id label title startDate endDate active isActive published url evaluator { label }"
_LIST = listing("challenges", "Challenge", _ROW)
_SHOWN = f"""{_ROW} description autoEval terms registrationMode teamSize parallelPhases site {{ name }}
    organisers {{ name }} phases(first: 100) {{ nodes {{ name }} }} leaderboards(first: 100) {{ nodes {{ label }} }}"""
_PHASE = """id version name ordinal startsAt endsAt published windowLimit windowSeconds totalLimit concurrentLimit
    selfEvaluation showsScores showsLog"""
_CREATE = writing("createChallenge", f"Challenge {{ {_ROW} }}", input="NewChallenge!")
_UPDATE = writing(
    "updateChallenge", f"Challenge {{ {_SHOWN} }}", id="ID!", expectedVersion="Int!", input="ChallengeChanges!"
)
_DELETE = writing("deleteChallenge", "Deleted { id at }", id="ID!")
_ANNOUNCE = writing("announceChallenge", "Announced { mails }", id="ID!")
_TOKEN = writing("createChallengeToken", "IssuedCredential { secret credential { id } }", challenge="ID!")
_ADD_PHASE = writing("createPhase", f"Phase {{ {_PHASE} }}", input="NewPhase!")
_SET_PHASE = writing("updatePhase", f"Phase {{ {_PHASE} }}", id="ID!", expectedVersion="Int!", input="PhaseChanges!")
_DELETE_PHASE = writing("deletePhase", "Deleted { id at }", id="ID!")

Registration = Enum("Registration", {mode.name: mode.name for mode in RegistrationMode})  # type: ignore[misc]
Challenge = Annotated[str, typer.Argument(help="A challenge, by its label or id.")]
Phase = Annotated[str, typer.Argument(help="A phase of it, by its name.")]


def day(help: str) -> Any:
    return typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help=help)


@command(challenges, "list")
async def list_challenges(
    ask: Asking,
    all: Annotated[bool, typer.Option("--all", "-a", help="Also those that are switched off, or over.")] = False,
    text: InLabel = None,
    limit: Limit = None,
) -> Shown:
    """List challenges that are switched on and not over, the latest first."""
    over = {"or": [{"endDate": {"isNull": True}}, {"endDate": {"from": datetime.now(UTC).date().isoformat()}}]}
    found = await ask.all(_LIST, limit, text=text, **({} if all else {"active": {"equals": True}, **over}))
    return rows(
        found,
        {
            "label": "label",
            "title": "title",
            "from": "startDate",
            "to": "endDate",
            "takes submissions": "isActive",
            "published": "published",
            "evaluator": "evaluator.label",
            "id": lambda node: uuid_of(node["id"]),
        },
    )


@command(challenges, "show")
async def show(ask: Asking, challenge: Challenge) -> Shown:
    """Show a challenge with its phases, leaderboards, evaluator and organisers."""
    return _card(await labelled(ask, "Challenge", challenge, _SHOWN))


def _card(node: Row) -> Shown:
    return one(
        node,
        {
            "label": "label",
            "id": lambda node: uuid_of(node["id"]),
            "title": "title",
            "first day": "startDate",
            "last day": "endDate",
            "active": "active",
            "published": "published",
            "takes submissions": "isActive",
            "URL": "url",
            "evaluator": "evaluator.label",
            "evaluated at once": "autoEval",
            "registration": "registrationMode",
            "team size": "teamSize",
            "terms": "terms",
            "site": "site.name",
            "organisers": "organisers.name",
            "parallel phases": "parallelPhases",
            "phases": names("phases"),
            "leaderboards": names("leaderboards", "label"),
            "description": "description",
        },
    )


@command(challenges, "create")
async def create(
    ask: Asking,
    label: Annotated[str, typer.Argument(help="The short name, unique.")],
    start: Annotated[datetime, day("The first day, UTC.")],
    end: Annotated[datetime | None, day("The last day, UTC.")] = None,
    title: Annotated[str | None, typer.Option(help="Its title.")] = None,
    description: Annotated[str | None, typer.Option(help="What it is about, in Markdown.")] = None,
    url: Annotated[str | None, typer.Option(help="Where it is described.")] = None,
    evaluator: Annotated[str | None, typer.Option(help="What evaluates its submissions, by label or id.")] = None,
    site: Annotated[str | None, typer.Option(help="The site whose administrators organise it.")] = None,
    organisers: Annotated[str | None, typer.Option(help="The group whose members organise it.")] = None,
    registration: Annotated[Registration | None, typer.Option(help="How people come to take part.")] = None,
    terms: Annotated[str | None, typer.Option(help="What whoever takes part must accept.")] = None,
    team_size: Annotated[int | None, typer.Option(min=1, help="The most people of a team.")] = None,
    inactive: Annotated[bool, typer.Option("--inactive", help="It takes no submissions yet.")] = False,
    unpublished: Annotated[bool, typer.Option("--unpublished", help="Only organisers see it.")] = False,
    no_auto_eval: Annotated[bool, typer.Option("--no-auto-eval", help="Organisers begin evaluations.")] = False,
    parallel_phases: Annotated[bool, typer.Option("--parallel-phases", help="Phases may be at one time.")] = False,
) -> Shown:
    """Make a challenge with one phase, main, which lasts as long as the challenge."""
    asked = given(
        label=label, startDate=start.date().isoformat(), endDate=end and end.date().isoformat(), title=title,
        description=description, url=url, registrationMode=registration and registration.value, terms=terms,
        teamSize=team_size, active=not inactive, published=not unpublished, autoEval=not no_auto_eval,
        parallelPhases=parallel_phases,
    )  # fmt: skip
    for name, named in given(evaluator=evaluator, site=site, organisers=organisers).items():
        asked[name] = await REFERS[name](ask, named)
    made = await ask.write(_CREATE, input=asked)
    return Shown(made, f"made the challenge {made['label']}, {uuid_of(made['id'])}")


@command(challenges, "add")
async def add(
    ask: Asking,
    file: JsonFile,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look for what is wrong, and make none.")] = False,
) -> Shown:
    """Make the challenges of a JSON file: one object or a list, with label, start_date, end_date, url, active,
    evaluator (by its label), and whatever else a new challenge has. Wrong ones are named; the others are made."""
    read = json_in(file)
    made: list[dict[str, Any]] = []
    bad: list[str] = []
    for n, one_ in enumerate(read if isinstance(read, list) else [read], 1):
        label = one_.get("label") if isinstance(one_, dict) else None
        try:
            asked = await _asked(ask, one_)
            if not dry_run:
                made.append(await ask.write(_CREATE, input=asked))
                continue
            if label in [node["label"] for node in made] or (await ask.all(_LIST, 1, label={"equals": label})).nodes:
                raise Refusal("there is already a challenge with this label", Code.CONFLICT.name, "label")
            made.append(asked)
        except Refusal as refusal:
            bad.append(f"{label or f'number {n}'}: {refusal}")
    told = "can be made" if dry_run else "were made"
    text = f"{len(made)} of {len(made) + len(bad)} challenges {told}{': ' if made else ''}"
    text += ", ".join(node["label"] for node in made)
    if bad:
        for line in bad:
            typer.echo(line, err=True)
        raise Refusal(text)
    return Shown(made, text)


async def _asked(ask: Asking, found: Any) -> dict[str, Any]:
    """A new challenge as an object of a file describes it."""
    if not isinstance(found, dict):
        raise Refusal("a challenge is an object")
    asked = {camel(name): value for name, value in found.items() if value is not None}
    if strange := sorted(set(asked) - set(fields_of("NewChallenge"))):
        raise Refusal("there is no such field", field=strange[0])
    for name in REFERS.keys() & asked.keys():
        if not isinstance(asked[name], str):
            raise Refusal("it is named by its label or name", field=name)
        asked[name] = await REFERS[name](ask, asked[name])
    if missing := [name for name in ("label", "startDate") if name not in asked]:
        raise Refusal("it is needed", field=missing[0])
    if (refusal := wrong("NewChallenge", asked)) is not None:
        raise refusal
    if asked.get("endDate", asked["startDate"]) < asked["startDate"]:
        raise Refusal("a challenge ends on its first day, or later", field="endDate")
    return asked


@command(challenges, "set")
async def set_field(ask: Asking, challenge: Challenge, field: Field, value: Value) -> Shown:
    """Set a field of a challenge, such as endDate, active or evaluator."""
    found = await labelled(ask, "Challenge", challenge)
    changes = await change(ask, "ChallengeChanges", field, value)
    return _card(await ask.write(_UPDATE, id=found["id"], expectedVersion=found["version"], input=changes))


@command(challenges, "delete")
async def delete(ask: Asking, challenge: Challenge, yes: Yes = False) -> Shown:
    """Delete a challenge with its phases, leaderboards and evaluators; a submission stands in the way."""
    found = await labelled(ask, "Challenge", challenge)
    confirm(f"Delete the challenge {found['label']}, with its leaderboards? It can't be brought back.", yes=yes)
    return Shown(await ask.write(_DELETE, id=found["id"]), f"deleted {found['label']}")


@command(challenges, "announce")
async def announce(ask: Asking, challenge: Challenge, yes: Yes = False) -> Shown:
    """Mail all users who did not opt out that a challenge is open."""
    found = await labelled(ask, "Challenge", challenge)
    confirm(f"Mail all users that {found['label']} is open?", yes=yes)
    made = await ask.write(_ANNOUNCE, id=found["id"])
    return Shown(made, f"{made['mails']} mails were posted")


@command(challenges, "token")
async def token(ask: Asking, challenge: Challenge) -> Shown:
    """Make a token with which the worker of an organiser claims evaluations, and print it once."""
    made = await ask.write(_TOKEN, challenge=await id_of(ask, "Challenge", challenge))
    return Shown(made, made["secret"], f"{ONCE} torana tokens revoke {uuid_of(made['credential']['id'])} ends it.")


@command(challenges, "phases")
async def phases(ask: Asking, challenge: Challenge) -> Shown:
    """List the phases of a challenge."""
    shown = f"phases(first: 100) {{ nodes {{ {_PHASE} }} }}"
    nodes = (await labelled(ask, "Challenge", challenge, shown))["phases"]["nodes"]
    cells: dict[str, Cell] = {
        "place": "ordinal",
        "name": "name",
        "from (UTC)": moment("startsAt"),
        "to (UTC)": moment("endsAt"),
        "published": "published",
        "quota": _quota,
        "in all": "totalLimit",
        "at once": "concurrentLimit",
        "scores shown": "showsScores",
        "log shown": "showsLog",
    }
    return Shown(nodes, columns(nodes, cells) if nodes else "none")


def _quota(node: Row) -> str:
    return f"{node['windowLimit']} in {node['windowSeconds']} s" if node["windowLimit"] else ""


@command(challenges, "add-phase")
async def add_phase(
    ask: Asking,
    challenge: Challenge,
    name: Annotated[str, typer.Argument(help="Its name, unique in the challenge.")],
    starts: Annotated[
        str | None, typer.Option(metavar="TIME", help="Begins then; without, with the challenge.")
    ] = None,
    ends: Annotated[str | None, typer.Option(metavar="TIME", help="Ends then; without, with the challenge.")] = None,
    ordinal: Annotated[int | None, typer.Option(help="Its place among the phases.")] = None,
    quota: Annotated[int | None, typer.Option(min=1, help="Submissions within the window.")] = None,
    window: Annotated[int | None, typer.Option(min=1, help="Seconds of the window; a day.")] = None,
    in_all: Annotated[int | None, typer.Option(min=1, help="Submissions in all.")] = None,
    at_once: Annotated[int | None, typer.Option(min=1, help="Submissions under way at once.")] = None,
    unpublished: Annotated[bool, typer.Option("--unpublished", help="Only organisers see it.")] = False,
) -> Shown:
    """Add a phase. `set-phase` sets whatever else it has."""
    found = await labelled(ask, "Challenge", challenge)
    asked = given(challenge=found["id"], name=name, ordinal=ordinal, windowLimit=quota, windowSeconds=window,
                  totalLimit=in_all, concurrentLimit=at_once, published=not unpublished)  # fmt: skip
    made = await ask.write(_ADD_PHASE, input=asked | moments(startsAt=starts, endsAt=ends))
    return Shown(made, f"{found['label']} has the phase {made['name']}")


@command(challenges, "set-phase")
async def set_phase(ask: Asking, challenge: Challenge, name: Phase, field: Field, value: Value) -> Shown:
    """Set a field of a phase, such as endsAt, windowLimit or showsScores."""
    found = await phase(ask, challenge, name)
    changes = await change(ask, "PhaseChanges", field, value, {})
    made = await ask.write(_SET_PHASE, id=found["id"], expectedVersion=found["version"], input=changes)
    return Shown(made, f"changed the phase {made['name']} of {found['challenge']}")


@command(challenges, "delete-phase")
async def delete_phase(ask: Asking, challenge: Challenge, name: Phase, yes: Yes = False) -> Shown:
    """Delete a phase; a submission to it stands in the way."""
    found = await phase(ask, challenge, name)
    confirm(f"Delete the phase {found['name']} of {found['challenge']}?", yes=yes)
    return Shown(await ask.write(_DELETE_PHASE, id=found["id"]), f"deleted the phase {found['name']}")
