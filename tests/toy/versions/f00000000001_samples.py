"""Samples, and the devices that measure them

Revision ID: f00000000001
Revises: bd3a714d97f0
"""

from alembic import op

from tests.toy.model import Sample, SampleDevice

revision = "f00000000001"
down_revision = "bd3a714d97f0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for model in (Sample, SampleDevice):
        model.__table__.create(op.get_bind())
