"""Settings of retention: for how many days events, messages and simulations are kept."""

from pydantic import Field

from gateway.settings.group import Group


class RetentionSettings(Group):
    audit_days: float = Field(365.0, gt=0, description="Days for which audit events are kept.")
    notice_days: float = Field(30.0, gt=0, description="Days for which sent messages are kept.")
    simulation_days: float = Field(
        0.0, ge=0, description="Days after which simulations whose jobs have ended are deleted; 0 keeps them."
    )
    deleted_days: float = Field(30.0, gt=0, description="Days after which deleted simulations are removed for good.")
