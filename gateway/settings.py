"""All settings of a gateway, read once and passed down."""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from gateway.background.engines import read_clusters
from gateway.background.transports import read_sender, read_smtp, read_webhooks
from jobs.programs import Registry, configured
from resolvers.identity.hashing import Leaked
from resolvers.identity.providers import Provider
from resolvers.identity.tokens import MINIMUM

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
    redis_url: SecretStr = Field(
        SecretStr(""),
        description="A redis that brings changes from one process to the others, as redis://host:6379/0; by default PostgreSQL does.",
    )
    redis_channel: str = Field("torana", description="The channel there; the same for all processes of a database.")
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
    header_timeout: float = Field(10.0, gt=0, description="Seconds for the head of a request.")
    body_timeout: float = Field(
        30.0, gt=0, description="Seconds for the body of a GraphQL request; workers may take longer."
    )
    stall_timeout: float = Field(
        30.0, gt=0, description="Seconds without a byte of a body that comes, or of an answer that is read."
    )
    max_connections: int = Field(2_000, gt=0, description="Connections at once, with event streams and WebSockets.")
    max_tokens: int = Field(2_000, gt=0, description="Tokens of a document.")
    max_depth: int = Field(20, gt=0, description="Fields within fields of an operation.")
    max_cost: int = Field(
        50_000, gt=0, description="Cost of an operation: objects that it may give, an array of numbers as 20."
    )
    documents: int = Field(
        30_000_000, gt=0, description="Bytes of documents that are kept parsed and validated, with their plans."
    )
    trusted_documents: Path | None = Field(
        None, description="A list of documents, made by torana documents add; when set, no others are run."
    )
    rendering: bool = Field(True, description="Answer from one statement where that can be; off: always row by row.")
    database_readers: int = Field(10, gt=0, description="Connections that read at once (PostgreSQL; SQLite has 4).")
    database_writers: int = Field(5, gt=0, description="Connections that write at once (PostgreSQL; SQLite has 1).")
    task_slots: int = Field(
        max(1, (os.cpu_count() or 2) - 1), ge=0, description="Tasks that run at once on this machine; 0 runs none."
    )
    dispatch: bool = Field(
        True,
        description="Whether this process hands tasks to engines and merges results; off for one that only answers.",
    )
    programs: list[dict[str, Any]] = Field(
        [], description="Simulation programs, as JSON or [[programs]] tables: name, command, and more in jobs.md."
    )
    clusters: list[dict[str, Any]] = Field(
        [], description="Clusters that run jobs, as JSON or [[clusters]] tables: name, platform, and more in jobs.md."
    )
    task_attempts: int = Field(3, gt=0, description="Runs of a task that is killed before it counts as failed.")
    task_lease: float = Field(30.0, gt=0, description="Seconds after which a silent task of this machine is given up.")
    cluster_lease: float = Field(
        120.0, gt=0, description="The same of a cluster, whose workers may find no gateway for a while."
    )
    task_silence: float = Field(
        3_600.0, gt=0, description="Seconds after which a program that says nothing is ended, and its task has failed."
    )
    max_tasks: int = Field(1_000, gt=0, description="Tasks of one job.")
    access_minutes: float = Field(10.0, gt=0, description="Minutes for which an access token holds.")
    refresh_days: float = Field(30.0, gt=0, description="Days for which a refresh token holds.")
    sign_in_attempts: int = Field(
        5, gt=0, description="Passwords tried for one account from one address within two minutes."
    )
    account_attempts: int = Field(
        100, gt=0, description="Passwords tried for one account within an hour from addresses where it did not sign in."
    )
    password_threads: int = Field(2, gt=0, description="Passwords hashed at once; each takes 46 MiB and a core.")
    leaked_passwords: Path | None = Field(
        None,
        description="A file of passwords that are not taken, as haveibeenpwned.com gives them: sorted SHA-1 hashes.",
    )
    oidc: list[Provider] = Field(
        [],
        description="OpenID Connect providers, as JSON or [[oidc]] tables: name, issuer, client_id, and more in operating.md.",
    )
    register_device_types: bool = Field(
        False, description="Whether devices that register themselves may be of types that are not known yet."
    )
    public_url: str = Field(
        "",
        description="The address at which users reach the gateway, for links in mails; by default its host and port.",
    )
    sign_up: bool = Field(False, description="Whether anyone may make an account, with a confirmed e-mail address.")
    cookie_secure: bool = Field(
        False,
        description="Whether browsers send the cookie of a session over HTTPS only, also when requests come by HTTP from a proxy.",
    )
    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="The mail server, smtp://user:password@host:587?starttls=1 or smtps://...; a password wants TLS unless starttls=0.",
    )
    mail_from: str = Field(
        "",
        validate_default=True,
        description="The sender of mails, as torana@example.org or Torana <torana@example.org>.",
    )
    mail_log: bool = Field(
        False, description="Write mails that have no server to the log, with their links: for trying things out only."
    )
    chat_webhooks: SecretStr = Field(
        SecretStr(""),
        description="Incoming webhooks of Mattermost or Slack, as name=url, comma-separated; the chat called default is used where none is named.",
    )
    audit_days: float = Field(365.0, gt=0, description="Days for which audit events are kept.")
    notice_days: float = Field(30.0, gt=0, description="Days for which sent messages are kept.")
    simulation_days: float = Field(
        0.0, ge=0, description="Days after which simulations whose jobs have ended are deleted; 0 keeps them."
    )
    deleted_days: float = Field(30.0, gt=0, description="Days after which deleted simulations are removed for good.")
    log_format: str = Field(
        "auto",
        pattern="^(auto|text|json)$",
        description="text for people, json for machines; auto is text on a terminal, json elsewhere.",
    )

    @field_validator("allowed_hosts", "allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("smtp_url", "chat_webhooks")
    @classmethod
    def _read(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if text := value.get_secret_value():
            read_smtp(text) if info.field_name == "smtp_url" else read_webhooks(text)
        return value

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str, info: ValidationInfo) -> str:
        if value:
            read_sender(value)
        elif (server := info.data.get("smtp_url")) and server.get_secret_value():
            raise ValueError("a mail server is set, so a sender is needed")
        return value

    @field_validator("leaked_passwords")
    @classmethod
    def _sorted(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                Leaked(value)
            except OSError as error:
                raise ValueError(f"it can't be read: {error.strerror}") from None
        return value

    @field_validator("oidc")
    @classmethod
    def _apart(cls, value: list[Provider]) -> list[Provider]:
        """A subject is unique at its issuer, and stored with the kind of provider."""
        for what in ("name", "issuer", "provider"):
            if len({getattr(provider, what) for provider in value}) < len(value):
                raise ValueError(f"two providers have the same {what}")
        return value

    @field_validator("programs")
    @classmethod
    def _described(cls, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        Registry(map(configured, value))
        return value

    @field_validator("clusters")
    @classmethod
    def _reached(cls, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        read_clusters(value)
        return value

    @field_validator("public_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("an address begins with https:// or http://")
        return value

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
        return self.worker_url.rstrip("/") or f"http://{self._host}:{self.port}"

    @property
    def _host(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104
        return f"[{host}]" if ":" in host else host

    @property
    def reached_at(self) -> str:
        """Where users reach the gateway, without a slash at the end."""
        return self.public_url.rstrip("/") or f"http://{self._host}:{self.port}"

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
