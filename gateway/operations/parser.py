"""Parse, validate and measure documents."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import graphql
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    NameNode,
    Node,
    NoFragmentCyclesRule,
    OperationDefinitionNode,
    Token,
)
from graphql.validation import ASTValidationRule, specified_rules

from gateway.operations.errors import PARSE_FAILED, VALIDATION_FAILED, coded, refused
from gateway.operations.responses import Answer, Refused
from gateway.operations.sources import Text
from resolvers.failures import Failure
from schema.fields.cost import Bounds, Cost, costs
from schema.fields.counting import count
from schema.fields.openness import is_open
from schema.fields.selection import switches

VARIANTS = 20
"""The most outcomes of @skip and @include for which a document keeps plans."""

BASE, TOKEN, PLANNED = 15_000, 230, 2_000
"""The bytes of a document, of each of its tokens once parsed (both measured), and of each of its fields in a plan (an
estimate)."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What is known of an operation of a document before it is asked."""

    node: OperationDefinitionNode
    cost: Cost
    types: Mapping[str, GraphQLInputType]
    """The types of its variables, by name."""
    plain: bool
    """Whether all types are scalars or enumerations."""
    open: bool
    """Whether it runs although its token is bad."""


@dataclass(frozen=True)
class Document:
    """A valid document: its operations by name, and what is kept with it."""

    digest: str
    text: str
    node: DocumentNode
    operations: dict[str | None, Definition]
    switches: tuple[str, ...]
    fields: int
    """Its fields, with its fragments written out."""
    tokens: int
    weighed: Callable[["Document", int], None]
    """Called with the bytes by which its weight grows with a plan."""
    memos: OrderedDict[Hashable, dict[Any, Any]] = field(default_factory=OrderedDict)

    @property
    def weight(self) -> int:
        """About the bytes that it holds, with its plans: one for each outcome of its @skip and @include."""
        return BASE + len(self.text) + TOKEN * self.tokens + PLANNED * self.fields * len(self.memos)

    @cached_property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        found = (node for node in self.node.definitions if isinstance(node, FragmentDefinitionNode))
        return {node.name.value: node for node in found}

    def memo(self, variables: Mapping[str, Any]) -> dict[Any, Any]:
        """What is kept with the document for one outcome of its @skip and @include."""
        outcome = tuple(variables.get(name) for name in self.switches)
        if outcome not in self.memos:
            self.memos[outcome] = {}
            if len(self.memos) > VARIANTS:
                self.memos.popitem(last=False)
            else:
                self.weighed(self, PLANNED * self.fields)
        self.memos.move_to_end(outcome)
        return self.memos[outcome]


class Parser:
    """Parses documents of a schema, within bounds. `weighed` is called with the bytes by which a document's weight
    grows later."""

    def __init__(self, schema: GraphQLSchema, bounds: Bounds, weighed: Callable[[Document, int], None]) -> None:
        self._schema = schema
        self._bounds = bounds
        self._weighed = weighed

    def read(self, text: str) -> Document:
        """Parse a document; raises Refused for one that is not valid or too large."""
        bounds = self._bounds
        try:
            node = graphql.parse(
                Text(text),
                max_lexical_tokens=bounds.tokens,
                max_comments=bounds.tokens,
                max_source_length=bounds.characters,
                allow_empty_selection_sets=False,
            )
        except GraphQLError as error:
            raise Refused(Answer.refusal(400, coded(error, PARSE_FAILED))) from None
        try:
            size = count(node, bounds)
            errors = self._validated(node, [NoFragmentCyclesRule] if size.cyclic else specified_rules)
            if errors:
                raise Refused(Answer.refusal(422, *(coded(error, VALIDATION_FAILED) for error in errors)))
            cost = costs(self._schema, node)
        except Failure as failure:
            raise Refused(Answer.refusal(422, refused(failure))) from None
        except RecursionError:
            raise Refused.because(400, "the document is nested too deeply", PARSE_FAILED) from None
        found = tuple(dict.fromkeys(switches(node.definitions)))
        tokens = node.token_count or len(text)
        document = Document(digest_of(text), text, node, {}, found, size.fields, tokens, self._weighed)
        for definition in node.definitions:
            if isinstance(definition, OperationDefinitionNode):
                name = definition.name.value if definition.name else None
                types = self._types(definition)
                plain = all(graphql.is_leaf_type(graphql.get_nullable_type(kind)) for kind in types.values())
                opened = is_open(self._schema, definition, document.fragments)
                document.operations[name] = Definition(definition, cost[name], types, plain, opened)
        _lighten(node)
        return document

    def _validated(self, node: DocumentNode, rules: Sequence[type[ASTValidationRule]]) -> list[GraphQLError]:
        """The errors of a document. Validation's visitors refer to themselves and to all that they saw. They are
        emptied, so that they are freed without the garbage collector."""
        visitors: list[ASTValidationRule] = []

        def kept(rule: type[ASTValidationRule]) -> Any:
            def visitor(context: Any) -> ASTValidationRule:
                visitors.append(rule(context))
                return visitors[-1]

            return visitor

        try:
            return graphql.validate(
                self._schema, node, [kept(rule) for rule in rules],
                max_errors=20, hide_suggestions=True, allow_empty_selection_sets=False,
            )  # fmt: skip
        finally:
            for visitor in visitors:
                vars(visitor.context).clear()
                vars(visitor).clear()

    def _types(self, operation: OperationDefinitionNode) -> dict[str, GraphQLInputType]:
        found: dict[str, GraphQLInputType] = {}
        for definition in operation.variable_definitions or ():
            kind: Any = graphql.type_from_ast(self._schema, definition.type)
            found[definition.variable.name.value] = kind
        return found


def _lighten(document: DocumentNode) -> None:
    """Drop the tokens, a list with links both ways, and all copies of each name but one. A valid document needs
    neither: errors have the places of fields and values. Fewer objects mean less work for the garbage collector."""
    assert document.loc is not None
    token: Token | None = document.loc.start_token
    while token is not None:
        token.prev, token.next, token = None, None, token.next
    names: dict[str, NameNode] = {}
    pending: list[Node] = [document]
    while pending:
        node = pending.pop()
        if (place := node.loc) is not None:
            place.start_token = place.end_token = None  # type: ignore[assignment]
        for key in node.keys:
            value = getattr(node, key)
            if isinstance(value, NameNode):
                object.__setattr__(node, key, names.setdefault(value.value, NameNode(value=value.value)))
            elif isinstance(value, Node):
                pending.append(value)
            elif isinstance(value, tuple | list):
                pending += [one for one in value if isinstance(one, Node)]
                if not value:
                    object.__setattr__(node, key, ())


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
