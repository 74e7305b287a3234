"""What the launcher and the first process inside say to each other, by a pair of sockets that the program never has.

| from | message | when |
| --- | --- | --- |
| inside | `pid` | the first process is there; this is its number outside |
| inside | `ready`, with the folders | the sandbox is made |
| launcher | `go` | it watches |
| inside | `status` | the program has ended |
| inside | `refused` | the sandbox, or the start of the program, failed, with a sentence |
"""

import json
import os
import socket
from typing import Any

FOLDERS = 3
"""/output, /tmp and /proc, in this order."""
_MOST = 4096


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def say(to: socket.socket, what: str, value: Any = None, folders: list[int] | None = None) -> None:
    """Send a message. Raises OSError when nobody is there."""
    socket.send_fds(to, [json.dumps([what, value]).encode()[:_MOST]], folders or [])


def hear(of: socket.socket) -> tuple[str, Any, list[int]]:
    """Wait for a message, which comes with its folders; it is empty when the other side is gone."""
    try:
        data, folders, _, _ = socket.recv_fds(of, _MOST, FOLDERS)
    except ConnectionError:
        return "", None, []
    what, value = json.loads(data) if data else ("", None)
    return what, value, folders


def gone(other: socket.socket) -> bool:
    """Whether the other side is gone."""
    try:
        return not other.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def told(error: OSError) -> str:
    """An error without the paths of this machine."""
    return error.strerror or os.strerror(error.errno or 0)
