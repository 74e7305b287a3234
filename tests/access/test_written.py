"""No row is written without somebody having been asked, or a reason that stands here."""

import ast
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db import models, written
from tests.support.platforms import Platform
from tests.support.sources import parsed

ROOT = Path(__file__).parents[2]
SYSTEM = """
a package is fetched
a re-evaluation ends
a worker delivers for the task of its token
a worker takes the task of its token
an evaluation begins
an upload is checked
attempts are counted
bytes of an upload came
bytes of the gateway's own are stored
finished jobs are merged
jobs are brought in line with their simulations
jobs are handed to engines
leaderboards are built
owners are told of jobs that ended
reports of workers are written together
sessions that were forgotten end at night
submissions follow their jobs
submissions that waited for too long are ended
texts are folded anew
the clusters of the configuration
the demo fills its own database
the jobs of a cancelled re-evaluation end
the outbox notes what it sends
users are told of a new challenge
what is old is cleared away
when credentials were last used
who does not answer an invitation in time
who is connected
who was busy, or away, is asked again
"""
CONSEQUENCES = """
*going: what goes with a row goes when it goes
*going: what went with a row comes back with it
Attempts, Credential, User: links, keys and counted tries end with the password before
Attempts: a right try no longer counts
Attempts: a ticket is used once
Attempts: an address is known from which an account was entered
AuditEvent: what was done is put on record
Credential, User: an operator makes users
Credential, User: anyone makes an account, where the settings let them
Credential, User: one's own second factor, once the password is proved
Credential: a certificate is made by who may make one for the device, or by who registers it
Credential: a code is used once
Credential: a code is used once, and only the latest
Credential: a credential is made by its owner, or by who may make one for it
Credential: a link holds once, and only the latest
Credential: a password is set by its owner, by a link, or by who may set it
Credential: keys are revoked by their owner
Credential: links to an address end with it
Credential: login sessions end with what they stood on
Credential: one's own login of clusters
Credential: who proves a password has its hash renewed
Credential: who proves an identity is signed in
Credential: who signed in has a code for a service
Device, DeviceType: who has the register key registers a device
Device, Participant, User: who is in a session is busy
Device: a device tells of itself
Evaluation, Job, Task: a submission is evaluated by a job
Evaluation: an evaluation ends with its job
Evaluation: an evaluation says what did it
Evaluation: submitters see of their scores what columns show them
EvaluatorFile, EvaluatorVersion: a version of an evaluator is made by who looks after that
File, Spec: packages are of their version
File, Upload: the last byte of an upload makes a file
File: a file is deleted for good by who may delete it
File: a file of the gateway's own is stored
File: a service keeps assets of its sessions
File: outputs are their subject's project's
File: what a job made belongs to its subject
File: what evaluations wrote goes when a submission is archived
Job, SimulationSetup, Task: a simulation is made with its input and its job
Job, Task: a job is tried again by another
Job, Task: an archive is made by a job
Job, Task: packages are built by a job
Job: a job is cancelled with what it is about
Job: a job is deleted by who may
Job: builds are their spec's project's
Job: jobs have the title and the project of their subject
Job: the dispatcher writes places in the queue
Leaderboard, LeaderboardBuild, LeaderboardEntry: a leaderboard is built from what counts
Leaderboard: a leaderboard keeps what all may know of its columns
LeaderboardRequest: a build answers the requests for it
LeaderboardRequest: a leaderboard is to be built again
Notification: a message is posted with what it tells of
Notification: a service hears of its sessions
Participant, ParticipantDevice: participants end with the work of their project
Participant, User: the moment of a sign-in is noted
Participant: participants move with their group
ParticipantDevice, ProjectDevice: without its site a device leaves its projects
ParticipantDevice: devices that a project lacks are left behind
Phase: a new challenge has a phase
Preference: one's own preferences
ProjectService, SessionTypeSite: without its site a service leaves its projects
ProjectService: a service works in the projects that it makes
Reevaluation, Submission: a re-evaluation ends with its last evaluation
Reevaluation: an organiser has a phase evaluated again
Role, RoleGrant: who leaves a project stays in its site
Role: a place has its roles from the beginning
RoleGrant: roles do not come back over those who administer the group now
ServerSetting: the authority is made with the first certificate
Session, SessionMember: an invitation ends with its session
Session, SessionMember: who is invited answers for themself
SessionEvent: what happens to a session is told in it
SessionEvent: who tells of events was asked for each session
SessionMember: who is invited is asked
SessionMember: who keeps a session says who is in it
SessionMember: who makes a session invites into it
SessionMember: who starts a session is in it
SessionTypeProject: without its site a type leaves its projects
SessionTypeProject: without their service types leave a project
SimulationLabel, SpecLabel: labels go with what they are of
SpecModel, SpecVersion: a version is put with its models
SpecVersion: a version is its spec's
Submission: a submission has the scores of its evaluation
Submission: a submission moves on
Submission: an upload goes on
Submission: of the runs of a submitter one is chosen
Submission: the last byte of a submission came
Task: tasks end with their job
Team, TeamMember: people leave a team
TeamMember: the captain of a team invites into it
TeamMember: who is invited into a team joins it
TeamMember: who makes a team is in it
Upload, UploadPart: an upload is ended by whose it is
Upload: another request is asked to stop
Upload: partial uploads are part of another now
UploadPart: a part of an upload came
UploadPart: an upload is begun with its parts
User, UserGroupMember: the provider of an identity tells who its people are
User: the models of one's specs are counted
User: who acts for users of a provider tells who they are
User: who has the link confirms the address
model: what was just made gets its names
"""


def _called(name: str) -> dict[str, set[str]]:
    """Of each reason that is given to a function or a method, or as `as_system`: what it is given for."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in ROOT.glob("*/**/*.py"):
        if path.relative_to(ROOT).parts[0] not in ("gateway", "schema", "resolvers", "jobs", "db") or "node_modules" in path.parts:  # fmt: skip
            continue
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.Call):
                continue
            if name == "because" and getattr(node.func, "id", "") == name:
                reason = node.args[1]
                assert isinstance(reason, ast.Constant), f"{path.name}:{node.lineno}"
                found[reason.value] |= {ast.unparse(one).split(".")[-1] for one in node.args[2:]}
            for keyword in node.keywords:
                if name == keyword.arg == "as_system":
                    assert isinstance(keyword.value, ast.Constant), f"{path.name}:{node.lineno}"
                    found[keyword.value.value].add(path.stem)
    return found


def test_what_is_written_without_a_request_is_known() -> None:
    assert sorted(_called("as_system")) == sorted(SYSTEM.strip().splitlines())


def test_the_consequences_of_what_was_asked_are_known() -> None:
    told = {f"{', '.join(sorted(of))}: {why}" for why, of in _called("because").items()}
    assert sorted(told) == sorted(CONSEQUENCES.strip().splitlines())


STATEMENTS: dict[str, Any] = {
    "a new row": lambda site: models.Site(name="Elsewhere"),
    "an update": lambda site: sa.update(models.Site).values(name="Elsewhere"),
    "a deletion": lambda site: sa.delete(models.Preference),
    "an insertion": lambda site: sa.insert(models.Preference).values(app_tag="x", value=1, user_id=site, version=1),
}


@pytest.mark.parametrize("how", STATEMENTS)
async def test_a_row_that_nobody_was_asked_about_is_not_committed(platform: Platform, how: str) -> None:
    made = STATEMENTS[how](platform.world.tom)
    with pytest.raises(written.Unasked, match="no rule was asked"):
        async with platform.services.database.write() as session:
            if isinstance(made, models.Entity):
                session.add(made)
            else:
                await session.execute(made)
    rows = await platform.services.database.rows(sa.select(models.Site.id).where(models.Site.name == "Elsewhere"))
    assert not rows


async def test_a_changed_row_beside_one_that_was_asked_for_is_not_committed(platform: Platform) -> None:
    with pytest.raises(written.Unasked, match="rows of Site"):
        async with platform.services.database.write() as session:
            here, there = (await session.scalars(sa.select(models.Site).limit(2))).all()
            here.name, there.name = "Here", "There"
            written.asked(session, here)


async def test_a_row_that_was_asked_for_is_committed(platform: Platform) -> None:
    async with platform.services.database.write() as session:
        site = (await session.scalars(sa.select(models.Site).limit(1))).one()
        site.name = "Here"
        written.asked(session, site)
    assert await platform.services.database.rows(sa.select(models.Site.id).where(models.Site.name == "Here"))
