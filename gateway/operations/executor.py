"""graphql-core's executor, extended so that finished JSON passes into the response as it is."""

import asyncio
from collections.abc import Awaitable, Mapping
from functools import partial
from types import CoroutineType
from typing import Any, TypeGuard, cast

import graphql
import orjson
from graphql import GraphQLError, OperationType

from gateway.operations.documents import Operation
from gateway.operations.errors import internal, masked, status_of
from gateway.operations.responses import Answer
from resolvers.context import Context, lane_of
from resolvers.failures import TooLarge, check_errors
from resolvers.reading.marks import Rendered
from resolvers.reading.plan import Denial
from schema.fields.introspection import KINDS, introspection_of
from schema.fields.selection import Scope


class Executor(graphql.Executor[Any]):
    """Passes finished JSON into the response unchanged: arrays as bytes, rendered objects, and introspection."""

    digest: str
    """The digest of the document."""

    def complete_object_value(
        self, return_type: Any, field_details_list: Any, info: Any, path: Any, result: Any, position_context: Any
    ) -> Any:
        if return_type.name in KINDS:
            return self._introspected(return_type, field_details_list, result, path)
        if type(result) is not Rendered:
            return super().complete_object_value(return_type, field_details_list, info, path, result, position_context)
        check_errors(len(self.collected_errors.errors) + len(result.denied))
        for below, denial in result.denied:
            place = path
            for key in below:
                place = place.add_key(key, None)
            self.collected_errors.add(refusal(denial, place.as_list()), place)
        return orjson.Fragment(result.text)

    def complete_leaf_value(self, return_type: Any, result: Any) -> Any:  # type: ignore[override]
        value = super().complete_leaf_value(return_type, result)
        if return_type.name == "JSON":
            text = orjson.dumps(value)
            self.context_value.spend(len(text))
            return orjson.Fragment(text)
        if type(value) is str:
            self.context_value.spend(len(value))
        return value

    def handle_field_error(self, raw_error: Exception, return_type: Any, field_details_list: Any, path: Any) -> None:
        if isinstance(raw_error, TooLarge):
            raise raw_error
        check_errors(len(self.collected_errors.errors) + 1)
        super().handle_field_error(raw_error, return_type, field_details_list, path)

    def _introspected(self, kind: Any, details: Any, result: Any, path: Any) -> Any:
        """The answer to an introspection: at once if it is known, else when it is the client's turn."""
        values = self.variable_values.coerced
        scope = Scope(self.schema, self.fragment_definitions, values)
        key = None if values else (self.digest, self.operation.name and self.operation.name.value, path.key)
        introspection, ctx = introspection_of(self.schema), self.context_value
        if (known := introspection.known(key)) is not None:
            return orjson.Fragment(known)
        nodes = [one.node for one in details]

        async def projected() -> orjson.Fragment:
            lane = lane_of(ctx.principal, ctx.client)
            text = await ctx.database.turns.run(lane, partial(introspection.text, result, kind, nodes, scope))
            if key is not None:
                introspection.keep(key, text)
            return orjson.Fragment(text)

        return projected()

    def complete_list_value(
        self, return_type: Any, field_details_list: Any, info: Any, path: Any, result: Any, position_context: Any
    ) -> Any:
        if type(result) is bytes:
            self.context_value.spend(len(result))
            return orjson.Fragment(result)
        return super().complete_list_value(return_type, field_details_list, info, path, result, position_context)


def executor_of(
    schema: graphql.GraphQLSchema, operation: Operation, variables: Mapping[str, Any] | None, ctx: Context
) -> Executor:
    """Make the executor of an operation whose variables were already read."""
    built = Executor.build(
        schema,
        operation.document.node,
        context_value=ctx,
        raw_variable_values=dict(variables or {}),
        operation_name=operation.name,
        hide_suggestions=True,
        is_awaitable=_awaitable,
    )
    assert not isinstance(built, list)
    executor = cast("Executor", built)
    executor.digest = operation.document.digest
    return executor


def refusal(denial: Denial, path: list[str | int]) -> GraphQLError:
    return GraphQLError(denial.failure.message, denial.nodes, path=path, original_error=denial.failure)


def _awaitable(value: Any) -> TypeGuard[Awaitable[Any]]:
    """Whether a value must be awaited. Resolvers return coroutines, or futures of a loader; asking a row for
    `__await__` would cost an exception."""
    return isinstance(value, CoroutineType | asyncio.Future)


async def answer_of(executor: graphql.Executor[Any], kind: OperationType) -> Answer:
    result = graphql.execute_root_selection_set(executor)
    try:
        if isinstance(result, Awaitable):
            result = await result
    except TooLarge:
        raise
    except Exception as error:  # a fault in the executor itself, not in a field
        return Answer.failed(internal(error))
    if not result.errors:
        return Answer(200, {"data": result.data})
    # What is below a field of a mutation is read when that has written.
    written = kind is OperationType.MUTATION
    errors = [masked(error, written=written and len(error.path or ()) > 1) for error in result.errors]
    if not any((result.data or {}).values()) and status_of(errors) != 200:
        return Answer.failed(*errors)
    return Answer(200, {"errors": errors, "data": result.data})
