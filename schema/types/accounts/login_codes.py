"""Codes by which somebody who signed in here is known at a service, without signing in again."""

from datetime import datetime
from typing import Annotated, Any

import strawberry

from db import models
from resolvers.identity.principal import Kind
from resolvers.organisation import login_codes
from resolvers.spelling import global_id
from schema.fields.fields import Info
from schema.fields.mutations import IN_PERSON, WRITER, mutation, written
from schema.fields.problems import Problem
from schema.fields.scalars import key_of
from schema.types.accounts.users import User
from schema.types.organisation import Participant


@strawberry.type(description="A code for one service: for one use, within a minute.")
class LoginCode:
    secret: str = strawberry.field(description="The code. Hand it to the service.")
    expires_at: datetime = strawberry.field(description="Until when it holds.")


@strawberry.type(description="Who handed a code to the service.")
class CodeOwner:
    id: strawberry.ID = strawberry.field(description="The User or Participant.")
    kind: strawberry.Private[Kind]
    key: strawberry.Private[Any]

    @strawberry.field(description="The user, if it is one whom the service sees.")
    async def user(self, info: Info) -> User | None:
        return await written(info, "User", models.User, self.key) if self.kind is Kind.USER else None

    @strawberry.field(description="The participant, if it is one whom the service sees.")
    async def participant(self, info: Info) -> Participant | None:
        return (
            await written(info, "Participant", models.Participant, self.key) if self.kind is Kind.PARTICIPANT else None
        )


LoginCodeResult = Annotated[
    LoginCode | Problem, strawberry.union("LoginCodeResult", description="The code, or why not.")
]
CodeOwnerResult = Annotated[CodeOwner | Problem, strawberry.union("CodeOwnerResult", description="Who, or why not.")]


@strawberry.type
class LoginCodesMutation:
    @mutation(needs=IN_PERSON)
    async def create_login_code(
        self, info: Info, service: Annotated[strawberry.ID, strawberry.argument(description="The service.")]
    ) -> LoginCodeResult:
        """Make a code with which a service knows who you are, so that you need not sign in there. For users and
        participants who signed in. The code before ends."""
        made = await login_codes.create(info.context, key_of("Service", service, "service"))
        return LoginCode(secret=made.code, expires_at=made.expires_at)

    @mutation(needs=WRITER)
    async def redeem_login_code(
        self, info: Info, code: Annotated[str, strawberry.argument(description="The code.")]
    ) -> CodeOwnerResult:
        """Find out, as a service, whose code this is. It is used up, whether or not you may see the person."""
        kind, key = await login_codes.redeem(info.context, code)
        typename = "User" if kind is Kind.USER else "Participant"
        return CodeOwner(id=strawberry.ID(global_id(typename, key)), kind=kind, key=key)
