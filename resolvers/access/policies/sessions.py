"""Policies of the sessions of projects, their members and their events."""

from db.models import Session, SessionEvent, SessionMember, SessionStatus, SessionType
from resolvers.access.policy import Change, Policy
from resolvers.access.rules import (
    CREATOR,
    INVITED,
    INVITED_PARTICIPANT,
    LINKED_SERVICE,
    ORGANISED,
    PROJECT_ADMIN,
    PROJECT_USER,
    SUPERADMIN,
)  # fmt: skip
from resolvers.failures import WrongState


async def _validate(change: Change) -> None:
    if change.going and change.row.status is SessionStatus.IN_PROGRESS:
        raise WrongState("a session under way can't be deleted; end it first", field="id")


POLICIES = (
    Policy(
        model=SessionType,
        read=(ORGANISED,),
        fields=dict.fromkeys(("online", "config"), (ORGANISED, SUPERADMIN)),
    ),
    Policy(
        model=Session,
        read=(CREATOR, PROJECT_USER, INVITED, INVITED_PARTICIPANT, LINKED_SERVICE),
        fields={
            "comments": (CREATOR, PROJECT_USER, INVITED, SUPERADMIN),
            "parameters": (CREATOR, PROJECT_USER, INVITED, INVITED_PARTICIPANT, LINKED_SERVICE, SUPERADMIN),
        },
        delete=(PROJECT_ADMIN, SUPERADMIN),
        undelete=(SUPERADMIN,),
        blocks=(Session.type_id, Session.project_id, Session.creator_id),
        validate=_validate,
    ),
    Policy(
        model=SessionEvent,
        through=SessionEvent.session,
        goes_with=(SessionEvent.session_id,),
    ),
    Policy(
        model=SessionMember,
        through=SessionMember.session,
        goes_with=(SessionMember.session_id,),
        blocks=(SessionMember.user_id, SessionMember.participant_id, SessionMember.device_id),
        counted_as=SessionMember.session_id,
    ),
)
