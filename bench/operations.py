"""What the servers are asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from bench.data import Filled

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
FOUR_LEVELS = """query($name: String!) {
  projects(first: 3, filter: {name: {contains: $name}}) {
    totalCount
    edges { cursor node { id name
      simulations(first: 5, orderBy: {field: CREATED_AT}) {
        totalCount pageInfo { hasNextPage endCursor }
        edges { cursor node { id title owner { id username }
          jobs(first: 2) {
            totalCount
            edges { cursor node { id state
              tasks(first: 3) {
                totalCount pageInfo { hasNextPage endCursor }
                edges { cursor node { id ordinal state requested done } }
              }
            } }
          }
        } }
      }
    } }
  }
}"""
WHOLE_RESULT = """query($id: ID!) {
  simulation(id: $id) {
    estimators(first: 20) {
      nodes {
        name
        pages(first: 30) {
          nodes {
            id name number
            data { name unit values }
            axis1 { name unit values }
            axis2 { name unit values }
          }
        }
      }
    }
  }
}"""
SEARCH = """query($words: String!, $since: DateTime!, $state: JobState!) {
  simulations(
    first: 50
    orderBy: {field: TITLE}
    filter: {title: {contains: $words}, createdAt: {from: $since}, job: {state: {in: [$state]}}}
  ) { nodes { id title createdAt job { id state } } }
}"""
GROUPS = "{ tasks(first: 0) { groups(by: [STATE]) { key { state } count } } }"
BOARD = """query($id: ID!) {
  leaderboard(id: $id) {
    label
    entries(first: 100) {
      nodes { id place rank authorLabel data }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""
SPECS = """{
  specs(first: 50) {
    nodes {
      id canonicalName state
      latestVersion { id name modelCount updatedAt }
      versions(first: 5) { nodes { id name modelCount } }
    }
  }
}"""
NAMES = ("proton", "carbon")
"""Parts of projects' names, each of which ten projects have."""


@dataclass(frozen=True)
class Operation:
    """A document, asked with one after another of some variables."""

    name: str
    query: str
    variables: Sequence[dict[str, Any]] = ({},)

    @property
    def bodies(self) -> list[bytes]:
        return [orjson.dumps({"query": self.query, "variables": given}) for given in self.variables]


DOCUMENTS = {
    "page": PAGE,
    "by id": BY_ID,
    "four levels": FOUR_LEVELS,
    "whole result": WHOLE_RESULT,
    "search": SEARCH,
    "groups": GROUPS,
    "board": BOARD,
    "specs": SPECS,
}
"""By the operation's name."""
OWN = ("search", "groups", "board", "specs")
"""Operations that only Torana and the floor answer."""


def operations(filled: Filled) -> list[Operation]:
    """The operations on a filled database."""
    variables: dict[str, list[dict[str, Any]]] = {
        "page": [{}],
        "by id": [{"id": key} for key in filled.simulations],
        "four levels": [{"name": name} for name in NAMES],
        "whole result": [{"id": filled.whole}],
        "search": [{"words": f"beam {n}", "since": "2026-01-02T00:00:00Z", "state": "COMPLETED"} for n in range(1, 10)],
        "groups": [{}],
        "board": [{"id": filled.board}],
        "specs": [{}],
    }
    return [Operation(name, query, variables[name]) for name, query in DOCUMENTS.items()]
