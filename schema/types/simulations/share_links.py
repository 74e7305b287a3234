"""Simulations shared by a link, which whoever has it may read until it expires or is deleted."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from db import models
from resolvers.simulations import share_links
from schema.fields.fields import Info, column, node, related
from schema.fields.inputs import deleting
from schema.fields.mutations import SIGNED_IN, mutation, written
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import key_of


@node(models.SimulationLink)
class SimulationLink(Node):
    """A link that shares a simulation with whoever has its secret. The secret is shown once, when the link is
    created."""

    label: str = column("The purpose of the link; may be empty.")
    expires_at: datetime = column("When it ends.", filter=True)
    last_used_at: datetime | None = column("When it was last used, to the minute.", filter=True)
    simulation = related(models.SimulationLink.simulation, "The simulation that it shares.")
    owner = related(models.SimulationLink.owner, "Who created it. It ends when their account does.")


@strawberry.type(description="A new link with its secret, which is shown only now.")
class IssuedSimulationLink:
    secret: str = strawberry.field(
        description="Whoever sends it in the header `Authorization: Bearer ...` reads the simulation, its results and "
        "how its jobs come on; what it was given and what its jobs said stays hidden. Keep it now: it is shown this "
        "once."
    )
    key: strawberry.Private[UUID]

    @strawberry.field(description="The link; null when you may not see it.")
    async def link(self, info: Info) -> SimulationLink | None:
        return await written(info, "SimulationLink", models.SimulationLink, self.key)  # type: ignore[no-any-return]


IssuedSimulationLinkResult = Annotated[
    IssuedSimulationLink | Problem,
    strawberry.union("IssuedSimulationLinkResult", description="What was created, or why not."),
]


@strawberry.type
class SimulationLinksMutation:
    @mutation(needs=SIGNED_IN)
    async def create_simulation_link(
        self,
        info: Info,
        simulation: Annotated[strawberry.ID, strawberry.argument(description="The simulation to share.")],
        label: Annotated[
            str,
            strawberry.argument(description=f"What it is for; at most {share_links.LABEL} characters."),
        ] = "",
        expires_at: Annotated[
            datetime | None,
            strawberry.argument(
                description=f"When it ends, at most {share_links.LONGEST.days} days from now; left out or null: "
                f"in {share_links.USUAL.days} days."
            ),
        ] = None,
    ) -> IssuedSimulationLinkResult:
        """Share a simulation by a link. Allowed to the owner of the simulation, superadmins."""
        key = key_of("Simulation", simulation, "simulation")
        made = await share_links.create(info.context, key, label, expires_at)
        return IssuedSimulationLink(secret=made.secret, key=made.credential)

    delete_simulation_link = deleting(
        models.SimulationLink, "SimulationLink", "Delete a link. Its secret stops working at once."
    )
