"""Specifications of data models, and their versions."""

from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
import strawberry

from db import models
from resolvers.reading.conditions import Where
from resolvers.reading.paging import Order
from schema.fields.connections import connection, contains
from schema.fields.declarations import Orders
from schema.fields.fields import column, found, node, related
from schema.fields.nodes import Connection, Node
from schema.fields.scalars import enum

if TYPE_CHECKING:
    from schema.types.accounts.users import User

SpecLanguage = enum(models.SpecLanguage, "The language that a spec is written in.", JSON="JSON.", YAML="YAML.")


@node(models.Spec)
class Spec(Node):
    """An OpenAPI specification of data models, in versions."""

    name: str = column("The name as its owner writes it.")
    canonical_name: str = column("The name by which it is found, unique for its owner.")
    owner: Annotated["User", strawberry.lazy("schema.types.accounts.users")] | None = related(
        models.Spec.owner, "Whose it is."
    )
    latest_version: Annotated["SpecVersion", strawberry.lazy("schema.types.specs")] | None = related(
        models.Spec.latest_version, "The version that was stored last."
    )
    versions: Connection["SpecVersion"] = connection(
        models.Spec.versions,
        "Its versions.",
        orders=Orders(
            "SpecVersionOrder",
            "Orders of a spec's versions.",
            NEWEST=(Order(models.SpecVersion.updated_at, descending=True), "The one put last first."),
            OLDEST=(Order(models.SpecVersion.updated_at), "By the time they were put."),
        ),
    )


@node(models.SpecVersion)
class SpecVersion(Node):
    """One version of a spec."""

    name: str = column("The version, such as 1.2.0; unique within the spec.")
    title: str | None = column("The title in the spec.")
    description: str | None = column("The description in the spec.")
    model_count: int = column("How many data models it defines.")
    language: SpecLanguage = column("The language of its source.")  # type: ignore[valid-type]
    source: str = column("The text of the spec.")
    spec: Spec | None = related(models.SpecVersion.spec, "The spec.")


@strawberry.input(description="Which specs.")
class SpecFilter:
    name: str | None = contains(models.Spec.canonical_name, "Part of the name, in any case.")


def _of_this_name(entity: Any, suffix: str, _: Any) -> list[Any]:
    named = entity.canonical_name == sa.bindparam(f"name{suffix}")
    return [named, entity.user_id == sa.bindparam("me", type_=entity.user_id.type)]


def _spec(name: Annotated[str, strawberry.argument(description="The canonical name.")]) -> Where:
    return Where(_of_this_name, {"name": name})


@strawberry.type
class SpecsQuery:
    specs: Connection[Spec] = connection(
        models.Spec,
        "Your specs.",
        orders=Orders("SpecOrder", "Orders of specs.", NAME=(Order(models.Spec.canonical_name), "By name.")),
        filter=SpecFilter,
    )

    spec: Spec | None = found(models.Spec, "Your spec of this name, or null.", _spec)
