"""The clause of a live credential: neither revoked nor expired."""

from typing import Any

import sqlalchemy as sa

from db.models import Credential
from db.types import now

LIVE: Any = sa.and_(
    Credential.revoked_at.is_(None), sa.or_(Credential.expires_at.is_(None), Credential.expires_at > now())
)
"""Neither revoked nor expired."""
