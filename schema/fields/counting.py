"""The size of a document, counted before it is validated: validating takes the square of the fields at one place.

Each fragment is counted once, however often it is spread. The document need not be valid.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

from schema.fields.cost import Bounds, bound

INTROSPECTION = ("__schema", "__type")


@dataclass(slots=True)
class Count:
    """The size of a selection, with its fragments written out."""

    fields: int = 0
    top: int = 0
    depth: int = 0
    aliases: int = 0
    directives: int = 0
    introspection: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INTROSPECTION, 0))

    def add(self, other: "Count") -> None:
        self.fields += other.fields
        self.aliases += other.aliases
        self.directives += other.directives
        for name, number in other.introspection.items():
            self.introspection[name] += number


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a document: its fields with fragments written out, and whether a fragment spreads itself."""

    fields: int
    cyclic: bool


def count(document: DocumentNode, bounds: Bounds) -> Size:
    """The size of a document; raises LimitExceeded for one that is too large to be validated."""
    return _Counting(document).size(bounds)


class _Counting:
    def __init__(self, document: DocumentNode) -> None:
        self._operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._known: dict[str, Count | None] = {}
        self._cyclic = False

    def size(self, bounds: Bounds) -> Size:
        fields = 0
        roots = [operation.selection_set for operation in self._operations]
        for operation in self._operations:
            found = self._selection(operation.selection_set)
            found.directives += len(operation.directives or ())
            self._check(found, bounds)
            bound("rootFields", found.top, bounds.root_fields)
            fields += found.fields
        for name, fragment in self._fragments.items():
            if name not in self._known:  # no operation reaches it, and it is validated all the same
                self._check(self._fragment(name), bounds)
                fields += self._fragment(name).fields
                roots.append(fragment.selection_set)
        bound("fields", fields, bounds.fields)
        if not self._cyclic:
            bound("repetitions", sum(map(self._repetitions, roots)), bounds.repetitions)
        return Size(fields, self._cyclic)

    def _check(self, found: Count, bounds: Bounds) -> None:
        bound("depth", found.depth, bounds.depth)
        bound("aliases", found.aliases, bounds.aliases)
        bound("directives", found.directives, bounds.directives)
        for name, number in found.introspection.items():
            bound(name, number, 1)

    def _selection(self, selected: SelectionSetNode) -> Count:
        total = Count()
        for node in selected.selections:
            total.directives += len(node.directives or ())
            if isinstance(node, FieldNode):
                total.fields += 1
                total.top += 1
                total.aliases += node.alias is not None
                below = Count() if node.selection_set is None else self._selection(node.selection_set)
                if node.name.value in total.introspection:  # graphql-core has a rule of its own for its depth
                    total.introspection[node.name.value] += 1
                    total.depth = max(total.depth, 1)
                else:
                    total.depth = max(total.depth, 1 + below.depth)
            else:
                if isinstance(node, InlineFragmentNode):
                    below = self._selection(node.selection_set)
                else:
                    assert isinstance(node, FragmentSpreadNode)
                    below = self._fragment(node.name.value)
                total.top += below.top
                total.depth = max(total.depth, below.depth)
            total.add(below)
        return total

    def _fragment(self, name: str) -> Count:
        if name not in self._fragments:
            return Count()
        if name not in self._known:
            self._known[name] = None
            self._known[name] = self._selection(self._fragments[name].selection_set)
        if (known := self._known[name]) is None:
            self._cyclic = True
            return Count()
        return known

    def _repetitions(self, root: SelectionSetNode) -> int:
        """The pairs of fields of one key at one place, each of which validation compares. The work grows with the
        number of fields, which is bounded."""
        pairs = 0
        places: list[list[SelectionSetNode]] = [[root]]
        while places:
            found: dict[str, list[FieldNode]] = {}
            spread: set[str] = set()
            for selected in places.pop():
                self._collect(selected.selections, found, spread)
            for nodes in found.values():
                pairs += len(nodes) * (len(nodes) - 1) // 2
                if below := [node.selection_set for node in nodes if node.selection_set is not None]:
                    places.append(below)
        return pairs

    def _collect(self, nodes: Iterable[SelectionNode], found: dict[str, list[FieldNode]], spread: set[str]) -> None:
        for node in nodes:
            if isinstance(node, FieldNode):
                found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                self._collect(node.selection_set.selections, found, spread)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                spread.add(node.name.value)
                if (fragment := self._fragments.get(node.name.value)) is not None:
                    self._collect(fragment.selection_set.selections, found, spread)
