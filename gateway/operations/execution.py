"""Run operations within bounds: rendered by statements where possible, else by an executor."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, cast

import graphql
import orjson
import structlog
from graphql import (
    GraphQLError,
    OperationType,
    VariableValues,
)

from db.engine import TooComplex
from db.tally import tally
from gateway.operations.documents import Operation
from gateway.operations.errors import AGAIN, BAD_VARIABLES, masked, of_outage, of_variable, refused
from gateway.operations.executor import answer_of, executor_of, refusal
from gateway.operations.responses import Answer, Refused
from resolvers.context import Context
from resolvers.failures import Failure, NotShown, TimedOut, TooLarge, check_errors
from resolvers.identity.principal import Kind
from resolvers.reading.plan import Denial
from schema import Schema
from schema.fields.cost import Bounds, Cost, check_cost, check_rows, cost_of_rows
from schema.fields.planner import NotRenderable, is_renderable
from schema.fields.root_plan import Branch, Entry, Unrendered, outline
from schema.fields.selection import Scope, keep
from schema.fields.variables import check_size

log = structlog.get_logger("torana")


class Execution:
    """Runs operations on a schema. `timeout` is the seconds of one operation. Without `rendering` all is read row by
    row."""

    def __init__(self, schema: Schema, bounds: Bounds, *, timeout: float, rendering: bool = True) -> None:
        self._schema = schema.core
        self._bounds = bounds
        self._timeout = timeout
        self.renders = rendering
        self._begun = asyncio.Lock()

    async def run(self, operation: Operation, variables: Mapping[str, Any] | None, ctx: Context) -> Answer:
        """The answer to a query or mutation."""
        values = self._begin(operation, variables, ctx)
        until = ctx.until = asyncio.get_running_loop().time() + self._timeout
        try:
            if (answer := await self._rendered(operation, values, ctx, until)) is not None:
                return answer
            async with asyncio.timeout_at(until):
                return await answer_of(executor_of(self._schema, operation, variables, ctx), operation.kind)
        except TimeoutError:
            late = f"the operation took longer than {self._timeout:g} s and was stopped"
            return _stopped(TimedOut(late), operation, ctx)
        except TooLarge as failure:
            return _stopped(failure, operation, ctx)
        finally:
            ctx.loaders.end()

    def check(self, operation: Operation, variables: Mapping[str, Any] | None) -> None:
        """Raise Refused for an operation that would be refused before it is run."""
        self._values(operation, variables)

    async def stream(
        self, operation: Operation, variables: Mapping[str, Any] | None, ctx: Context
    ) -> AsyncGenerator[Answer, None]:
        """The answers to a subscription, each event read afresh; ends after an answer that refuses."""
        self._begin(operation, variables, ctx)
        executor = executor_of(self._schema, operation, variables, ctx)
        source = graphql.create_source_event_stream(executor)
        if isinstance(source, Awaitable):
            source = await source
        if isinstance(source, graphql.ExecutionResult):
            yield Answer.failed(*(masked(error) for error in source.errors or ()))
            return
        events = source.__aiter__()
        async with aclosing(cast("AsyncGenerator[Any, None]", events)):
            try:
                async for event in events:
                    async with self._begun:  # one in each turn of the loop: an event may wake hundreds
                        await asyncio.sleep(0)
                    one = executor.build_per_event_executor(event)
                    one.context_value = ctx.fork()
                    answer = await answer_of(one, operation.kind)
                    yield answer
                    if "data" not in answer.body:
                        return
                    del answer  # not to be held until the next one comes
            except TooLarge as failure:
                yield Answer.failed(refused(failure))
            except Exception as error:
                yield Answer.failed(masked(graphql.located_error(error)))

    async def _rendered(
        self, operation: Operation, values: VariableValues, ctx: Context, until: float
    ) -> Answer | None:
        """The answer to a query, from statements that make its JSON; None when it must be read row by row."""
        if not self.renders or operation.kind is not OperationType.QUERY:
            return None
        found: Answer | None = None
        if (entries := self._outline(operation, values, ctx)) is not None:
            if len(entries) == 1 and isinstance(entries[0].made, Branch):  # the database bounds the time of a statement
                found = await self._made(entries, values, ctx)
            else:
                async with asyncio.timeout_at(until):
                    found = await self._made(entries, values, ctx)
        if found is None:
            try:
                check_rows(self._by_rows(operation, values, ctx), values.coerced, self._bounds)
            except Failure as failure:
                return Answer.failed(refused(failure))
        return found

    async def _made(self, entries: Sequence[Entry], values: VariableValues, ctx: Context) -> Answer | None:
        data: dict[str, Any] = {}
        denied: list[tuple[list[str | int], Denial]] = []
        for entry in entries:
            try:
                found = await entry.made.text(ctx.loaders, values)
            except (TimeoutError, TooLarge):
                raise
            except Exception as error:
                told = of_outage(error)
                if told is not None and told.code in AGAIN:
                    return Answer.failed(refused(told))
                if told is None and not isinstance(error, Unrendered | TooComplex | Failure):
                    log.error("rendering.failed", exc_info=error)
                    ctx.rendering = False
                ctx.spent = 0
                return None
            data[entry.key] = orjson.Fragment(found.pieces[0]) if len(found.pieces) == 1 else found
            denied += [([entry.key, *path], denial) for path, denial in found.denied]
            check_errors(len(denied))
        if not denied:
            return Answer(200, {"data": data})
        return Answer(200, {"errors": [masked(refusal(denial, path)) for path, denial in denied], "data": data})

    def _outline(self, operation: Operation, values: VariableValues, ctx: Context) -> list[Entry] | None:
        key = ("outline", id(operation.node))
        if key not in ctx.memo:
            made = None
            scope = Scope(self._schema, operation.document.fragments, values.coerced)
            with suppress(NotRenderable):
                assert self._schema.query_type is not None
                made = outline(scope, self._schema.query_type, operation.node)
            keep(ctx.memo, key, made)
        found: list[Entry] | None = ctx.memo[key]
        return found

    def _by_rows(self, operation: Operation, values: VariableValues, ctx: Context) -> Cost:
        key = ("rows", id(operation.node))
        if key not in ctx.memo:
            scope = Scope(self._schema, operation.document.fragments, values.coerced)
            renderable = partial(is_renderable, scope)
            keep(ctx.memo, key, cost_of_rows(self._schema, operation.document.node, operation.node, renderable))
        found: Cost = ctx.memo[key]
        return found

    def _begin(self, operation: Operation, variables: Mapping[str, Any] | None, ctx: Context) -> VariableValues:
        """Read the operation's variables, as `_values` does, and give the context what is kept for them."""
        values = self._values(operation, variables, texts=ctx.principal.kind is not Kind.WORKER)
        ctx.memo, ctx.rendering = operation.document.memo(values.coerced), self.renders
        return values

    def _values(
        self, operation: Operation, variables: Mapping[str, Any] | None, *, texts: bool = True
    ) -> VariableValues:
        """Read the operation's variables; raises Refused for wrong ones, and when the operation costs too much with
        them. With `texts` false, texts may be long: workers send what a program printed."""
        given = dict(variables or {})
        try:
            check_size(operation.defined.types, given, texts=texts)
        except Failure as failure:
            raise Refused(Answer.failed(refused(failure))) from None
        values = operation.plainly(given) or graphql.get_variable_values(
            self._schema, operation.node.variable_definitions or (), given, max_errors=10, hide_suggestions=True
        )
        if isinstance(values, list):
            raise Refused(Answer.refusal(422, *map(of_variable, values)))
        if any(values.coerced.get(name, ...) is None for name in operation.document.switches):
            message = "a variable that decides @skip or @include must not be null"
            raise Refused(Answer.refusal(422, {"message": message, "extensions": {"code": BAD_VARIABLES}}))
        try:
            check_cost(operation.defined.cost, values.coerced, self._bounds)
        except Failure as failure:
            raise Refused(Answer.failed(refused(failure))) from None
        except GraphQLError as error:
            raise Refused(Answer.failed(masked(error))) from None
        return values


def _stopped(failure: Failure, operation: Operation, ctx: Context) -> Answer:
    """The answer to an operation that was stopped before its end."""
    done = operation.kind is OperationType.MUTATION and ctx.principal.kind is not Kind.WORKER
    if done and (counted := tally.get()) is not None and counted.commits:
        told = NotShown(f"{failure.message}; what it had begun is done")
        return Answer(200, {"data": None, "errors": [refused(told)]})
    return Answer.failed(refused(failure))
