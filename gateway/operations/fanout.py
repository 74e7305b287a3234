"""Run a subscription once for all subscribers who ask the same, so that an event costs per change, not per subscriber.

Subscribers ask the same when document, operation and variables are equal, and their principals see the same: the same
principal with the same rights. The first answer is read for each new subscriber alone.
"""

import asyncio
from collections.abc import AsyncGenerator, Hashable, Mapping, Sequence
from contextlib import aclosing
from contextvars import copy_context
from typing import Any

import orjson
from graphql import FieldNode

from gateway.operations.documents import Operation
from gateway.operations.errors import refused
from gateway.operations.execution import Execution
from gateway.operations.responses import Answer
from resolvers.context import Context
from resolvers.failures import LimitExceeded
from resolvers.identity.principal import Principal
from schema.types.job_streams import SHARED, Joining

BACKLOG = 1_000
"""The most answers that wait for one slow subscriber. One that falls further behind is ended, and may subscribe
anew."""


class Broadcasts:
    """The subscriptions of a process that several subscribers share."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._open: dict[Hashable, _Shared] = {}

    async def stream(
        self, operation: Operation, variables: Mapping[str, Any] | None, ctx: Context
    ) -> AsyncGenerator[Answer, None]:
        """As `Execution.stream`. A subscriber who becomes another principal follows what that one sees."""
        asked = _question(operation, variables)
        if asked is None:
            async with aclosing(self._execution.stream(operation, variables, ctx)) as answers:
                async for one in answers:
                    yield one
            return
        self._execution.check(operation, variables)
        joining, *question = asked
        sent = 0
        ended = False
        while not ended:
            key = (*question, _identity(ctx.principal))
            shared = self._open.get(key)
            if shared is None or shared.over:
                shared = self._open[key] = _Shared(key, self._execution, operation, variables, ctx)
            key = shared.key  # one for all
            place, listener = shared.count, shared.join()
            try:
                if place and joining is not Joining.NEXT:
                    async with aclosing(self._execution.stream(operation, variables, ctx.fork())) as own:
                        async for number, answer in _first(own, joining, listener, place):
                            if joining is Joining.NOW or number > sent:
                                sent += 1
                                yield answer
                            del answer  # not to be held until the next one comes
                    del own
                while _identity(ctx.principal) == key[-1]:
                    if (heard := await listener.next()) is None:
                        ended = True
                        break
                    place += 1
                    if _identity(ctx.principal) == key[-1] and (joining is not Joining.ALL or place > sent):
                        sent += 1
                        yield heard
            finally:
                if shared.leave(listener) and self._open.get(key) is shared:
                    del self._open[key]


async def _first(
    own: AsyncGenerator[Answer, None], joining: Joining, listener: "_Listener", place: int
) -> AsyncGenerator[tuple[int, Answer], None]:
    """The numbered answers for a new subscriber before it follows the others: from a run of its own, up to their
    place."""
    number = 0
    async for answer in own:
        number += 1
        if joining is Joining.NOW and listener.waits:  # what came meanwhile is newer
            return
        yield number, answer
        if number == (1 if joining is Joining.NOW else place):
            return


def _question(
    operation: Operation, variables: Mapping[str, Any] | None
) -> tuple[Joining, Hashable, Hashable, Hashable] | None:
    """How a subscriber joins others who ask the same, and the key of the same question; None for subscriptions that are
    not shared."""
    (field, *others) = operation.node.selection_set.selections
    if others or not isinstance(field, FieldNode) or (joining := SHARED.get(field.name.value)) is None:
        return None
    try:
        given = orjson.dumps(variables, option=orjson.OPT_SORT_KEYS).decode()  # the bytes have room for more
    except TypeError:  # such as a number that is too large, which is refused as soon as it is looked at
        return None
    return joining, id(operation.document), operation.name, given


def _identity(principal: Principal) -> Hashable:
    """A key that is equal for principals who see the same in everything."""
    places = (frozenset(principal.projects.items()), frozenset(principal.sites.items()))
    rights = (principal.profile, principal.scopes, principal.duties, principal.groups)
    return (principal.kind, principal.id, *rights, *places)


class _Listener:
    """The answers that one subscriber has not been sent yet. Thousands of subscribers may wait, so each holds
    little."""

    __slots__ = ("_over", "_waiter", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[Answer | None] = []
        self._waiter: asyncio.Future[None] | None = None
        self._over = False

    @property
    def waits(self) -> bool:
        """Whether an answer waits."""
        return bool(self._waiting) and self._waiting[0] is not None

    def put(self, answer: Answer | None) -> None:
        if self._over:
            return
        if len(self._waiting) >= BACKLOG:
            failure = LimitExceeded(f"this subscriber fell {BACKLOG} answers behind; subscribe again")
            self._waiting = [Answer.failed(refused(failure))]
            answer = None
        self._over = answer is None
        self._waiting.append(answer)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> Answer | None:
        """The next answer; None at the end."""
        if not self._waiting:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
            self._waiter = None
        return self._waiting.pop(0)


class _Shared:
    """One run of a subscription. The first subscriber begins it; it ends with the last one."""

    def __init__(
        self,
        key: tuple[Hashable, ...],
        execution: Execution,
        operation: Operation,
        variables: Mapping[str, Any] | None,
        ctx: Context,
    ) -> None:
        self.key = key
        """The key of the question."""
        self.over = False
        self._operation = operation  # kept, so that its document's identity stays its own
        self.count = 0
        """The number of answers so far."""
        self._listeners: set[_Listener] = set()
        own = ctx.fork()
        self._task = asyncio.create_task(self._run(execution, operation, variables, own))

    async def _run(
        self, execution: Execution, operation: Operation, variables: Mapping[str, Any] | None, ctx: Context
    ) -> None:
        try:
            async with aclosing(execution.stream(operation, variables, ctx)) as answers:
                async for answer in answers:
                    self.count += 1
                    for listener in self._listeners:
                        listener.put(answer)
        finally:
            self.over = True
            for listener in self._listeners:
                listener.put(None)

    def join(self) -> _Listener:
        listener = _Listener()
        self._listeners.add(listener)
        return listener

    def leave(self, listener: _Listener) -> bool:
        """Remove a subscriber; returns whether it was the last, with which the run ends."""
        self._listeners.discard(listener)
        if not self._listeners:
            self.over = True
            self._task.cancel()
        return not self._listeners


async def until(
    stream: AsyncGenerator[Answer, None], ending: Sequence[asyncio.Task[Any]]
) -> AsyncGenerator[Answer, None]:
    """The stream, which ends with the first of `ending`; a failure of that one is raised."""
    context = copy_context()
    following: asyncio.Task[Answer | None] | None = None
    try:
        while True:
            following = asyncio.create_task(anext(stream, None), context=context)
            await asyncio.wait({following, *ending}, return_when=asyncio.FIRST_COMPLETED)
            for ended in ending:
                if ended.done():
                    ended.result()
                    return
            if (answer := following.result()) is None:
                return
            yield answer
    finally:
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        await stream.aclose()
