"""What the servers are asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

PAGE = """{
  simulations(first: 50) {
    nodes {
      id title simType createdAt
      owner { id username }
      job { id state tasks(first: 10) { nodes { id ordinal state requested done } } }
    }
  }
}"""
BY_ID = "query($id: ID!) { simulation(id: $id) { id title simType createdAt owner { id username } } }"


@dataclass(frozen=True)
class Operation:
    """A document, asked with one after another of some variables."""

    name: str
    query: str
    variables: Sequence[dict[str, Any]] = ({},)

    @property
    def bodies(self) -> list[bytes]:
        return [orjson.dumps({"query": self.query, "variables": given}) for given in self.variables]


def operations(ids: Sequence[str]) -> list[Operation]:
    """The operations; `ids` are global ids of simulations."""
    return [Operation("page", PAGE), Operation("by id", BY_ID, [{"id": key} for key in ids])]
