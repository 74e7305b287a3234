"""The cache of documents that requests name. Each is parsed once, and found again by its text, its hash or its id.

Clients may leave the text out: with Apollo's automatic persisted queries, and with `documentId`. A gateway that trusts
only a list made at release time takes no other document.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import graphql
import msgspec
from graphql import GraphQLSchema, OperationDefinitionNode, VariableValues, coerce_input_value
from graphql.pyutils import Undefined

from db.turns import Turns
from gateway.operations.errors import (
    BAD_REQUEST,
    DOCUMENT_NOT_TRUSTED,
    OPERATION_UNKNOWN,
    PERSISTED_QUERY_NOT_FOUND,
)
from gateway.operations.parser import Definition, Document, Parser, digest_of
from gateway.operations.responses import Refused
from schema.fields.cost import Bounds


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
            raise Refused.because(400, "persistedQuery is {version: 1, sha256Hash: ...}", BAD_REQUEST)
        if self.documentId is not None and (said is not None or self.query):
            raise Refused.because(400, "documentId goes without query and persistedQuery", BAD_REQUEST)
        return said.lower() if said is not None else self.documentId and self.documentId.removeprefix("sha256:")


@dataclass(slots=True)
class Operation:
    """One operation of a document, as it was asked. The document does not refer to it, so it is freed as soon as
    nothing else does."""

    document: Document
    node: OperationDefinitionNode
    name: str | None
    kind: graphql.OperationType
    defined: Definition

    def plainly(self, given: Mapping[str, Any]) -> VariableValues | None:
        """The variables, if each is plain, given and right; None when graphql-core must check them."""
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
    """The valid documents of a schema. It keeps the last used ones, `keep` bytes together, and those of `trusted`, a
    list of texts by id. When `trusted` is given, no other documents are accepted."""

    def __init__(
        self,
        schema: GraphQLSchema,
        bounds: Bounds,
        *,
        keep: int,
        trusted: Mapping[str, str] | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._parser = Parser(schema, bounds, self._grown)
        self._keep = keep
        self._known: OrderedDict[str, Document] = OrderedDict()
        self._weight = 0
        """The bytes of the kept documents together."""
        self._texts: dict[str, Document] = {}
        self._trusted = trusted
        self._turns = turns or Turns()
        self._digests = {digest_of(text) for text in (trusted or {}).values()}

    def operation(self, envelope: Envelope, *, any_text: bool = False) -> Operation:
        """The operation that a request names; raises Refused. `any_text` lifts the restriction to trusted documents."""
        found = self._find(envelope, any_text)
        return _chosen(self._kept(self.read(found)) if isinstance(found, str) else found, envelope.operationName)

    async def asked(self, envelope: Envelope, lane: Hashable, *, any_text: bool = False) -> Operation:
        """The same, but an unknown document is parsed when it is the turn of the client `lane`."""
        found = self._find(envelope, any_text)
        if isinstance(found, str):
            text = found
            found = self._kept(await self._turns.run(lane, lambda: self._texts.get(text) or self.read(text)))
        return _chosen(found, envelope.operationName)

    def read(self, text: str) -> Document:
        """Parse a document; raises Refused for one that is not valid or too large."""
        return self._parser.read(text)

    def _find(self, envelope: Envelope, any_text: bool) -> Document | str:
        """The document that a request names, if it may be run; or its text, if it must still be parsed."""
        text, said = envelope.query, envelope.document
        if not text:
            if said is None:
                raise Refused.because(400, "the request has no query", BAD_REQUEST)
            if (trusted := (self._trusted or {}).get(said)) is not None:
                text = trusted
            elif said in self._known and (any_text or self._trusted is None or said in self._digests):
                text = self._known[said].text
            else:
                # The message is the one that clients look for.
                raise Refused.because(200, "PersistedQueryNotFound", PERSISTED_QUERY_NOT_FOUND)
        elif said is not None or self._trusted is not None:
            digest = digest_of(text)
            if said is not None and said != digest:
                raise Refused.because(400, "sha256Hash is not the hash of the query", BAD_REQUEST)
            if self._trusted is not None and digest not in self._digests and not any_text:
                raise Refused.because(403, "this gateway runs only documents of its list", DOCUMENT_NOT_TRUSTED)
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
        """Count the growth of a document: plans come with its first answers. A document that was dropped meanwhile does
        not count."""
        if self._known.get(document.digest) is document:
            self._weight += by


def _chosen(document: Document, name: str | None) -> Operation:
    if name is None and len(document.operations) != 1:
        names = ", ".join(sorted(filter(None, document.operations)))
        raise Refused.because(422, f"the document has several operations; name one: {names}", OPERATION_UNKNOWN)
    if name is None:
        name = next(iter(document.operations))
    if name not in document.operations:
        raise Refused.because(422, "the document has no operation of this name", OPERATION_UNKNOWN)
    defined = document.operations[name]
    return Operation(document, defined.node, name, defined.node.operation, defined)
