"""Settings of the server: its addresses, its clients, and the limits of requests and connections."""

from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from gateway.settings.group import Group
from resolvers.spelling import between_commas

Names = Annotated[list[str], NoDecode]


class ServerSettings(Group):
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on.")
    allowed_hosts: Names = Field(["*"], description="Host headers to answer, comma-separated; * for any.")
    allowed_origins: Names = Field(
        [], description="Origins of other sites whose pages may use the gateway, comma-separated."
    )
    public_url: str = Field(
        "",
        description="The address at which users reach the gateway, for links in mails; by default its host and port.",
    )
    worker_url: str = Field(
        "", description="The address at which workers reach the gateway; by default this machine and port."
    )
    cookie_secure: bool = Field(
        False,
        description="Whether browsers send the cookie of a session over HTTPS only, also when requests come by HTTP from a proxy.",
    )
    explorer: bool = Field(True, description="Whether GET /graphql shows the explorer page.")
    log_format: str = Field(
        "auto",
        pattern="^(auto|text|json)$",
        description="text for people, json for machines; auto is text on a terminal, json elsewhere.",
    )
    max_connections: int = Field(2_000, gt=0, description="Connections at once, with event streams and WebSockets.")
    header_timeout: float = Field(10.0, gt=0, description="Seconds for the head of a request.")
    body_timeout: float = Field(
        30.0, gt=0, description="Seconds for the body of a GraphQL request; workers may take longer."
    )
    stall_timeout: float = Field(
        30.0, gt=0, description="Seconds without a byte of a body that comes, or of an answer that is read."
    )
    body_limit: int = Field(1_000_000, gt=0, description="Bytes of a request.")
    worker_body_limit: int = Field(
        100_000_000, ge=2_000_000, description="Bytes of a request of a worker, which delivers results."
    )

    @field_validator("allowed_hosts", "allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return between_commas(value) if isinstance(value, str) else value

    @field_validator("public_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("an address begins with https:// or http://")
        return value

    @property
    def reports_to(self) -> str:
        """The address at which workers reach the gateway."""
        return self.worker_url.rstrip("/") or f"http://{self._host}:{self.port}"

    @property
    def _host(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104
        return f"[{host}]" if ":" in host else host

    @property
    def reached_at(self) -> str:
        """The address at which users reach the gateway, without a slash at the end."""
        return self.public_url.rstrip("/") or f"http://{self._host}:{self.port}"
