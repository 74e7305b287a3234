"""How a write is declared: who may run it, and what it shows of what it wrote."""

import inspect
from collections.abc import Callable
from typing import Any

import strawberry
from strawberry.extensions.field_extension import AsyncExtensionResolver, FieldExtension

from db import models
from resolvers.failures import Failure, Unauthenticated
from resolvers.principal import Kind, Principal
from schema.fields import Info
from schema.selecting import select


class Need:
    """Who may run a mutation at all, in words and as a check of the principal."""

    def __init__(self, words: str, failure: Failure | None, allows: Callable[[Principal], bool]) -> None:
        self.words = words
        self.failure = failure
        self.allows = allows


ANYONE = Need("anyone", None, lambda _: True)
SIGNED_IN = Need("a signed-in user", Unauthenticated("sign in first"), lambda p: p.kind is Kind.USER)
WORKER = Need(
    "a worker, with the token of its task",
    Unauthenticated("this is for workers, with the token of their task"),
    lambda p: p.kind is Kind.WORKER,
)


class _Guard(FieldExtension):
    """Checks the need, and has the fields below read what the mutation wrote."""

    def __init__(self, need: Need) -> None:
        self.need = need

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Info, **kwargs: Any) -> Any:
        if not self.need.allows(info.context.principal):
            assert self.need.failure is not None
            raise type(self.need.failure)(self.need.failure.message)
        info.context.loaders.forget()
        return await next_(source, info, **kwargs)


def mutation(*, needs: Need) -> Callable[[Callable[..., Any]], Any]:
    """A write. Its docstring is its description; who may run it can't be left out."""

    def declare(function: Callable[..., Any]) -> Any:
        description = f"{inspect.cleandoc(function.__doc__ or '')} Needs {needs.words}."
        return strawberry.mutation(resolver=function, description=description, extensions=[_Guard(needs)])

    return declare


async def written(info: Info, typename: str, model: type[models.Entity], key: Any) -> Any:
    """The row that a mutation wrote, read as its principal may see it."""
    return await info.context.loaders.one(select(info, model, typename=typename), key)
