"""What is done to sessions: making and changing them, starting and ending them, inviting and answering."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import strawberry

from db import models
from resolvers.access.policy import policy_of
from resolvers.failures import Invalid
from resolvers.sessions import commands, sessions
from resolvers.sessions.members import Given as Named
from resolvers.sessions.states import Step, Turn
from schema.fields.fields import Info
from schema.fields.inputs import AnyVersion, ExpectedVersion, Given, Several, deleting, inputs, restoring, result
from schema.fields.mutations import MEMBER, mutation, written
from schema.fields.scalars import JSON, enum, key_of, member_name
from schema.fields.values import OBJECT
from schema.types.sessions.sessions import Session, SessionStatus

_LISTS = (
    ("users", "User", "user_id"),
    ("participants", "Participant", "participant_id"),
    ("devices", "Device", "device_id"),
)


def _several(name: str, what: str) -> Several:
    kind, column = next((kind, column) for one, kind, column in _LISTS if one == name)
    return Several(kind, models.SessionMember, "session_id", column, what, changed=True)


_SESSION = inputs(
    "Session",
    models.Session,
    type=Given("SessionType", "Its type, which the project must have."),
    project=Given("Project", "Its project: where it has participants, one of theirs.", fixed=True),
    name=Given(str, "Its name."),
    starts_at=Given(datetime, "When it starts or started."),
    ends_at=Given(datetime, "When it is planned to end, or ended.", default=None),
    status=Given(
        SessionStatus,
        "NOT_STARTED for one that is planned. One that is IN_PROGRESS asks its members; one that is over is recorded.",
        default=models.SessionStatus.NOT_STARTED,
        fixed=True,
    ),
    duration_seconds=Given(int, "How long it was under way, of one that ended.", default=0),
    comments=Given(str, "Notes of those who hold it.", default=None),
    parameters=Given(JSON, "What it is set up with.", default=None, shape=OBJECT),
    users=_several("users", "Users in it: of the project, or of its site."),
    participants=_several("participants", "Participants in it; at least one is of the project."),
    devices=_several("devices", "Devices in it, which the project has."),
)
_NEW: Any = _SESSION.new
_CHANGES: Any = _SESSION.changes
SessionResult = result(Session)
_MAY = policy_of(models.Session)
Reply = Enum("Reply", {turn.name: turn.name for turn in commands.REPLIES})  # type: ignore[misc]
InvitationReply = enum(
    Reply,
    "An answer to an invitation.",
    name="InvitationReply",
    ACCEPT="I come.",
    REJECT="I don't come. When the creator of the session says so, it ends.",
    BUSY="Not now; ask me again when I am free.",
)

_ID = Annotated[strawberry.ID, strawberry.argument(description="The session.")]
_Users = Annotated[list[strawberry.ID] | None, strawberry.argument(description="Users.")]
_Participants = Annotated[list[strawberry.ID] | None, strawberry.argument(description="Participants.")]
_Devices = Annotated[list[strawberry.ID] | None, strawberry.argument(description="Devices.")]


def _given(input: Any) -> Named:
    """The members of an input; a list that was not given is left out."""
    return Named({link.other: link.keys for link in _SESSION.links(input)})


def _named(*lists: list[strawberry.ID] | None) -> Named:
    keys = (
        (column, [key_of(kind, id, f"{name}.{n}") for n, id in enumerate(ids or ())])
        for (name, kind, column), ids in zip(_LISTS, lists, strict=True)
    )
    return Named(dict(keys), prefix="")


async def _answer(info: Info, key: Any) -> Any:
    return await written(info, "Session", models.Session, key)


async def _step(info: Info, id: strawberry.ID, version: int | None, step: Step) -> Any:
    return await _answer(info, await commands.step(info.context, key_of("Session", id), step, version))


@strawberry.type
class SessionsMutation:
    @mutation(needs=MEMBER, allowed=_MAY.create)
    async def create_session(
        self, info: Info, input: Annotated[_NEW, strawberry.argument(description="The new session.")]
    ) -> SessionResult:  # type: ignore[valid-type]
        """Make a session: plan it, begin it at once, or record one that is over."""
        values = _SESSION.values(input)
        new = sessions.New(
            type_id=values.pop("type_id"),
            project_id=values.pop("project_id"),
            status=models.SessionStatus[member_name(values.pop("status"))],
            values=values,
            members=_given(input),
        )
        return await _answer(info, await sessions.create(info.context, new))  # type: ignore[no-any-return]

    @mutation(needs=MEMBER, allowed=_MAY.update)
    async def update_session(
        self,
        info: Info,
        id: _ID,
        expected_version: ExpectedVersion,
        input: Annotated[_CHANGES, strawberry.argument(description="What changes.")],
    ) -> SessionResult:  # type: ignore[valid-type]
        """Change a session. A list of members that is given replaces those of its kind that you see; an empty one
        removes them, and one that is left out changes nothing."""
        for name, _, _ in _LISTS:
            if getattr(input, name) is None:
                raise Invalid("a list can't be null: give an empty one to remove them all", field=f"input.{name}")
        key = key_of("Session", id)
        await sessions.update(info.context, key, expected_version, _SESSION.values(input), _given(input))
        return await _answer(info, key)  # type: ignore[no-any-return]

    delete_session = deleting(models.Session, "Session", "Delete a session with its events, unless it is under way.")
    restore_session = restoring(models.Session, "Session", SessionResult)

    @mutation(needs=MEMBER, allowed=_MAY.update)
    async def start_session(self, info: Info, id: _ID, expected_version: AnyVersion = None) -> SessionResult:  # type: ignore[valid-type]
        """Start a session, or take up one that ended: its members are asked, and its time is counted."""
        return await _step(info, id, expected_version, Step.START)  # type: ignore[no-any-return]

    @mutation(needs=MEMBER, allowed=_MAY.update)
    async def stop_session(self, info: Info, id: _ID, expected_version: AnyVersion = None) -> SessionResult:  # type: ignore[valid-type]
        """End a session as planned. The time that it was under way is added to its duration."""
        return await _step(info, id, expected_version, Step.STOP)  # type: ignore[no-any-return]

    @mutation(needs=MEMBER, allowed=_MAY.update)
    async def cancel_session(self, info: Info, id: _ID, expected_version: AnyVersion = None) -> SessionResult:  # type: ignore[valid-type]
        """Call off a session that did not start."""
        return await _step(info, id, expected_version, Step.CANCEL)  # type: ignore[no-any-return]

    @mutation(needs=MEMBER, allowed=_MAY.update)
    async def terminate_session(self, info: Info, id: _ID, expected_version: AnyVersion = None) -> SessionResult:  # type: ignore[valid-type]
        """Break off a session that is under way."""
        return await _step(info, id, expected_version, Step.TERMINATE)  # type: ignore[no-any-return]

    @mutation(needs=MEMBER, allowed=_MAY.update)
    async def invite_to_session(
        self, info: Info, id: _ID, users: _Users = None, participants: _Participants = None, devices: _Devices = None
    ) -> SessionResult:  # type: ignore[valid-type]
        """Invite into a session. While it is under way they are asked, also those who refused, left or did not answer;
        who is in another session is BUSY and is asked later."""
        key = key_of("Session", id)
        return await _answer(info, await commands.invite(info.context, key, _named(users, participants, devices)))  # type: ignore[no-any-return]

    @mutation(needs=MEMBER, allowed=_MAY.update)
    async def remove_from_session(
        self, info: Info, id: _ID, users: _Users = None, participants: _Participants = None, devices: _Devices = None
    ) -> SessionResult:  # type: ignore[valid-type]
        """Remove members from a session; who was in it leaves it."""
        key = key_of("Session", id)
        return await _answer(info, await commands.remove(info.context, key, _named(users, participants, devices)))  # type: ignore[no-any-return]

    @mutation(needs=MEMBER)
    async def reply_invite(
        self,
        info: Info,
        id: _ID,
        reply: Annotated[InvitationReply, strawberry.argument(description="The answer.")],  # type: ignore[valid-type]
        message: Annotated[
            str | None, strawberry.argument(description="In words, for its events; at most 1000 characters.")
        ] = None,
    ) -> SessionResult:  # type: ignore[valid-type]
        """Answer an invitation into a session that is under way, for yourself."""
        if message is not None and len(message) > 1_000:
            raise Invalid("a message has at most 1000 characters", field="message")
        key = key_of("Session", id)
        return await _answer(info, await commands.reply(info.context, key, Turn[member_name(reply)], message))  # type: ignore[no-any-return]

    @mutation(needs=MEMBER)
    async def leave_session(self, info: Info, id: _ID) -> SessionResult:  # type: ignore[valid-type]
        """Leave a session that you are in; it goes on for the others."""
        return await _answer(info, await commands.leave(info.context, key_of("Session", id)))  # type: ignore[no-any-return]
