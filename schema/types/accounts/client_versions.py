"""Which versions of client programs may sign in."""

from typing import Annotated

import strawberry

from resolvers.organisation import client_versions
from schema.fields.fields import Info
from schema.fields.mutations import SIGNED_IN, mutation
from schema.fields.openness import OPEN
from schema.fields.problems import Problem


@strawberry.input(description="The program that signs in.")
class ClientInfo:
    name: str = strawberry.field(description="Its name.")
    version: str = strawberry.field(description="Its version, such as 1.4.2.")


@strawberry.type(description="The oldest version of a client program that may sign in.")
class ClientVersion:
    name: str = strawberry.field(description="The name of the program.")
    oldest: str = strawberry.field(description="The oldest version.")


ClientVersionResult = Annotated[
    ClientVersion | Problem, strawberry.union("ClientVersionResult", description="What is set, or why not.")
]
GivenClient = Annotated[
    ClientInfo | None,
    strawberry.argument(description="Who you are. A version that is too old is CLIENT_TOO_OLD."),
]


async def expect(info: Info, client: ClientInfo | None) -> None:
    """Raise for a client that is too old to sign in."""
    if client is not None:
        await client_versions.expect(info.context, client.name, client.version)


@strawberry.type
class ClientVersionsQuery:
    @strawberry.field(
        description="The oldest versions of client programs that may sign in, of those that have one.",
        metadata={OPEN: True},
    )
    async def client_versions(self, info: Info) -> list[ClientVersion]:
        found = await client_versions.oldest(info.context)
        return [ClientVersion(name=name, oldest=version) for name, version in found.items()]


@strawberry.type
class ClientVersionsMutation:
    @mutation(needs=SIGNED_IN)
    async def set_oldest_client(
        self,
        info: Info,
        name: Annotated[str, strawberry.argument(description="The name of the program.")],
        version: Annotated[str, strawberry.argument(description="The oldest version that may sign in.")],
    ) -> ClientVersionResult:
        """Say which version of a client program is the oldest that may sign in. Allowed to superadmins."""
        await client_versions.set_oldest(info.context, name, version)
        return ClientVersion(name=name, oldest=version)
