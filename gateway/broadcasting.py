"""Runs a subscription once for all who ask the same: what is sent costs per change, not per subscriber.

The same is: the same document, operation and variables, by principals who see the same because they are the same,
with the same rights. Only subscriptions that tell what is now are run so; a newcomer is first sent what was sent last.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Hashable, Mapping
from contextlib import aclosing
from typing import Any

import orjson
from graphql import FieldNode

from gateway.answers import Answer
from gateway.documents import Operation
from gateway.execution import Execution
from resolvers.context import Context
from resolvers.principal import Principal
from schema.jobs import SHARED

BACKLOG = 200
"""Answers that wait for one slow subscriber; more push the oldest out."""


class Broadcasts:
    """The subscriptions of a process that several follow."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._open: dict[Hashable, _Shared] = {}

    async def stream(
        self, operation: Operation, variables: Mapping[str, Any] | None, ctx: Context
    ) -> AsyncGenerator[Answer, None]:
        """As `Execution.stream`; whoever becomes another principal follows what that one sees."""
        asked = _question(operation, variables)
        if asked is None:
            async with aclosing(self._execution.stream(operation, variables, ctx)) as answers:
                async for one in answers:
                    yield one
            return
        ended = False
        while not ended:
            principal = ctx.principal
            key = (*asked, _identity(principal))
            shared = self._open.get(key)
            if shared is None or shared.over:
                shared = self._open[key] = _Shared(self._execution, operation, variables, ctx)
            listener = shared.join()
            try:
                while ctx.principal is principal or _identity(ctx.principal) == key[-1]:
                    if (answer := await listener.next()) is None:
                        ended = True
                        break
                    if ctx.principal is principal or _identity(ctx.principal) == key[-1]:
                        yield answer
            finally:
                if shared.leave(listener) and self._open.get(key) is shared:
                    del self._open[key]


def _question(operation: Operation, variables: Mapping[str, Any] | None) -> tuple[Hashable, ...] | None:
    """What tells the subscriptions apart that may be shared; None for the others."""
    (field, *others) = operation.node.selection_set.selections
    if others or not isinstance(field, FieldNode) or field.name.value not in SHARED:
        return None
    return id(operation.document), operation.name, orjson.dumps(variables, option=orjson.OPT_SORT_KEYS)


def _identity(principal: Principal) -> Hashable:
    """What two principals share who see the same in everything."""
    places = (frozenset(principal.projects.items()), frozenset(principal.sites.items()))
    return (principal.kind, principal.id, principal.standing, principal.scopes, principal.duties, *places)


class _Listener:
    """What one subscriber has not been sent yet."""

    def __init__(self) -> None:
        self._waiting: deque[Answer | None] = deque()
        self._event = asyncio.Event()

    def put(self, answer: Answer | None) -> None:
        if len(self._waiting) >= BACKLOG:
            self._waiting.popleft()
        self._waiting.append(answer)
        self._event.set()

    async def next(self) -> Answer | None:
        """The next answer; None at the end."""
        while not self._waiting:
            self._event.clear()
            await self._event.wait()
        return self._waiting.popleft()


class _Shared:
    """One run of a subscription. The first who asked began it; it ends with the last who follows."""

    def __init__(
        self, execution: Execution, operation: Operation, variables: Mapping[str, Any] | None, ctx: Context
    ) -> None:
        self.over = False
        self._operation = operation  # kept, so that its document's identity stays its own
        self._last: Answer | None = None
        self._listeners: set[_Listener] = set()
        own = ctx.fork()
        self._task = asyncio.create_task(self._run(execution, operation, variables, own))

    async def _run(
        self, execution: Execution, operation: Operation, variables: Mapping[str, Any] | None, ctx: Context
    ) -> None:
        try:
            async with aclosing(execution.stream(operation, variables, ctx)) as answers:
                async for answer in answers:
                    self._last = answer
                    for listener in self._listeners:
                        listener.put(answer)
        finally:
            self.over = True
            for listener in self._listeners:
                listener.put(None)

    def join(self) -> _Listener:
        listener = _Listener()
        if self._last is not None:
            listener.put(self._last)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: _Listener) -> bool:
        """Whether it was the last, and the run ends."""
        self._listeners.discard(listener)
        if not self._listeners:
            self.over = True
            self._task.cancel()
        return not self._listeners
