"""What commands share that ask a gateway over HTTP, as whoever has the key."""

import time
from typing import Annotated, Any

import httpx2
import typer

from gateway.commands.terminal import WRONG, fail

HERE = "http://127.0.0.1:8000"
Gateway = Annotated[str, typer.Option(envvar="TORANA_GATEWAY", help="The address.")]
Token = Annotated[str, typer.Option(envvar="TORANA_TOKEN", help="An API key's secret, or an access token.")]
PATIENCE = 300.0
"""Seconds for which a gateway that is away, or an answer that says so, is tried again."""
AGAIN = (408, 409, 423, 429, 460, 500, 502, 503, 504)


def connected(gateway: str, token: str) -> httpx2.Client:
    """A client of the gateway. Ends the command where the address or the token can be none."""
    if not token:
        fail("set TORANA_TOKEN to the secret of an API key of yours")
    if not gateway.startswith(("http://", "https://")):
        fail(f"the address of a gateway begins with http:// or https://, not {gateway[:60]}")
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.Client(base_url=gateway.rstrip("/"), headers=headers, timeout=60)


def ask(client: httpx2.Client, query: str, **variables: Any) -> Any:
    """The data of an operation, which is tried again while the gateway is away."""
    deadline, pause, told = time.monotonic() + PATIENCE, 0.5, False
    while True:
        why = ""
        try:
            answer = client.post("/graphql", json={"query": query, "variables": variables})
            body = answer.json()
            if not body.get("errors"):
                return body["data"]
            error = body["errors"][0]
            why = str(error["message"])
            if answer.status_code not in AGAIN and error["extensions"]["code"] not in ("UNAVAILABLE", "TIMEOUT"):
                fail(why, WRONG)
        except (httpx2.HTTPError, ValueError) as failure:
            why = why or f"the gateway at {client.base_url} does not answer: {type(failure).__name__}"
        if time.monotonic() > deadline:
            fail(why, WRONG)
        if not told:
            typer.echo(f"torana: {why}; trying again for {PATIENCE:.0f} s", err=True)
            told = True
        time.sleep(pause)
        pause = min(2 * pause, 10.0)
