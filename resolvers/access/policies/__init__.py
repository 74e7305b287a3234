"""The policies of all models, by area. What is declared here is what `docs/access.md` prints."""

from resolvers.access.policies import (
    accounts,
    challenges,
    clusters,
    devices,
    files,
    groups,
    jobs,
    messages,
    organisation,
    services,
    sessions,
    settings,
    simulations,
    specs,
)  # fmt: skip
from resolvers.access.policy import declare

for _area in (
    accounts, messages, organisation, groups, devices, services, sessions, challenges, specs, simulations, jobs,
    files, clusters, settings,
):  # fmt: skip
    declare(*_area.POLICIES)
