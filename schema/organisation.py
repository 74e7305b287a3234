"""Sites, projects and who belongs to them."""

from typing import TYPE_CHECKING, Annotated

import strawberry

from db import models
from resolvers.paging import Order
from schema.declarations import Orders
from schema.fields import column, node, related
from schema.lists import connection, contains
from schema.nodes import Connection, Node
from schema.scalars import enum

if TYPE_CHECKING:
    from schema.accounts import User
    from schema.sessions import Session
    from schema.simulations import Simulation

ProjectRole = enum(
    models.ProjectRole,
    "What a member may do in a project.",
    USER="Takes part: reads everything in it, adds sessions and simulations.",
    ADMIN="Administers it and its members.",
)

PROJECT_ORDERS = Orders("ProjectOrder", "Orders of projects.", NAME=(Order(models.Project.name), "By name."))
SITE_ORDERS = Orders("SiteOrder", "Orders of sites.", NAME=(Order(models.Site.name), "By name."))
SESSIONS_OF = Orders(
    "ProjectSessionOrder",
    "Orders of a project's sessions.",
    NEWEST=(Order(models.Session.starts_at, descending=True), "The latest start first."),
    OLDEST=(Order(models.Session.starts_at), "By start."),
)


@node(models.Site)
class Site(Node):
    """A place that runs projects: a hospital, a laboratory."""

    name: str = column("What it is called.")
    two_factor_required: bool = column("Whether its users need a second factor.")
    projects: Connection["Project"] = connection(
        models.Site.projects, "Its projects that you may see.", orders=PROJECT_ORDERS
    )


@node(models.Project)
class Project(Node):
    """Work that people share: its members see its sessions and simulations."""

    name: str = column("What it is called.")
    enabled: bool = column("Whether work goes on in it.")
    description: str | None = column("What it is about.")
    site: Site | None = related(models.Project.site, "The site that runs it.")
    memberships: Connection["Membership"] = connection(
        models.Project.memberships,
        "Who belongs to it.",
        orders=Orders(
            "ProjectMembershipOrder",
            "Orders of a project's members.",
            OLDEST=(Order(models.Membership.id), "By the time of joining."),
        ),
    )
    sessions: Connection[Annotated["Session", strawberry.lazy("schema.sessions")]] = connection(
        models.Project.sessions, "Its sessions.", orders=SESSIONS_OF
    )
    simulations: Connection[Annotated["Simulation", strawberry.lazy("schema.simulations")]] = connection(
        models.Project.simulations,
        "Its simulations.",
        orders=Orders(
            "ProjectSimulationOrder",
            "Orders of a project's simulations.",
            NEWEST=(Order(models.Simulation.created_at, descending=True), "The latest first."),
            OLDEST=(Order(models.Simulation.created_at), "By time."),
        ),
    )


@node(models.Membership)
class Membership(Node):
    """A user's part in a project."""

    role: ProjectRole = column("What the user may do there.")  # type: ignore[valid-type]
    user: Annotated["User", strawberry.lazy("schema.accounts")] | None = related(models.Membership.user, "Who.")
    project: Project | None = related(models.Membership.project, "Where.")


@strawberry.input(description="Which projects.")
class ProjectFilter:
    name: str | None = contains(models.Project.name, "Part of the name, in any case.")


@strawberry.type
class OrganisationQuery:
    sites: Connection[Site] = connection(models.Site, "The sites of your projects.", orders=SITE_ORDERS)
    projects: Connection[Project] = connection(
        models.Project, "Your projects.", orders=PROJECT_ORDERS, filter=ProjectFilter
    )
