"""Commands for those who run a gateway: over the operations of the schema, on the gateway's database."""

import typer

from gateway.administration.audit import audit
from gateway.administration.groups import groups
from gateway.administration.jobs import clusters, jobs, simulations
from gateway.administration.locks import writes
from gateway.administration.places import projects, sites
from gateway.administration.roles import roles
from gateway.administration.tokens import tokens
from gateway.administration.users import users


def add_to(app: typer.Typer) -> None:
    for noun in (users, groups, roles, sites, projects, jobs, simulations, clusters, tokens, audit, writes):
        app.add_typer(noun)
