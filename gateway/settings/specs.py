"""Settings of specs."""

from pydantic import Field

from gateway.settings.group import Group


class SpecSettings(Group):
    spec_models: int = Field(
        10, ge=0, description="Data models of the latest versions of all specs of a user; 0 for any number."
    )
