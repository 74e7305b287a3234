"""Declare a mutation: who may run it, and how its result shows what was written."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import strawberry
from graphql import is_non_null_type
from strawberry.extensions.field_extension import AsyncExtensionResolver, FieldExtension
from strawberry.types.field import StrawberryField

from db import models
from resolvers.access.policy import Rules
from resolvers.access.rules import words
from resolvers.context import Context
from resolvers.failures import Forbidden, Locked, Unauthenticated
from resolvers.identity.principal import WRITE, Kind, Principal
from resolvers.spelling import camel
from resolvers.writing.once import done_once
from schema.fields.fields import Info
from schema.fields.openness import OPEN
from schema.fields.selection import select
from schema.fields.values import check


class Need:
    """Who may run a mutation at all, in words and as a check of the principal."""

    def __init__(self, words: str, allows: Callable[[Principal], bool], *, refusal: str = "sign in first") -> None:
        self.words = words
        self.allows = allows
        self.refusal = refusal
        """What is said to who is not signed in."""

    def admit(self, principal: Principal) -> None:
        """Raise for a principal who may not run such a mutation."""
        if principal.kind is Kind.LINK and self is not FETCHER:
            raise Unauthenticated("a link to a simulation only reads; sign in first")
        if principal.kind is Kind.SPEC_TOKEN:
            raise Unauthenticated("a token of specs only reads; sign in first")
        if principal.scopes is not None and WRITE not in principal.scopes:
            raise Forbidden("this key may only read")
        if principal.duties and self is not IN_PERSON:
            raise Forbidden(f"first {' and '.join(sorted(duty.value for duty in principal.duties))}")
        if self.allows(principal):
            return
        if principal.kind is Kind.ANONYMOUS:
            raise Unauthenticated(self.refusal)
        raise Forbidden(f"this is for {self.words}")


ANYONE = Need("no sign-in", lambda _: True)
"""Anyone, whether a credential beside it is valid or not."""
SIGNED_IN = Need("a signed-in user", lambda p: p.kind is Kind.USER)
IN_PERSON = Need(
    "a user who signed in; an API key does not do",
    lambda p: p.kind in (Kind.USER, Kind.PARTICIPANT) and p.session is not None,
)
"""Also for users with duties."""
ACTING = Need(
    "a signed-in user, or a service that acts for users",
    lambda p: p.kind is Kind.USER or p.acts_for is not None,
)
WRITER = Need(
    "a signed-in user, device or service",
    lambda p: p.kind in (Kind.USER, Kind.DEVICE, Kind.SERVICE),
)
MEMBER = Need(
    "a signed-in user, participant, device or service",
    lambda p: p.kind in (Kind.USER, Kind.PARTICIPANT, Kind.DEVICE, Kind.SERVICE),
)
FETCHER = Need(
    "a signed-in user, or a link to the simulation",
    lambda p: p.kind in (Kind.USER, Kind.LINK),
)
UPLOADER = Need(
    "a signed-in user, participant, device or service, or a worker",
    lambda p: p.kind in (Kind.USER, Kind.PARTICIPANT, Kind.DEVICE, Kind.SERVICE, Kind.WORKER),
)
CHALLENGE_WORKER = Need(
    "the worker of an organiser, with the token of its challenge",
    lambda p: p.kind is Kind.CHALLENGE_WORKER,
    refusal="this is for workers of organisers, with the token of their challenge",
)
WORKER = Need(
    "a worker, with the token of its task",
    lambda p: p.kind is Kind.WORKER,
    refusal="this is for workers, with the token of their task",
)


async def expect_allowed(ctx: Context, need: Need, *, again: bool, always: bool = False) -> None:
    """Raise for a principal who may not run such a mutation, and LOCKED while the gateway is locked unless it `always`
    runs. Rights are looked up `again` where something ran before, which may have taken them, or taken long."""
    if need is not ANYONE:
        if again:
            await ctx.look_again()
        if ctx.refused is not None:
            raise ctx.refused
        need.admit(ctx.principal)
    if not always and await ctx.services.locking.read_only():
        raise Locked("the gateway is locked: nothing may change for now")


class _Guard(FieldExtension):
    """Checks who may run the mutation, then its arguments. Then the fields below read what it wrote."""

    def __init__(self, need: Need, always: bool) -> None:
        self.need = need
        self.always = always
        self.metadata: Mapping[str, Mapping[Any, Any]] = {}

    def apply(self, field: StrawberryField) -> None:
        self.metadata = {argument.python_name: argument.metadata for argument in field.arguments}

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Info, /, **kwargs: Any) -> Any:  # type: ignore[override]
        again, info.context.mutated = info.context.mutated, True
        await expect_allowed(info.context, self.need, again=again, always=self.always)
        for name, value in kwargs.items():
            await check(value, camel(name), self.metadata.get(name) or {})

        async def run() -> Any:
            info.context.loaders.forget()
            return await next_(source, info, **kwargs)

        # What workers send may be sent twice.
        shown = is_non_null_type(info._raw_info.return_type)
        return await done_once(run, info.field_name, shown=shown, repeatable=self.need in (WORKER, CHALLENGE_WORKER))


SEVERAL = "several"
"""The metadata of a mutation of several rows: the argument with their ids."""


def mutation(
    *, needs: Need, always: bool = False, several: str = "", allowed: Rules = ()
) -> Callable[[Callable[..., Any]], Any]:
    """Declare a mutation. Its docstring is its description; `needs` says who may run it, and `allowed` on which rows,
    which it checks itself. With `always` it also runs while the gateway is locked. `several` names the argument with
    the ids of the rows, where it answers for each."""

    def declare(function: Callable[..., Any]) -> Any:
        whom = f" Allowed to {words(allowed)}." if allowed else ""
        description = f"{inspect.cleandoc(function.__doc__ or '')}{whom} Needs {needs.words}."
        return strawberry.mutation(
            resolver=function,
            description=description,
            extensions=[_Guard(needs, always)],
            metadata={OPEN: needs is ANYONE, SEVERAL: several},
        )

    return declare


async def written(info: Info, typename: str, model: type[models.Entity], key: Any) -> Any:
    """The row that a mutation wrote, or another row by its key, read as its principal may see it."""
    return await info.context.loaders.one(select(info, model, typename=typename), key)
