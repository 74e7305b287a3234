"""`python -m bench.files`: see the package."""

import argparse
import asyncio
import base64
import json
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

from bench import data
from bench.files import __doc__ as described
from bench.files import client
from bench.jobs.gateway import torana
from bench.measuring import say
from bench.servers import Running, Server, log_in, running
from tests.support.postgres import free_port, running_postgres

PARTS = ("upload", "many", "download")
RANGES, CUTS, MANY, SMALL = 16, 10, 1_000, 1_000_000
QUERY = "{ simulations(first: 20) { nodes { id title owner { username } } } }"


def resident(pid: int, field: str) -> float:
    """Megabytes that a process has in memory (VmRSS), or had at most (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def at_least(pid: int) -> None:
    """Count the most memory from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


async def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    await asyncio.to_thread(work)
    return time.perf_counter() - began


def base(found: Running) -> str:
    parts = urlsplit(found.url)
    return f"{parts.scheme}://{parts.netloc}"


@asynccontextmanager
async def bare(folder: Path) -> AsyncIterator[Running]:
    command = (sys.executable, "-m", "uvicorn", "bench.files.bare:app", "--port", "{port}", "--log-level", "warning",
               "--loop", "uvloop", "--http", "httptools")  # fmt: skip
    async with running(
        Server("bare", command, {"BARE_TARGET": str(folder / "bare.bin")}, path="/"), "", folder
    ) as found:
        yield found


async def upload(gateways: list[Running], bearer: str, folder: Path, size: int, rounds: int) -> None:
    source, urls = client.Source(size), [base(one) for one in gateways]
    rates: dict[str, list[float]] = {"Torana": [], "bare": []}
    idle = [resident(one.pid, "VmRSS") for one in gateways]
    for one in gateways:
        at_least(one.pid)
    async with bare(folder) as peer:
        for number in range(rounds):
            for name, work in (
                ("bare", lambda: client.put(base(peer), source)),
                ("Torana", lambda: client.upload(urls, bearer, source, CUTS)),
            ):
                rates[name].append(size / 1e6 / await timed(work))
                say(f"upload {number + 1}: {name} {rates[name][-1]:.0f} MB/s")
                await asyncio.sleep(size / 2e8)  # the check after the last byte is over
    more = [resident(one.pid, "VmHWM") - before for one, before in zip(gateways, idle, strict=True)]
    shares = [own / floor for own, floor in zip(rates["Torana"], rates["bare"], strict=True)]
    print(
        f"| upload of {size / 1e9:g} GB, {CUTS} cuts, 2 gateways | {statistics.median(rates['Torana']):.0f} MB/s | "
        f"{statistics.median(rates['bare']):.0f} MB/s | {statistics.median(shares):.2f} | "
        f"+{max(more):.0f} MB of memory |",
        flush=True,
    )


async def many(gateway: Running, bearer: str) -> None:
    """Queries on one connection, before and while a thousand uploads come."""

    async def rate(until: asyncio.Event | None) -> float:
        began, asked = time.perf_counter(), 0
        answers = await asyncio.to_thread(client.connection, base(gateway))

        def ask() -> None:
            answers.request("POST", "/graphql", json.dumps({"query": QUERY}),
                            {"Content-Type": "application/json", "Authorization": bearer})  # fmt: skip
            answer = answers.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()

        while time.perf_counter() - began < 3 if until is None else not until.is_set():
            await asyncio.to_thread(ask)
            asked += 1
        answers.close()
        return asked / (time.perf_counter() - began)

    alone = await rate(None)
    over, began = asyncio.Event(), time.perf_counter()
    asking = asyncio.create_task(rate(over))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.files.crowd", base(gateway), bearer, str(MANY), str(SMALL),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, _ = await process.communicate()
    over.set()
    took, during, statuses = time.perf_counter() - began, await asking, json.loads(told)
    print(
        f"| {MANY:,} uploads of 1 MB at once | {MANY / took:.0f} uploads/s, {statuses} | | | "
        f"queries by others {alone:.0f} -> {during:.0f}/s: {during / alone:.2f} |",
        flush=True,
    )


async def download(gateway: Running, bearer: str, folder: Path, files: Path, size: int, rounds: int) -> None:
    nginx = shutil.which("nginx")
    path = await asyncio.to_thread(client.upload, [base(gateway)], bearer, client.Source(size), 0)
    url, digest = await _address(base(gateway), bearer, path.rpartition("/")[2])
    headers = {"Authorization": bearer}
    rates: dict[str, list[float]] = {"Torana": [], "nginx": []}
    with ExitStack() as stack:
        peer = "" if nginx is None else stack.enter_context(_nginx(nginx, folder, files / "blobs" / digest[:2]))
        for number in range(rounds):
            for name, address in (("nginx", f"{peer}/{digest}"), ("Torana", url)):
                if name == "nginx" and not peer:
                    continue
                given = headers if name == "Torana" else {}
                rates[name].append(
                    size / 1e6 / await timed(lambda a=address, g=given: client.fetch(a, size, RANGES, g))
                )
                say(f"download {number + 1}: {name} {rates[name][-1]:.0f} MB/s")
    own = statistics.median(rates["Torana"])
    floor = statistics.median(rates["nginx"]) if rates["nginx"] else float("nan")
    print(
        f"| download of {size / 1e9:g} GB, {RANGES} ranges | {own:.0f} MB/s | {floor:.0f} MB/s | {own / floor:.2f} | |",
        flush=True,
    )


async def _address(url: str, bearer: str, key: str) -> tuple[str, str]:
    """The address of an upload's file, once it is READY, and its digest."""
    id = base64.b64encode(f"Upload:{key}".encode()).decode()
    query = f'{{upload(id:"{id}"){{file{{downloadUrl digest state}}}}}}'
    while True:
        asking = client.connection(url)
        asking.request("POST", "/graphql", json.dumps({"query": query}),
                       {"Content-Type": "application/json", "Authorization": bearer})  # fmt: skip
        file = json.loads(asking.getresponse().read())["data"]["upload"]["file"]
        asking.close()
        if file and file["state"] == "READY":
            parts = urlsplit(file["downloadUrl"])
            return f"{url}{parts.path}", file["digest"]
        await asyncio.sleep(0.2)


class _nginx:
    """nginx with `sendfile` over a folder, in the foreground; its URL."""

    def __init__(self, binary: str, folder: Path, root: Path) -> None:
        self._port = free_port()
        (folder / "nginx").mkdir(exist_ok=True)
        configuration = folder / "nginx" / "nginx.conf"
        configuration.write_text(
            f"user root; worker_processes 1; daemon off; pid {folder}/nginx/pid; error_log {folder}/nginx/error.log;\n"
            "events { worker_connections 256; }\n"
            f"http {{ access_log off; sendfile on; tcp_nopush on; server {{ listen 127.0.0.1:{self._port}; "
            f"root {root}; }} }}\n"
        )
        self._command = [binary, "-c", str(configuration), "-p", str(folder / "nginx")]

    def __enter__(self) -> str:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        return f"http://127.0.0.1:{self._port}"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


async def run(server: str, folder: Path, parts: list[str], size: int, rounds: int) -> None:
    url, files = await data.create(server), folder / "files"
    await data.fill(url, 2_000)
    keys = f"bench:{secrets.token_urlsafe(48)}"
    given = {"TORANA_FILES_DIR": str(files), "TORANA_DISPATCH": "off", "TORANA_DATA_DIR": str(folder)}
    async with (
        running(torana(keys, **given), url, folder) as first,
        running(torana(keys, **given), url, folder) as other,
    ):
        bearer = dict(await log_in(first.url))["Authorization"]
        print("| what | Torana | beside | share | |", "|---|---:|---:|---:|---|", sep="\n", flush=True)
        if "upload" in parts:
            await upload([first, other], bearer, folder, size, rounds)
        if "many" in parts:
            await many(first, bearer)
        if "download" in parts:
            await download(first, bearer, folder, files, size, rounds)
    await data.drop(server)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.files", description=described)
    parser.add_argument("--only", choices=PARTS, action="append", help="one part")
    parser.add_argument("--bytes", type=int, default=1_000_000_000, help="of the large file (default 1 GB)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (default 3)")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torana-files-")))
        server = stack.enter_context(running_postgres())
        uvloop.run(run(server, folder, given.only or list(PARTS), given.bytes, given.rounds))


if __name__ == "__main__":
    main()
