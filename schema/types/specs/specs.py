"""Specifications of data models, their versions and the models of those."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from db import models
from resolvers.specs.names import sought
from schema.fields.declarations import FoundBy
from schema.fields.fields import column, computed, node, related
from schema.fields.nodes import Node
from schema.fields.scalars import enum
from schema.lists.connections import connection
from schema.types.simulations.simulations import NEWEST_JOB

SpecLanguage = enum(models.SpecLanguage, "The language that a spec is written in.", JSON="JSON.", YAML="YAML.")
SpecState = enum(
    models.SpecState,
    "What a spec is for.",
    DRAFT="It is being written: the package index does not have it.",
    ACTIVE="It is used.",
    DEPRECATED="It is used, and should no longer be: the package index says so.",
    ARCHIVED="It stays as it is: no version is put.",
)
SpecCompatibility = enum(
    models.SpecCompatibility,
    "What a version must keep of the version that was stored before it.",
    NONE="Nothing.",
    BACKWARD="What was there: rows and code of the earlier version go on with the later one.",
    FULL="And code of the earlier version works on a database of the later one.",
)


def _of_this_name(entity: Any, suffix: str, _: Any) -> list[Any]:
    named = entity.canonical_name == sa.bindparam(f"name{suffix}")
    return [named, entity.user_id == sa.bindparam("me", type_=entity.user_id.type)]


@node(
    models.Spec,
    found_by={"name": FoundBy("The name of a spec of your own, however it is written.", _of_this_name, sought)},
    by="canonical_name",
    listed="Your specs and those of your projects.",
)
class Spec(Node):
    """An OpenAPI specification of data models, in versions. `putSpec` stores them."""

    name: str = column("The name as its owner writes it.", filter=True)
    canonical_name: str = column(
        "The name by which it is found, unique for its owner: in lower case, with single hyphens.",
        filter=True,
        order=True,
        search=True,
    )
    state: SpecState = column("What it is for.", filter=True, group=True)  # type: ignore[valid-type]
    compatibility: SpecCompatibility = column(  # type: ignore[valid-type]
        "What its versions must keep.", filter=True, group=True
    )
    owner = related(models.Spec.owner, "Whose it is.", group=True)
    project = related(models.Spec.project, "The project whose users read it, if any.", group=True)
    labels = connection(models.Spec.labels, "The labels that its owner gave it.", order="name")
    latest_version = related(models.Spec.latest_version, "The version that was stored last.")
    versions = connection(models.Spec.versions, "Its versions.", order="-updated_at")


@node(models.SpecLabel)
class SpecLabel(Node):
    """A label that its owner gave to a spec. `updateSpec` sets them."""

    name: str = column("The label.", filter=True, group=True, order=True)
    spec = related(models.SpecLabel.spec, "The spec.")


@node(models.SpecVersion)
class SpecVersion(Node):
    """One version of a spec."""

    name: str = column("The version in its normal form by PEP 440, such as 1.2.0.", filter=True)
    canonical_name: str | None = column(
        "The same without zeros at its end: equal for 1.4 and 1.4.0, unique within the spec.", filter=True
    )
    title: str | None = column("The title in the spec.")
    description: str | None = column("The description in the spec.")
    model_count: int = column("How many data models with a table of their own it defines.", filter=True, group=True)
    language: SpecLanguage = column("The language of its source.", filter=True, group=True)  # type: ignore[valid-type]
    source: str = column("The text of the spec, as it was given.")
    fetched_at: datetime | None = column(
        "When its package was first fetched; since then its content stays as it is.", filter=True
    )
    yanked_at: datetime | None = column(
        "When its package was yanked: who does not name the version gets another one.", filter=True
    )
    yank_reason: str | None = column("Why it was yanked.")
    spec = related(models.SpecVersion.spec, "The spec.", group=True)
    job = related(models.SpecVersion.jobs, "The latest job that builds its packages.", order=NEWEST_JOB)
    jobs = connection(models.SpecVersion.jobs, "All its jobs, one for each build.", order="-attempt")
    files = connection(
        models.SpecVersion.files,
        "Its packages: wheel, source distribution, JSON Schema of its models.",
        order="name",
    )
    models = connection(models.SpecVersion.models, "Its data models.", order="name")


@node(models.SpecModel, by="name", listed="The data models of all versions of specs that you may see.")
class SpecModel(Node):
    """A data model of a version of a spec."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    table_name: str = column("The table that it is stored in.", filter=True, search=True)
    column_names: str = column("The names of its columns, one a line.", filter=True, search=True)
    version_of = related(models.SpecModel.version_of, "The version.")

    @computed("The names of its columns.", reads=["column_names"])
    def columns(self: Any) -> list[str]:
        found: list[str] = self.column_names.split("\n") if self.column_names else []
        return found
