"""What specs cost: `python -m bench.specs [put|index ...]`.

put: a spec of 100 models is put, and its packages are built. index: a page of 1,000 files of the package index, made,
sent once more, and unchanged, beside a bare function that sends the same bytes; one connection asks again as soon as it
is answered.
"""

import argparse
import asyncio
import hashlib
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import sqlalchemy as sa

from bench import data
from bench.jobs.gateway import bare, torana
from bench.servers import PASSWORD, USERNAME, Running, Server, running
from db import models as m
from db.types import uuid7
from gateway.protocol.packages import pages
from jobs.specs.distributions import Package
from resolvers.context import Context, Services
from resolvers.identity.principal import Kind, Principal
from resolvers.specs.registry import put
from tests.support.postgres import running_postgres

MODELS, FILES = 100, 1_000


def source(version: str, models: int = MODELS) -> str:
    """A spec of models with ten columns each, in a chain of references."""
    schemas: dict[str, Any] = {}
    for number in range(models):
        columns = {f"column{n}": {"type": "string", "maxLength": 40, "x-index": n == 0} for n in range(8)}
        key: dict[str, Any] = {"id": {"type": "integer", "x-primary-key": True}}
        if number:
            key["before"] = {"$ref": f"#/components/schemas/Model{number - 1}"}
        schemas[f"Model{number}"] = {
            "type": "object", "x-tablename": f"model{number}", "properties": {**key, **columns},
        }  # fmt: skip
    info = {"title": "bench", "version": version}
    return json.dumps({"openapi": "3.0.3", "info": info, "paths": {}, "components": {"schemas": schemas}})


async def puts(url: str, keys: str, folder: Path, reader: UUID) -> None:
    async with bare(url, keys, folder) as services:
        ctx = Context(services, Principal(kind=Kind.USER, id=reader))
        object.__setattr__(services.limits, "spec_models", None)
        taken = []
        for number in range(7):
            began = time.perf_counter()
            await put(ctx, "bench", source(f"1.{number}"), m.SpecLanguage.JSON)
            taken.append(time.perf_counter() - began)
        kind = services.database.dialect
    print(f"put on {kind}: {MODELS} models in {statistics.median(taken):.2f} s, {max(taken):.2f} s at most", flush=True)


async def builds(url: str, keys: str, folder: Path) -> None:
    """The first of several: the others wait for it."""
    server = torana(keys, TORANA_TASK_SLOTS="1", TORANA_SPEC_MODELS="0", TORANA_DATA_DIR=str(folder))
    async with running(server, url, folder) as gateway:
        client, bearer = await _signed_in(gateway)
        put_it = 'putSpec(name:"built",source:$s,language:JSON){...on SpecVersion{job{id}}}'
        query = f"mutation($s:SpecSource!){{done:{put_it}}}"
        state = "query($i:ID!){job(id:$i){state}}"
        taken = []
        for number in range(3):
            began = time.perf_counter()
            made = await _asked(client, bearer, query, s=source(f"2.{number}"))
            while (await _asked(client, bearer, state, i=made["done"]["job"]["id"]))["job"]["state"] != "COMPLETED":
                await asyncio.sleep(0.05)
            taken.append(time.perf_counter() - began)
        await client.aclose()
    print(f"built: {MODELS} models in {statistics.median(taken):.2f} s, {max(taken):.2f} s at most", flush=True)


async def index(url: str, keys: str, folder: Path, reader: UUID, rounds: int) -> None:
    async with bare(url, keys, folder) as services:
        await _publish(services, reader)
    async with running(torana(keys, TORANA_DATA_DIR=str(folder), TORANA_PACKAGE_REQUESTS="0"), url, folder) as gateway:
        client, bearer = await _signed_in(gateway)
        headers = {"Authorization": bearer, "Accept": pages.JSON}
        await client.get("/simple/none/", headers=headers)
        began = time.perf_counter()
        page = await client.get("/simple/published/", headers=headers)
        made = 1_000 * (time.perf_counter() - began)
        assert len(page.json()["files"]) == FILES, page.text[:300]
        anew = partial(client.get, "/simple/published/", headers=headers)
        same = partial(client.get, "/simple/published/", headers={**headers, "If-None-Match": page.headers["ETag"]})
        content = folder / "page.json"
        content.write_bytes(page.content)
        command = (
            sys.executable,
            "-m",
            "uvicorn",
            "bench.specs.bare:app",
            "--port",
            "{port}",
            "--log-level",
            "warning",
        )
        floor = Server("floor", command, {"BARE_CONTENT": str(content), "PYTHONPATH": os.getcwd()}, path="/")
        async with running(floor, url, folder) as other, httpx2.AsyncClient(base_url=_base(other)) as plain:
            asked: dict[str, Callable[[], Any]] = {
                "sent": anew, "unchanged": same, "floor sent": partial(plain.get, "/"),
                "floor unchanged": partial(plain.get, "/", headers={"If-None-Match": "x"}),
            }  # fmt: skip
            taken: dict[str, list[float]] = {name: [] for name in asked}
            for _ in range(rounds):
                for name, ask in asked.items():
                    began = time.perf_counter()
                    answer = await ask()
                    taken[name].append(1_000 * (time.perf_counter() - began))
                    assert answer.status_code == (304 if "unchanged" in name else 200)
        await client.aclose()
    told = ", ".join(f"{name} {statistics.median(times):.1f} ms" for name, times in taken.items())
    print(f"a page of {FILES:,} files ({len(page.content):,} bytes): made {made:.1f} ms, {told}", flush=True)


async def _publish(services: Services, owner: UUID) -> None:
    async with services.database.write(as_system="bench") as session:
        spec = m.Spec(id=uuid7(), user_id=owner, canonical_name="published", name="published")
        session.add(spec)
        await session.flush()
        for number in range(FILES // 2):
            package = Package("published", f"1.{number}", "Published", "Some words about it. " * 10)
            version = m.SpecVersion(
                id=uuid7(), spec_id=spec.id, name=package.version, canonical_name=package.version, title=package.title,
                description=package.description, model_count=1, language=m.SpecLanguage.JSON, source="{}",
                metadata_digest=hashlib.sha256(package.metadata()).hexdigest(),
            )  # fmt: skip
            session.add(version)
            await session.flush()
            for name in (f"{package.stem}-py3-none-any.whl", f"{package.stem}.tar.gz"):
                blob = m.Blob(id=uuid7(), digest=secrets.token_hex(32), size=5)
                session.add(blob)
                await session.flush()
                of_it = {"purpose": m.FilePurpose.SPEC_PACKAGE, "spec_version_id": version.id, "media_type": "x"}
                bytes_of = {"size": 5, "blob_id": blob.id, "digest": blob.digest, "state": m.FileState.READY}
                session.add(m.File(name=name, **of_it, **bytes_of))
        await session.flush()
        await session.execute(sa.update(m.Spec).where(m.Spec.id == spec.id).values(latest_version_id=version.id))
    async with services.database.write(as_system="bench") as session:
        await session.execute(sa.text("ANALYZE"))


def _base(server: Running) -> str:
    return server.url.removesuffix(server.server.path)


async def _signed_in(gateway: Running) -> tuple[httpx2.AsyncClient, str]:
    client = httpx2.AsyncClient(base_url=_base(gateway), timeout=60)
    query = "mutation($u:String!,$p:String!){logIn(username:$u,password:$p){...on Tokens{accessToken}}}"
    made = await _asked(client, "", query, u=USERNAME, p=PASSWORD)
    return client, f"Bearer {made['logIn']['accessToken']}"


async def _asked(client: httpx2.AsyncClient, bearer: str, query: str, **given: Any) -> Any:
    headers = {"Authorization": bearer} if bearer else {}
    answer = (await client.post("/graphql", json={"query": query, "variables": given}, headers=headers)).json()
    assert "errors" not in answer, answer
    return answer["data"]


async def _on(url: str, only: list[str], folder: Path, rounds: int) -> None:
    keys, reader = f"bench:{secrets.token_urlsafe(48)}", await data.reader_of(url)
    if "put" in only:
        await puts(url, keys, folder, reader)
        await builds(url, keys, folder)
    if "index" in only:
        await index(url, keys, folder, reader, rounds)


async def _all(server: str, only: list[str], folder: Path, rounds: int) -> None:
    await _on(await data.create(server), only, folder, rounds)
    await _on(await data.create_file(folder), only, folder, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", default=[], help="put, index; by default both")
    parser.add_argument("--rounds", type=int, default=100, help="how often a page is asked for")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_postgres() as server:
        asyncio.run(_all(server, given.only or ["put", "index"], Path(name), given.rounds))


main()
