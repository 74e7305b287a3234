"""An identity provider as the settings describe it, and what its claims and discovery document say."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from db.models import AuthProvider
from resolvers.failures import Unauthenticated
from resolvers.identity.principal import Kind


class Provider(BaseModel):
    """A provider as the settings describe it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    issuer: str
    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    audience: str = ""
    """The audience of access tokens; empty: the client id."""
    provider: Literal["KEYCLOAK", "COGNITO"] = "KEYCLOAK"
    scopes: str = "openid profile email"
    username_claim: str = "preferred_username"
    groups_claim: str = "groups"
    """Dots lead into objects: `realm_access.roles`."""
    groups: dict[str, str] = {}
    """For each value of the groups claim, the name of the user group that it puts a user into."""
    required: list[str] = []
    """Values of the groups claim, at least one of which is required; empty: none is."""
    sign_up: bool = False

    @field_validator("issuer")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        plain = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        if not plain and parts.scheme != "https":
            raise ValueError("an issuer begins with https://")
        if not parts.hostname or parts.query or parts.fragment or parts.username:
            raise ValueError("an issuer is an address without a user, a query or a fragment")
        return value

    def claimed(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """The values of the groups claim."""
        found = self._groups(claims)
        values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        return frozenset(value for value in values if isinstance(value, str))

    def tells_groups(self, claims: Mapping[str, Any]) -> bool:
        """Whether the claims have a groups claim; access tokens may have none."""
        return self._groups(claims) is not None

    def _groups(self, claims: Mapping[str, Any]) -> Any:
        found: Any = claims.get(self.groups_claim)
        if found is None:
            found = claims
            for step in self.groups_claim.split("."):
                found = found.get(step) if isinstance(found, Mapping) else None
        return found

    def admit(self, claims: Mapping[str, Any]) -> None:
        """Raise UNAUTHENTICATED for an identity without any of the required groups."""
        if self.required and not self.claimed(claims) & set(self.required):
            raise Unauthenticated("the identity is in none of the groups that may use this gateway")


@dataclass(frozen=True, slots=True)
class External:
    """What an access token of a provider says: the subject, and when the token expires."""

    provider: AuthProvider
    subject: str
    expires_at: datetime

    @property
    def kind(self) -> Kind:
        return Kind.USER


@dataclass(frozen=True, slots=True)
class Metadata:
    """The addresses in a provider's discovery document."""

    authorization: str
    token: str
    keys: str
    posts_secret: bool
    """Whether the client secret goes into the body, because the provider takes no header."""


class Unreachable(Exception):
    """A provider can't be reached, or gives a wrong answer. The message quotes nothing of the answer."""
