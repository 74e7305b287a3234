"""Specifications of data models, and their versions."""

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from db import models
from schema.fields.fields import column, node, related
from schema.fields.nodes import Node
from schema.fields.scalars import enum
from schema.lists.connections import connection

if TYPE_CHECKING:
    pass

SpecLanguage = enum(models.SpecLanguage, "The language that a spec is written in.", JSON="JSON.", YAML="YAML.")


def _of_this_name(entity: Any, suffix: str, _: Any) -> list[Any]:
    named = entity.canonical_name == sa.bindparam(f"name{suffix}")
    return [named, entity.user_id == sa.bindparam("me", type_=entity.user_id.type)]


@node(
    models.Spec,
    found_by={"name": ("The canonical name of a spec of your own.", _of_this_name)},
    by="canonical_name",
    listed="Your specs.",
)
class Spec(Node):
    """An OpenAPI specification of data models, in versions."""

    name: str = column("The name as its owner writes it.", filter=True)
    canonical_name: str = column(
        "The name by which it is found, unique for its owner.", filter=True, order=True, search=True
    )
    owner = related(models.Spec.owner, "Whose it is.")
    latest_version = related(models.Spec.latest_version, "The version that was stored last.")
    versions = connection(models.Spec.versions, "Its versions.", order="-updated_at")


@node(models.SpecVersion)
class SpecVersion(Node):
    """One version of a spec."""

    name: str = column("The version, such as 1.2.0; unique within the spec.", filter=True)
    title: str | None = column("The title in the spec.")
    description: str | None = column("The description in the spec.")
    model_count: int = column("How many data models it defines.", filter=True, group=True)
    language: SpecLanguage = column("The language of its source.", filter=True, group=True)  # type: ignore[valid-type]
    source: str = column("The text of the spec.")
    spec = related(models.SpecVersion.spec, "The spec.", group=True)
