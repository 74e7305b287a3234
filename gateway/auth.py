"""The credentials of a request, or of a socket, make its principal."""

from resolvers.accounts import principal_of
from resolvers.context import Services
from resolvers.failures import Unauthenticated
from resolvers.principal import ANONYMOUS, Errand, Kind, Principal


async def authenticate(services: Services, authorization: str | None) -> Principal:
    """The principal of an `Authorization` header; anonymous without one, UNAUTHENTICATED for one that is no good."""
    if not authorization:
        return ANONYMOUS
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("the Authorization header must be: Bearer <access token>")
    said = services.keys.verify(token.strip())
    if isinstance(said, Errand):
        return Principal(kind=Kind.WORKER, errand=said)
    return await principal_of(services.database, said)
