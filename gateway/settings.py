"""All settings of a gateway, read once and passed down."""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from resolvers.keyring import MINIMUM

FILE = "TORANA_SETTINGS"
"""Names a TOML file with settings by their names in lower case, without the prefix. Variables win over it."""

HOW_TO_MAKE_A_KEY = "python3 -c 'import secrets; print(\"k1:\" + secrets.token_urlsafe(48))'"

Names = Annotated[list[str], NoDecode]


class Settings(BaseSettings):
    """One field for each `TORANA_...` variable; `torana settings` prints them with these descriptions."""

    model_config = SettingsConfigDict(env_prefix="TORANA_", extra="forbid", frozen=True)

    database_url: str = Field(
        "",
        description="postgresql://user:password@host/name, or sqlite:///path; by default an SQLite file in the data folder.",
    )
    data_dir: Path = Field(Path("data"), description="The folder for the SQLite file and the working folders of tasks.")
    secret_keys: SecretStr = Field(
        SecretStr(""),
        description=f"Keys that sign tokens, as id:secret, comma-separated; the first signs, all verify. Make one: {HOW_TO_MAKE_A_KEY}",
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on.")
    allowed_hosts: Names = Field(["*"], description="Host headers to answer, comma-separated; * for any.")
    allowed_origins: Names = Field(
        [], description="Origins of other sites whose pages may use the gateway, comma-separated."
    )
    worker_url: str = Field(
        "", description="The address at which workers reach the gateway; by default this machine and port."
    )
    explorer: bool = Field(True, description="Whether GET /graphql shows the explorer page.")
    operation_timeout: float = Field(
        15.0, gt=0, description="Seconds for one query or mutation, and for one SQL statement."
    )
    body_limit: int = Field(1_000_000, gt=0, description="Bytes of a request.")
    worker_body_limit: int = Field(
        100_000_000, gt=0, description="Bytes of a request of a worker, which delivers results."
    )
    max_tokens: int = Field(2_000, gt=0, description="Tokens of a document.")
    max_depth: int = Field(20, gt=0, description="Fields within fields of an operation.")
    max_cost: int = Field(
        50_000, gt=0, description="Cost of an operation: objects that it may give, an array of numbers as 20."
    )
    documents: int = Field(1_000, gt=0, description="Documents kept parsed and validated.")
    trusted_documents: Path | None = Field(
        None, description="A list of documents, made by torana documents add; when set, no others are run."
    )
    rendering: bool = Field(True, description="Answer from one statement where that can be; off: always row by row.")
    database_readers: int = Field(10, gt=0, description="Connections that read at once (PostgreSQL; SQLite has 4).")
    database_writers: int = Field(5, gt=0, description="Connections that write at once (PostgreSQL; SQLite has 1).")
    task_slots: int = Field(
        max(1, (os.cpu_count() or 2) - 1), ge=0, description="Tasks that run at once on this machine; 0 runs none."
    )
    task_attempts: int = Field(3, gt=0, description="Runs of a task that is killed before it counts as failed.")
    task_lease: float = Field(30.0, gt=0, description="Seconds after which a silent task is given up.")
    max_tasks: int = Field(1_000, gt=0, description="Tasks of one job.")
    access_minutes: float = Field(10.0, gt=0, description="Minutes for which an access token holds.")
    refresh_days: float = Field(30.0, gt=0, description="Days for which a refresh token holds.")
    password_threads: int = Field(2, gt=0, description="Passwords hashed at once; each takes 46 MiB and a core.")
    log_format: str = Field(
        "auto",
        pattern="^(auto|text|json)$",
        description="text for people, json for machines; auto is text on a terminal, json elsewhere.",
    )

    @field_validator("allowed_hosts", "allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources = [init_settings, env_settings]
        if named := os.environ.get(FILE):
            sources.append(TomlConfigSettingsSource(settings_cls, toml_file=Path(named)))
        return tuple(sources)

    @property
    def database(self) -> str:
        """The URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'torana.db'}"

    @property
    def reports_to(self) -> str:
        """Where workers reach the gateway."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104
        return self.worker_url.rstrip("/") or f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def keys(self) -> dict[str, bytes]:
        """The key ring, checked; raises SettingsError with how to make a key."""
        found: dict[str, bytes] = {}
        for part in filter(None, map(str.strip, self.secret_keys.get_secret_value().split(","))):
            name, _, secret = part.partition(":")
            if not name or not secret:
                raise SettingsError("TORANA_SECRET_KEYS must be id:secret, comma-separated")
            if len(secret) < MINIMUM or len(set(secret)) < 12:
                raise SettingsError(
                    f"the key {name!r} in TORANA_SECRET_KEYS is weak: at least {MINIMUM} random characters are needed.\n"
                    f"Make one: {HOW_TO_MAKE_A_KEY}"
                )
            found[name] = secret.encode()
        if not found:
            raise SettingsError(f"TORANA_SECRET_KEYS is not set: it signs the tokens.\nMake one: {HOW_TO_MAKE_A_KEY}")
        return found


class SettingsError(Exception):
    """A setting is missing or wrong; the message says which, and what is allowed."""


def load(**given: Any) -> Settings:
    """The settings from the environment and the file, with `given` above both."""
    try:
        if named := os.environ.get(FILE):
            tomllib.loads(Path(named).read_text())
        return Settings(**given)
    except ValidationError as error:
        wrong = "\n".join(f"TORANA_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise SettingsError(wrong) from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{FILE}: {error}") from None
