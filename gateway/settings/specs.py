"""Settings of specs."""

from pydantic import AnyHttpUrl, Field

from gateway.settings.group import Group


class SpecSettings(Group):
    package_upstream: AnyHttpUrl | None = Field(
        None,
        description="A package index, such as https://host/simple, to which names are redirected that are not here.",
    )
    package_requests: float = Field(
        100,
        ge=0,
        description="Requests of one credential to the package index, a second; a burst has twice as many. 0: no bound.",
    )
    spec_models: int = Field(
        10, ge=0, description="Data models of the latest versions of all specs of a user; 0 for any number."
    )
