"""Policies of simulations, their inputs, results and share links."""

from db.models import Estimator, Page, PageSlab, Simulation, SimulationLabel, SimulationLink, SimulationSetup
from resolvers.access.policy import Policy, Rules
from resolvers.access.rules import (
    ANY_USER,
    OWNER,
    OWNER_OF_SIMULATION,
    PROJECT_USER,
    SIMULATION_LINK,
    SUPERADMIN,
)  # fmt: skip

_INPUT: Rules = (OWNER_OF_SIMULATION, SUPERADMIN)

POLICIES = (
    Policy(
        model=Simulation,
        read=(OWNER, PROJECT_USER, SIMULATION_LINK),
        create=(ANY_USER,),
        update=(OWNER, SUPERADMIN),
        delete=(OWNER, SUPERADMIN),
        seen_with=(Simulation.jobs,),
        stays=(Simulation.user_id, Simulation.project_id, Simulation.session_id),
    ),
    Policy(
        model=SimulationSetup,
        through=SimulationSetup.simulation,
        fields=dict.fromkeys(("files", "project"), _INPUT),
        stays=(SimulationSetup.simulation_id,),
    ),
    Policy(model=SimulationLabel, through=SimulationLabel.simulation, stays=(SimulationLabel.simulation_id,)),
    Policy(
        model=SimulationLink,
        through=SimulationLink.simulation,
        read=(OWNER_OF_SIMULATION,),
        create=(OWNER_OF_SIMULATION, SUPERADMIN),
        delete=(OWNER_OF_SIMULATION, SUPERADMIN),
        goes_with=(SimulationLink.simulation_id,),
        stays=(SimulationLink.user_id,),
        principal=True,
    ),
    Policy(model=Estimator, through=Estimator.simulation, stays=(Estimator.simulation_id,)),
    Policy(model=Page, through=Page.estimator),
    Policy(model=PageSlab),
)
