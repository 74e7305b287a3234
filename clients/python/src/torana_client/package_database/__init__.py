"""OpenAlchemy's package database, `open_alchemy.package_database`, over a gateway.

`get()` returns the facade; its functions, their results and their errors are those of the old package. `Database` tells
what is different, and why.

| variable | what it is |
| --- | --- |
| `TORANA_URL` | the address of the gateway |
| `TORANA_TOKEN` | the token of a service that acts for the users |
| `TORANA_AUTH_PROVIDER` | where the identities `sub` come from: `COGNITO` (without the variable) or `KEYCLOAK` |
| `TORANA_TIMEOUT` | seconds; 30 without the variable |

`STAGE` is not read: the address says which gateway it is.
"""

from functools import cache

from torana_client.package_database import exceptions, types
from torana_client.package_database.database import Database
from torana_client.package_database.settings import Settings

__all__ = ["Database", "Settings", "exceptions", "get", "types"]


@cache
def get() -> Database:
    """The facade for the gateway that the environment names, the same one each time.

    Raises `exceptions.ConfigurationError` for variables that are missing or wrong. The gateway is first asked by the
    first call.
    """
    return Settings.from_environment().database()
