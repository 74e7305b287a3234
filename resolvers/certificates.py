"""The SSH keys and certificates with which users reach clusters, sealed."""

from uuid import UUID

import orjson
import sqlalchemy as sa

from db.models import Credential, CredentialKind
from db.types import now
from jobs.engine import Login
from resolvers.context import Services


async def login_of(services: Services, user: UUID) -> Login | None:
    """What a user left, while it holds."""
    held = sa.select(Credential.sealed).where(
        Credential.user_id == user,
        Credential.kind == CredentialKind.SSH_CERTIFICATE,
        Credential.revoked_at.is_(None),
        sa.or_(Credential.expires_at.is_(None), Credential.expires_at > now()),
    )
    for row in await services.database.rows(held.order_by(Credential.id.desc()).limit(1)):
        text = services.keys.unseal(row.sealed)
        return None if text is None else Login(**orjson.loads(text))
    return None
