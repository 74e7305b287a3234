"""The operations as PostGraphile's schema puts them, and its answers in the shape of Torana's."""

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any

import orjson

from bench.operations import Operation

PAGE = """{
  simulations: allSimulations(first: 50, orderBy: [CREATED_AT_DESC, ROW_ID_DESC]) {
    nodes {
      id: rowId title simType createdAt
      owner: userByUserId { id: rowId username }
      job: jobsBySimulationId(first: 1, orderBy: ATTEMPT_DESC) {
        nodes {
          id: rowId state
          tasks: tasksByJobId(first: 10, orderBy: ORDINAL_ASC) { nodes { id: rowId ordinal state requested done } }
        }
      }
    }
  }
}"""
BY_ID = """query($id: UUID!) {
  simulation: simulationByRowId(rowId: $id) {
    id: rowId title simType createdAt owner: userByUserId { id: rowId username }
  }
}"""
FOUR_LEVELS = """query($name: String!) {
  projects: allProjects(first: 3, orderBy: [NAME_ASC, ROW_ID_ASC], filter: {name: {includesInsensitive: $name}}) {
    totalCount
    edges { cursor node { id: rowId name
      simulations: simulationsByProjectId(first: 5, orderBy: [CREATED_AT_ASC, ROW_ID_ASC]) {
        totalCount pageInfo { hasNextPage endCursor }
        edges { cursor node { id: rowId title owner: userByUserId { id: rowId username }
          jobs: jobsBySimulationId(first: 2, orderBy: ATTEMPT_DESC) {
            totalCount
            edges { cursor node { id: rowId state
              tasks: tasksByJobId(first: 3, orderBy: ORDINAL_ASC) {
                totalCount pageInfo { hasNextPage endCursor }
                edges { cursor node { id: rowId ordinal state requested done } }
              }
            } }
          }
        } }
      }
    } }
  }
}"""
WHOLE_RESULT = """query($id: UUID!) {
  simulation: simulationByRowId(rowId: $id) {
    estimators: estimatorsBySimulationId(first: 20, orderBy: [NAME_ASC, ROW_ID_ASC]) {
      nodes {
        name
        pages: pagesByEstimatorId(first: 30, orderBy: NUMBER_ASC) {
          nodes {
            id: rowId name number
            unit dataValues
            axis1Name axis1Unit axis1Values
            axis2Name axis2Unit axis2Values
          }
        }
      }
    }
  }
}"""
DOCUMENTS = {"page": PAGE, "by id": BY_ID, "four levels": FOUR_LEVELS, "whole result": WHOLE_RESULT}
TYPES = {
    "simulations": "Simulation",
    "simulation": "Simulation",
    "owner": "User",
    "job": "Job",
    "jobs": "Job",
    "tasks": "Task",
    "projects": "Project",
    "pages": "Page",
}
"""The type of the nodes below a field."""


def asked(operation: Operation) -> Operation:
    """With its own document, and keys instead of global ids."""
    variables = [{k: _key(v) if k == "id" else v for k, v in given.items()} for given in operation.variables]
    return dataclasses.replace(operation, query=DOCUMENTS[operation.name], variables=variables)


def shaped(operation: Operation, answer: Any) -> Any:
    """Its answer as Torana would give it, but for the cursors."""
    return _shaped(answer, "")


def _shaped(value: Any, typename: str) -> Any:
    if isinstance(value, list):
        return [_shaped(each, typename) for each in value]
    if not isinstance(value, dict):
        return value
    if "dataValues" in value:
        return _page(value)
    found = {key: _shaped(each, TYPES.get(key, typename)) for key, each in value.items()}
    if "id" in found:
        found["id"] = _global_id(typename, found["id"])
    if "createdAt" in found:
        found["createdAt"] = found["createdAt"].replace("+00:00", "Z")
    if "job" in found:
        found["job"] = next(iter(found["job"]["nodes"]), None)
    return found


def _page(row: Mapping[str, Any]) -> dict[str, Any]:
    """Its columns hold the arrays of numbers as texts."""
    return {
        "id": _global_id("Page", row["id"]),
        "name": row["name"],
        "number": row["number"],
        "data": _series(row["name"], row["unit"], row["dataValues"]),
        "axis1": _series(row["axis1Name"], row["axis1Unit"], row["axis1Values"]),
        "axis2": _series(row["axis2Name"], row["axis2Unit"], row["axis2Values"]),
    }


def _series(name: str | None, unit: str | None, values: str | None) -> dict[str, Any] | None:
    return None if values is None else {"name": name, "unit": unit, "values": orjson.loads(values)}


def _global_id(typename: str, key: str) -> str:
    return base64.b64encode(f"{typename}:{key}".encode()).decode()


def _key(global_id: str) -> str:
    return base64.b64decode(global_id).partition(b":")[2].decode()
