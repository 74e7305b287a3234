"""A client of Torana, the GraphQL gateway for research platforms.

`Client` and `AsyncClient` send operations. What goes wrong is a `ToranaError`, of a class of its own for each code.
`torana_client.package_database` is the facade of OpenAlchemy's package database over a gateway.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torana_client.async_client import AsyncClient
    from torana_client.client import Client
    from torana_client.errors import (
        BadRequest,
        ClientTooOld,
        Conflict,
        Dependency,
        DocumentNotTrusted,
        Forbidden,
        InternalError,
        Invalid,
        LimitExceeded,
        Locked,
        NotFound,
        Quota,
        RateLimited,
        State,
        Timeout,
        TokenExpired,
        ToranaError,
        Unauthenticated,
        Unavailable,
        Unconfirmed,
    )

__all__ = [
    "AsyncClient",
    "BadRequest",
    "Client",
    "ClientTooOld",
    "Conflict",
    "Dependency",
    "DocumentNotTrusted",
    "Forbidden",
    "InternalError",
    "Invalid",
    "LimitExceeded",
    "Locked",
    "NotFound",
    "Quota",
    "RateLimited",
    "State",
    "Timeout",
    "TokenExpired",
    "ToranaError",
    "Unauthenticated",
    "Unavailable",
    "Unconfirmed",
]
_MODULES = {"AsyncClient": "async_client", "Client": "client"}


def __dir__() -> list[str]:
    return [*__all__, *globals()]


def __getattr__(name: str) -> Any:
    """A name of the package, imported when it is first asked for: pytest imports the package in every session."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
