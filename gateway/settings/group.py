"""The base class of all groups of settings, and the error of a setting that is missing or wrong."""

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """A group of settings. Each field is named as its variable, in lower case and without `TORANA_`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SettingsError(Exception):
    """A setting is missing or wrong; the message says which, and what is allowed."""
