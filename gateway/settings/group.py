"""What groups of settings have in common."""

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """Settings that go together. Each field is called as its variable, in lower case and without `TORANA_`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SettingsError(Exception):
    """A setting is missing or wrong; the message says which, and what is allowed."""
