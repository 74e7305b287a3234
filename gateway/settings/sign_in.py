"""Settings of signing in: keys and tokens, passwords, identity providers, and who may make an account."""

from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from gateway.settings.group import Group, SettingsError
from resolvers.identity.password_rules import Leaked
from resolvers.identity.providers import Provider
from resolvers.identity.tokens import MINIMUM
from resolvers.spelling import between_commas

HOW_TO_MAKE_A_KEY = "python3 -c 'import secrets; print(\"k1:\" + secrets.token_urlsafe(48))'"


class SignInSettings(Group):
    secret_keys: SecretStr = Field(
        SecretStr(""),
        description=f"Keys that sign tokens, as id:secret, comma-separated; the first signs, all verify. Make one: {HOW_TO_MAKE_A_KEY}",
    )
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
    sign_up: bool = Field(False, description="Whether anyone may make an account, with a confirmed e-mail address.")
    certificate_header: str = Field(
        "",
        pattern="^[A-Za-z0-9-]*$",
        description="The header in which a TLS proxy tells the certificate of a device, such as Client-Cert; it must remove it from what clients send.",
    )
    register_device_types: bool = Field(
        False, description="Whether devices that register themselves may be of types that are not known yet."
    )

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
        """Refuse providers with the same name, issuer or kind: a subject is unique at its issuer, and stored with the
        kind."""
        for what in ("name", "issuer", "provider"):
            if len({getattr(provider, what) for provider in value}) < len(value):
                raise ValueError(f"two providers have the same {what}")
        return value

    @property
    def keys(self) -> dict[str, bytes]:
        """The checked key ring; raises SettingsError with how to make a key."""
        found: dict[str, bytes] = {}
        for part in between_commas(self.secret_keys.get_secret_value()):
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
