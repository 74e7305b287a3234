"""Administration commands. They run operations of the schema on the gateway's database."""

import typer

from gateway.commands.administration.audit import audit
from gateway.commands.administration.challenges import challenges
from gateway.commands.administration.evaluators import evaluators
from gateway.commands.administration.groups import groups
from gateway.commands.administration.importing import imports
from gateway.commands.administration.jobs import clusters, jobs, simulations
from gateway.commands.administration.leaderboards import leaderboards
from gateway.commands.administration.locks import writes
from gateway.commands.administration.login_sessions import users
from gateway.commands.administration.places import projects, sites
from gateway.commands.administration.roles import roles
from gateway.commands.administration.submissions import submissions
from gateway.commands.administration.tokens import tokens


def add_to(app: typer.Typer) -> None:
    for noun in (
        *(users, groups, roles, sites, projects, jobs, simulations, clusters),
        *(challenges, evaluators, leaderboards, submissions, tokens, audit, writes, imports),
    ):
        app.add_typer(noun)
