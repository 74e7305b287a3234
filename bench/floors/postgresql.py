"""The floor on PostgreSQL.

The statements of the operations are frozen, so that ratios to the floor can be compared over time: `test_bench`
holds their digest. Whoever changes one shows by the bench that it became faster.
"""

import base64
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import orjson

from bench.operations import BOARD, BY_ID, FOUR_LEVELS, GROUPS, PAGE, SEARCH, SPECS, WHOLE_RESULT

CONNECTIONS = 10

Variables = dict[str, Any]


def _id(typename: str, key: str) -> str:
    """SQL for a global id."""
    return f"encode(convert_to('{typename}:' || {key}, 'UTF8'), 'base64')"


def _instant(moment: str) -> str:
    return f"""to_char({moment} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def _cursor(order: str, value: str, key: str) -> str:
    """SQL for a cursor: base64 for URLs, without padding, of `["order",value,"key"]`; `value` is JSON as text."""
    place = f"""'["{order}",' || {value} || ',"' || {key} || '"]'"""
    return f"translate(encode(convert_to({place}, 'UTF8'), 'base64'), E'+/=\\n', '-_')"


PAGE_SQL = f"""
SELECT json_build_object('data', json_build_object('simulations', json_build_object(
         'nodes', coalesce(json_agg(node), '[]'))))
FROM (
  SELECT json_build_object(
    'id', {_id("Simulation", "s.id")}, 'title', s.title, 'simType', s.sim_type, 'createdAt', {_instant("s.created_at")},
    'owner', json_build_object('id', {_id("User", "u.id")}, 'username', u.username),
    'job', CASE WHEN j.id IS NOT NULL THEN json_build_object(
      'id', {_id("Job", "j.id")}, 'state', j.state,
      'tasks', json_build_object('nodes', coalesce(t.nodes, '[]'))) END
  ) AS node
  FROM (SELECT * FROM simulations ORDER BY created_at DESC, id DESC LIMIT 50) s
  JOIN users u ON u.id = s.user_id
  LEFT JOIN LATERAL (
    SELECT id, state FROM jobs WHERE simulation_id = s.id ORDER BY attempt DESC LIMIT 1
  ) j ON true
  LEFT JOIN LATERAL (
    SELECT json_agg(task) AS nodes
    FROM (
      SELECT {_id("Task", "id")} AS id, ordinal, state, requested::text, done::text
      FROM tasks WHERE job_id = j.id ORDER BY ordinal LIMIT 10
    ) task
  ) t ON true
  ORDER BY s.created_at DESC, s.id DESC
) shown
"""

BY_ID_SQL = f"""
SELECT json_build_object('data', json_build_object('simulation', (
  SELECT json_build_object(
    'id', {_id("Simulation", "s.id")}, 'title', s.title, 'simType', s.sim_type, 'createdAt', {_instant("s.created_at")},
    'owner', json_build_object('id', {_id("User", "u.id")}, 'username', u.username))
  FROM simulations s JOIN users u ON u.id = s.user_id
  WHERE s.id = $1)))
"""

FOUR_LEVELS_SQL = f"""
SELECT json_build_object('data', json_build_object('projects', json_build_object(
         'totalCount', (SELECT count(*) FROM projects WHERE lower(name) LIKE $1),
         'edges', coalesce(json_agg(edge), '[]'))))
FROM (
  SELECT json_build_object(
    'cursor', {_cursor("Project.name_folded+", "to_json(p.name_folded)", "p.id")},
    'node', json_build_object('id', {_id("Project", "p.id")}, 'name', p.name, 'simulations', json_build_object(
      'totalCount', c.total,
      'pageInfo', json_build_object('hasNextPage', c.total > 5, 'endCursor', s.ending),
      'edges', coalesce(s.edges, '[]')))
  ) AS edge
  FROM (SELECT * FROM projects WHERE lower(name) LIKE $1 ORDER BY name_folded, id LIMIT 3) p
  CROSS JOIN LATERAL (SELECT count(*) AS total FROM simulations WHERE project_id = p.id) c
  CROSS JOIN LATERAL (
    SELECT (array_agg(cursor ORDER BY created_at, id))[count(*)] AS ending, json_agg(json_build_object(
      'cursor', cursor,
      'node', json_build_object(
        'id', {_id("Simulation", "id")}, 'title', title,
        'owner', json_build_object('id', {_id("User", "user_id")}, 'username', username),
        'jobs', json_build_object('totalCount', j.total, 'edges', coalesce(j.edges, '[]')))
    ) ORDER BY created_at, id) AS edges
    FROM (
      SELECT *, {_cursor("Simulation.created_at+", f"to_json({_instant('created_at')})", "id")} AS cursor
      FROM simulations WHERE project_id = p.id ORDER BY created_at, id LIMIT 5
    ) shown
    JOIN (SELECT id AS owner_id, username FROM users) owner ON owner_id = user_id
    CROSS JOIN LATERAL (
      SELECT (SELECT count(*) FROM jobs WHERE simulation_id = shown.id) AS total, json_agg(json_build_object(
        'cursor', {_cursor("Job.attempt-", "attempt", "id")},
        'node', json_build_object('id', {_id("Job", "id")}, 'state', state, 'tasks', json_build_object(
          'totalCount', total,
          'pageInfo', json_build_object('hasNextPage', total > 3, 'endCursor', t.ending),
          'edges', coalesce(t.edges, '[]')))
      ) ORDER BY attempt DESC) AS edges
      FROM (SELECT * FROM jobs WHERE simulation_id = shown.id ORDER BY attempt DESC LIMIT 2) job
      CROSS JOIN LATERAL (SELECT count(*) AS total FROM tasks WHERE job_id = job.id) c
      CROSS JOIN LATERAL (
        SELECT (array_agg(cursor))[count(*)] AS ending, json_agg(json_build_object(
          'cursor', cursor,
          'node', json_build_object(
            'id', {_id("Task", "id")}, 'ordinal', ordinal, 'state', state,
            'requested', requested::text, 'done', done::text)
        )) AS edges
        FROM (
          SELECT *, {_cursor("Task.ordinal+", "ordinal", "id")} AS cursor
          FROM tasks WHERE job_id = job.id ORDER BY ordinal LIMIT 3
        ) task
      ) t
    ) j
  ) s
  ORDER BY p.name_folded, p.id
) shown
"""

WHOLE_RESULT_SQL = f"""
SELECT e.id AS estimator, e.name AS estimator_name, {_id("Page", "p.key")} AS id, p.*
FROM (SELECT id, name FROM estimators WHERE simulation_id = $1 ORDER BY name, id LIMIT 20) e
CROSS JOIN LATERAL (
  SELECT id AS key, name, number, unit, data_values, axis1_name, axis1_unit, axis1_values,
         axis2_name, axis2_unit, axis2_values
  FROM pages WHERE estimator_id = e.id ORDER BY number LIMIT 30
) p
ORDER BY e.name, e.id, p.number
"""


SEARCH_SQL = f"""
SELECT json_build_object('data', json_build_object('simulations', json_build_object(
         'nodes', coalesce(json_agg(node), '[]'))))
FROM (
  SELECT json_build_object(
    'id', {_id("Simulation", "s.id")}, 'title', s.title, 'createdAt', {_instant("s.created_at")},
    'job', json_build_object('id', {_id("Job", "j.id")}, 'state', j.state)
  ) AS node
  FROM simulations s
  CROSS JOIN LATERAL (
    SELECT id, state FROM jobs WHERE simulation_id = s.id ORDER BY attempt DESC LIMIT 1
  ) j
  WHERE s.deleted_at IS NULL AND s.title_folded LIKE $1 AND s.created_at >= $2 AND j.state = $3
  ORDER BY coalesce(s.title_folded, ''), s.id LIMIT 50
) shown
"""

GROUPS_SQL = """
SELECT json_build_object('data', json_build_object('tasks', json_build_object('groups', json_agg(json_build_object(
         'key', json_build_object('state', state), 'count', number) ORDER BY place))))
FROM (
  SELECT state, count(*) AS number, array_position(ARRAY['UNKNOWN', 'PENDING', 'RUNNING', 'MERGING_QUEUED',
    'MERGING_RUNNING', 'CANCELED', 'COMPLETED', 'FAILED'], state::text) AS place
  FROM tasks GROUP BY state
) found
"""

BOARD_SQL = f"""
SELECT json_build_object('data', json_build_object('leaderboard', (
  SELECT json_build_object('label', b.label, 'entries', json_build_object(
    'nodes', coalesce(e.nodes, '[]'),
    'pageInfo', json_build_object('hasNextPage', e.more, 'endCursor', e.ending)))
  FROM leaderboards b
  CROSS JOIN LATERAL (
    SELECT (array_agg({_cursor("LeaderboardEntry.position+", "place", "key")}))[count(*)] AS ending,
           EXISTS (SELECT FROM leaderboard_entries
                   WHERE build_id = b.build_id AND position > max(place)) AS more,
           json_agg(json_build_object(
             'id', {_id("LeaderboardEntry", "key")}, 'place', place, 'rank', rank, 'authorLabel', author_label,
             'data', data)) AS nodes
    FROM (
      SELECT id AS key, position AS place, rank, author_label, data
      FROM leaderboard_entries WHERE build_id = b.build_id ORDER BY position, id LIMIT 100
    ) entry
  ) e
  WHERE b.id = $1)))
"""


SPECS_SQL = f"""
SELECT json_build_object('data', json_build_object('specs', json_build_object(
         'nodes', coalesce(json_agg(node), '[]'))))
FROM (
  SELECT json_build_object(
    'id', {_id("Spec", "s.id")}, 'canonicalName', s.canonical_name, 'state', s.state,
    'latestVersion', json_build_object(
      'id', {_id("SpecVersion", "l.id")}, 'name', l.name, 'modelCount', l.model_count,
      'updatedAt', {_instant("l.updated_at")}),
    'versions', json_build_object('nodes', coalesce(v.nodes, '[]'))
  ) AS node
  FROM (
    SELECT * FROM specs WHERE deleted_at IS NULL ORDER BY coalesce(canonical_name_folded, ''), id LIMIT 50
  ) s
  JOIN spec_versions l ON l.id = s.latest_version_id
  LEFT JOIN LATERAL (
    SELECT json_agg(one) AS nodes
    FROM (
      SELECT {_id("SpecVersion", "id")} AS id, name, model_count AS "modelCount"
      FROM spec_versions WHERE spec_id = s.id AND deleted_at IS NULL ORDER BY updated_at DESC, id DESC LIMIT 5
    ) one
  ) v ON true
  ORDER BY coalesce(s.canonical_name_folded, ''), s.id
) shown
"""


def _key(variables: Variables) -> UUID:
    return UUID(base64.b64decode(variables["id"]).partition(b":")[2].decode())


async def page(connection: Any, variables: Variables) -> bytes:
    answer: str = await connection.fetchval(PAGE_SQL)
    return answer.encode()


async def by_id(connection: Any, variables: Variables) -> bytes:
    answer: str = await connection.fetchval(BY_ID_SQL, _key(variables))
    return answer.encode()


async def four_levels(connection: Any, variables: Variables) -> bytes:
    answer: str = await connection.fetchval(FOUR_LEVELS_SQL, f"%{variables['name'].lower()}%")
    return answer.encode()


async def whole_result(connection: Any, variables: Variables) -> bytes:
    """The stored texts of the numbers, joined as they are."""
    rows = await connection.fetch(WHOLE_RESULT_SQL, _key(variables))
    estimators = [
        {"name": pages[0]["estimator_name"], "pages": {"nodes": [_page(row) for row in pages]}}
        for pages in (list(group) for _, group in groupby(rows, lambda row: row["estimator"]))
    ]
    return orjson.dumps({"data": {"simulation": {"estimators": {"nodes": estimators}}}})


def _page(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "number": row["number"],
        "data": _series(row["name"], row["unit"], row["data_values"]),
        "axis1": _series(row["axis1_name"], row["axis1_unit"], row["axis1_values"]),
        "axis2": _series(row["axis2_name"], row["axis2_unit"], row["axis2_values"]),
    }


def _series(name: str | None, unit: str | None, values: str | None) -> dict[str, Any] | None:
    return None if values is None else {"name": name, "unit": unit, "values": orjson.Fragment(values)}


async def search(connection: Any, variables: Variables) -> bytes:
    since = datetime.fromisoformat(variables["since"])
    answer: str = await connection.fetchval(SEARCH_SQL, f"%{variables['words']}%", since, variables["state"])
    return answer.encode()


async def groups(connection: Any, variables: Variables) -> bytes:
    answer: str = await connection.fetchval(GROUPS_SQL)
    return answer.encode()


async def board(connection: Any, variables: Variables) -> bytes:
    answer: str = await connection.fetchval(BOARD_SQL, _key(variables))
    return answer.encode()


async def specs(connection: Any, variables: Variables) -> bytes:
    answer: str = await connection.fetchval(SPECS_SQL)
    return answer.encode()


ANSWERS: dict[str, Callable[[Any, Variables], Awaitable[bytes]]] = {
    PAGE: page,
    BY_ID: by_id,
    FOUR_LEVELS: four_levels,
    WHOLE_RESULT: whole_result,
    SEARCH: search,
    GROUPS: groups,
    BOARD: board,
    SPECS: specs,
}
"""By document."""


async def connected(url: str) -> Any:
    return await asyncpg.connect(url)
