"""Many uploads at once, from one process: `python -m bench.files.crowd URL AUTHORIZATION NUMBER BYTES`. Prints how many
answers had which status."""

import asyncio
import json
import os
import sys
from collections import Counter
from urllib.parse import urlsplit

import uvloop

from bench.files.client import META


async def one(host: str, port: int, authorization: str, content: bytes) -> int:
    """Begin an upload and send its bytes on one connection; the last status."""
    reader, writer = await asyncio.open_connection(host, port)
    own = f"Host: {host}:{port}\r\nTus-Resumable: 1.0.0\r\nAuthorization: {authorization}\r\n"
    begin = f"Upload-Length: {len(content)}\r\nUpload-Metadata: {META}\r\nContent-Length: 0\r\n"
    writer.write(f"POST /uploads HTTP/1.1\r\n{own}{begin}\r\n".encode())
    status, headers = await _answer(reader)
    if status == 201:
        offset = "Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n"
        head = f"PATCH {headers['location']} HTTP/1.1\r\n{own}{offset}Content-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        await writer.drain()
        status, _ = await _answer(reader)
    writer.close()
    return status


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    await reader.readexactly(int(headers.get("content-length", "0")))
    return int(lines[0].split()[1]), headers


async def main() -> None:
    url, authorization, number, size = sys.argv[1:5]
    parts, content = urlsplit(url), os.urandom(int(size))
    host, port = parts.hostname or "", parts.port or 80
    sending = (one(host, port, authorization, content[n % 100 :] + content[: n % 100]) for n in range(int(number)))
    told = await asyncio.gather(*sending, return_exceptions=True)
    print(json.dumps(Counter(str(status if isinstance(status, int) else type(status).__name__) for status in told)))


if __name__ == "__main__":
    uvloop.run(main())
