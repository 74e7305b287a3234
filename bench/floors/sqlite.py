"""The floor on SQLite, on the gateway's own readers: the page alone."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.operations import PAGE
from db import connections
from db.readers import driver

CONNECTIONS = 4
"""As many as the gateway has."""

MARK = "\x01"
"""Stands around ids, which are put into base64 in one pass: calling Python for each row takes longer."""


def _id(typename: str) -> str:
    return f"{MARK}{typename}:%s{MARK}"


PAGE_SQL = f"""
SELECT printf('{{"data":{{"simulations":{{"nodes":[%s]}}}}}}', group_concat(node, ','))
FROM (
  SELECT printf(
    '{{"id":"{_id("Simulation")}","title":%s,"simType":"%s","createdAt":"%s",'
    || '"owner":{{"id":"{_id("User")}","username":%s}},"job":%s}}',
    s.id, json_quote(s.title), s.sim_type, s.created_at, u.id, json_quote(u.username),
    coalesce((
      SELECT printf('{{"id":"{_id("Job")}","state":"%s","tasks":{{"nodes":[%s]}}}}', j.id, j.state, (
        SELECT group_concat(printf(
          '{{"id":"{_id("Task")}","ordinal":%d,"state":"%s","requested":"%d","done":"%d"}}',
          t.id, t.ordinal, t.state, t.requested, t.done), ',')
        FROM (SELECT * FROM tasks WHERE job_id = j.id ORDER BY ordinal LIMIT 10) t))
      FROM jobs j WHERE j.simulation_id = s.id ORDER BY attempt DESC LIMIT 1), 'null')) AS node
  FROM (SELECT * FROM simulations ORDER BY created_at DESC, id DESC LIMIT 50) s
  JOIN users u ON u.id = s.user_id
  ORDER BY s.created_at DESC, s.id DESC
)
"""


async def page(connection: Any, _: dict[str, Any]) -> bytes:
    ((text,),) = await connection.execute_fetchall(PAGE_SQL)
    parts: list[bytes] = text.encode().split(MARK.encode())
    parts[1::2] = map(base64.b64encode, parts[1::2])
    return b"".join(parts)


ANSWERS: dict[str, Callable[[Any, dict[str, Any]], Awaitable[bytes]]] = {PAGE: page}


opened: list[AsyncConnection] = []
"""Kept: a connection that nobody holds is closed."""


async def connected(url: str) -> Any:
    reader, _ = connections.on_sqlite(sa.make_url(url).set(drivername="sqlite+aiosqlite"), 15)
    opened.append(await reader.connect())
    return driver(opened[-1])
