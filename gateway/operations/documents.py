"""Documents: each is parsed, validated and measured once, and found again by its text, its hash or its id.

Clients may leave the text out: with Apollo's automatic persisted queries, and with `documentId`. A gateway that trusts
only a list made at release time takes no other document.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import graphql
import msgspec
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
    VariableValues,
    coerce_input_value,
)
from graphql.pyutils import Undefined
from graphql.validation import ASTValidationRule, specified_rules

from db.turns import Turns
from gateway.operations.errors import (
    BAD_REQUEST,
    DOCUMENT_NOT_TRUSTED,
    OPERATION_UNKNOWN,
    PARSE_FAILED,
    PERSISTED_QUERY_NOT_FOUND,
    VALIDATION_FAILED,
    coded,
    refused,
)
from gateway.operations.responses import Answer, Refused
from gateway.operations.sources import Text
from resolvers.failures import Failure
from schema.fields.cost import Bounds, Cost, costs
from schema.fields.counting import count
from schema.fields.selection import switches

VARIANTS = 20
"""Outcomes of @skip and @include for which a document keeps what it led to."""

BASE, TOKEN, PLANNED = 15_000, 230, 2_000
"""Bytes of a document, of each of its tokens once parsed, both as measured, and of each of its fields in a plan: an
estimate."""


class Envelope(msgspec.Struct):
    """A request's body."""

    query: str | None = None
    documentId: str | None = None
    variables: dict[str, Any] | None = None
    operationName: str | None = None
    extensions: dict[str, Any] | None = None

    @property
    def document(self) -> str | None:
        """The id or hash by which the document is known, if one was sent."""
        persisted = (self.extensions or {}).get("persistedQuery")
        said = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
        if persisted is not None and (not isinstance(said, str) or persisted.get("version") != 1):
            raise _refusal(400, "persistedQuery is {version: 1, sha256Hash: ...}", BAD_REQUEST)
        if self.documentId is not None and (said is not None or self.query):
            raise _refusal(400, "documentId goes without query and persistedQuery", BAD_REQUEST)
        return said.lower() if said is not None else self.documentId and self.documentId.removeprefix("sha256:")


@dataclass(frozen=True, slots=True)
class Definition:
    """What is known of one operation of a document before it is asked."""

    node: OperationDefinitionNode
    cost: Cost
    types: Mapping[str, GraphQLInputType]
    """Of its variables, by name."""
    plain: bool
    """Whether all of these are scalars or enumerations."""


@dataclass(frozen=True)
class Document:
    """A valid document: its operations by name, and what is kept with it."""

    digest: str
    text: str
    node: DocumentNode
    operations: dict[str | None, Definition]
    switches: tuple[str, ...]
    fields: int
    """With its fragments written out."""
    tokens: int
    weighed: Callable[["Document", int], None]
    """Told by how much its weight grows with a plan."""
    memos: OrderedDict[Hashable, dict[Any, Any]] = field(default_factory=OrderedDict)

    @property
    def weight(self) -> int:
        """About the bytes that it holds, with its plans: for each outcome of its @skip and @include, one."""
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


@dataclass(slots=True)
class Operation:
    """One operation of a document, asked. The document does not know it, so that it ends as soon as nobody has it."""

    document: Document
    node: OperationDefinitionNode
    name: str | None
    kind: graphql.OperationType
    defined: Definition

    def plainly(self, given: Mapping[str, Any]) -> VariableValues | None:
        """The variables, where each is plain, given and right; None when graphql-core has to look closer."""
        if not self.defined.plain:
            return None
        coerced: dict[str, Any] = {}
        for name, kind in self.defined.types.items():
            value = given.get(name)
            if value is None or (read := coerce_input_value(value, kind)) is Undefined:
                return None
            coerced[name] = read
        return VariableValues({}, coerced)


class Documents:
    """The valid documents of a schema: the last ones of `keep` bytes together, and those of `trusted`, a list of texts
    by id, which admits no others when it is given."""

    def __init__(
        self,
        schema: GraphQLSchema,
        bounds: Bounds,
        *,
        keep: int,
        trusted: Mapping[str, str] | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._schema = schema
        self._bounds = bounds
        self._keep = keep
        self._known: OrderedDict[str, Document] = OrderedDict()
        self._weight = 0
        """Of those that are kept, together."""
        self._texts: dict[str, Document] = {}
        self._trusted = trusted
        self._turns = turns or Turns()
        self._digests = {digest_of(text) for text in (trusted or {}).values()}

    def operation(self, envelope: Envelope, *, any_text: bool = False) -> Operation:
        """What a request wants to run; raises Refused. `any_text` lifts the restriction to trusted documents."""
        found = self._find(envelope, any_text)
        return _chosen(self._kept(self.read(found)) if isinstance(found, str) else found, envelope.operationName)

    async def asked(self, envelope: Envelope, lane: Hashable, *, any_text: bool = False) -> Operation:
        """The same. An unknown document is read when it is the turn of the client `lane`."""
        found = self._find(envelope, any_text)
        if isinstance(found, str):
            text = found
            found = self._kept(await self._turns.run(lane, lambda: self._texts.get(text) or self.read(text)))
        return _chosen(found, envelope.operationName)

    def read(self, text: str) -> Document:
        """A document, from its text; raises Refused for one that is not valid or too large."""
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
            raise _refusal(400, "the document is nested too deeply", PARSE_FAILED) from None
        found = tuple(dict.fromkeys(switches(node.definitions)))
        tokens = node.token_count or len(text)
        document = Document(digest_of(text), text, node, {}, found, size.fields, tokens, self._grown)
        for definition in node.definitions:
            if isinstance(definition, OperationDefinitionNode):
                name = definition.name.value if definition.name else None
                types = self._types(definition)
                plain = all(graphql.is_leaf_type(graphql.get_nullable_type(kind)) for kind in types.values())
                document.operations[name] = Definition(definition, cost[name], types, plain)
        _lighten(node)
        return document

    def _validated(self, node: DocumentNode, rules: Sequence[type[ASTValidationRule]]) -> list[GraphQLError]:
        """The errors of a document. The visitors know themselves, and all that they saw: they are emptied, so that it
        ends with them and needs no collector."""
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

    def _find(self, envelope: Envelope, any_text: bool) -> Document | str:
        """The document that a request names, where it may be asked; its text, where it is yet to be read."""
        text, said = envelope.query, envelope.document
        if not text:
            if said is None:
                raise _refusal(400, "the request has no query", BAD_REQUEST)
            if (trusted := (self._trusted or {}).get(said)) is not None:
                text = trusted
            elif said in self._known and (any_text or self._trusted is None or said in self._digests):
                text = self._known[said].text
            else:
                # The message is the one that clients look for.
                raise _refusal(200, "PersistedQueryNotFound", PERSISTED_QUERY_NOT_FOUND)
        elif said is not None or self._trusted is not None:
            digest = digest_of(text)
            if said is not None and said != digest:
                raise _refusal(400, "sha256Hash is not the hash of the query", BAD_REQUEST)
            if self._trusted is not None and digest not in self._digests and not any_text:
                raise _refusal(403, "this gateway runs only documents of its list", DOCUMENT_NOT_TRUSTED)
        if (document := self._texts.get(text)) is None:
            return text
        self._known.move_to_end(document.digest)
        return document

    def _kept(self, document: Document) -> Document:
        if (former := self._known.get(document.digest)) is not None:
            return former
        self._known[document.digest] = self._texts[document.text] = document
        self._weight += document.weight
        while self._weight > self._keep and len(self._known) > 1:
            _, oldest = self._known.popitem(last=False)
            del self._texts[oldest.text]
            self._weight -= oldest.weight
        return document

    def _grown(self, document: Document, by: int) -> None:
        """Plans come with the first answers; what was let go meanwhile counts no more."""
        if self._known.get(document.digest) is document:
            self._weight += by


def _chosen(document: Document, name: str | None) -> Operation:
    if name is None and len(document.operations) != 1:
        names = ", ".join(sorted(filter(None, document.operations)))
        raise _refusal(422, f"the document has several operations; name one: {names}", OPERATION_UNKNOWN)
    if name is None:
        name = next(iter(document.operations))
    if name not in document.operations:
        raise _refusal(422, "the document has no operation of this name", OPERATION_UNKNOWN)
    defined = document.operations[name]
    return Operation(document, defined.node, name, defined.node.operation, defined)


def _lighten(document: DocumentNode) -> None:
    """Let go of the tokens, a list that leads forth and back, and of all names but one of each. A valid document needs
    neither: errors have the places of fields and values. With the objects goes most of the collector's work."""
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


class ListError(Exception):
    """A list of documents can't be used; the message says why."""


def read_list(file: Path) -> dict[str, str]:
    """The texts by id of a list: a JSON object of them, or a manifest of Apollo's. A text goes by its hash, too."""
    try:
        read = msgspec.json.decode(file.read_bytes())
        if isinstance(read, dict) and read.get("format") == "apollo-persisted-query-manifest":
            read = {operation["id"]: operation["body"] for operation in read["operations"]}
        found = msgspec.convert(read, dict[str, str])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError) as error:
        raise ListError(f"{file} is not a list of documents: {error}") from None
    return {**{digest_of(text): text for text in found.values()}, **found}


def write_list(file: Path, texts: Mapping[str, str]) -> None:
    """A list in place of the one that was there, whole or not at all."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(dict(sorted(texts.items())))) + b"\n")
    beside.replace(file)


def documents_in(files: Sequence[Path]) -> Iterator[tuple[Path, str, str]]:
    """The documents of files, folders and lists: the file, the id, the text; raises ListError."""
    for file in files:
        if file.is_dir():
            yield from documents_in(sorted(f for f in file.rglob("*") if f.suffix in (".graphql", ".gql")))
        elif file.suffix == ".json":
            yield from ((file, id, text) for id, text in read_list(file).items())
        else:
            try:
                text = file.read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise ListError(f"{file} can't be read: {error}") from None
            yield file, digest_of(text), text


def said(error: Mapping[str, Any], file: Path) -> str:
    """An error of a document in a file, with its place."""
    places = "".join(f":{place['line']}:{place['column']}" for place in error.get("locations", ())[:1])
    return f"{file}{places}: {error['message']}"


def _refusal(status: int, message: str, code: str) -> Refused:
    return Refused(Answer.refusal(status, {"message": message, "extensions": {"code": code}}))
