"""The settings of the facade, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, cast, get_args

from torana_client.client import Client
from torana_client.package_database.database import Database
from torana_client.package_database.exceptions import ConfigurationError
from torana_client.package_database.types import TProvider


@dataclass(frozen=True, slots=True)
class Settings:
    """Which gateway is asked, by whom, and where the identities of users come from."""

    url: str
    token: str = field(repr=False)
    provider: TProvider = "COGNITO"
    timeout: float = 30.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings of the variables `TORANA_...`. Raises ConfigurationError for those that are missing or wrong."""
        given = {name: environment.get(f"TORANA_{name}", "").strip() for name in ("URL", "TOKEN")}
        for name, value in given.items():
            if not value:
                raise ConfigurationError(f"set TORANA_{name}")
        provider, timeout = (environment.get(f"TORANA_{name}", "").strip() for name in ("AUTH_PROVIDER", "TIMEOUT"))
        if provider and provider not in get_args(TProvider):
            raise ConfigurationError(f"TORANA_AUTH_PROVIDER is COGNITO or KEYCLOAK, not {provider[:60]!r}")
        try:
            seconds = float(timeout or 30)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            raise ConfigurationError(f"TORANA_TIMEOUT is a number of seconds, not {timeout[:60]!r}")
        return cls(given["URL"], given["TOKEN"], cast("TProvider", provider or "COGNITO"), seconds)

    def database(self) -> Database:
        """The facade with these settings. Raises ConfigurationError for an address that can be none."""
        try:
            client = Client(self.url, token=self.token, timeout=self.timeout)
        except ValueError as error:
            raise ConfigurationError(f"TORANA_URL: {error}") from None
        return Database(client, self.provider)
