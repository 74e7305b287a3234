"""The policies of all models, by area. What is declared here is what `docs/access.md` prints."""

from resolvers.access.policies import (
    accounts,
    challenges,
    clusters,
    devices,
    evaluators,
    files,
    groups,
    jobs,
    leaderboards,
    messages,
    organisation,
    services,
    sessions,
    settings,
    simulations,
    specs,
    submissions,
)  # fmt: skip
from resolvers.access.policy import declare

for _area in (
    accounts, messages, organisation, groups, devices, services, sessions, challenges,
    evaluators, submissions, leaderboards, specs, simulations, jobs,
    files, clusters, settings,
):  # fmt: skip
    declare(*_area.POLICIES)
