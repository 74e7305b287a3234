"""What came out of a simulation: estimators, and their pages."""

from typing import TYPE_CHECKING

import strawberry

from db import models
from schema.fields.fields import column, node, numbers, part, related
from schema.fields.nodes import Node
from schema.fields.scalars import JSON
from schema.lists.connections import connection

if TYPE_CHECKING:
    pass


@node(models.Estimator)
class Estimator(Node):
    """A group of scored quantities: one output of the simulation program."""

    name: str = column("Its name.", filter=True, order=True)
    file_name: str = column("The program's output file; unique within the simulation.", filter=True)
    meta: JSON = column("What the program says about it: an object of texts.", name="metadata")
    simulation = related(models.Estimator.simulation, "The simulation.")
    pages = connection(
        models.Estimator.pages,
        "Its quantities. `filter` chooses some, so that the numbers of the others are never read.",
        order="number",
    )


@strawberry.type(description="A quantity along an axis, or over all of them.")
class Series:
    name: str = strawberry.field(description="What is measured, such as `Position (Z)` or `DOSE`.")
    unit: str | None = strawberry.field(description="Its unit, such as `cm` or `MeV/g`; null when it has none.")
    values: list[float | None] = numbers("The numbers; null where there is none or it is not finite.")


@node(models.Page)
class Page(Node):
    """One scored quantity. `data.values` has the values of axis 1 times those of axis 2, axis 1 fastest."""

    number: int = column("Its number within the estimator, from 0.", filter=True, order=True)
    name: str = column("The quantity, such as DOSE or FLUENCE.", filter=True)
    dimension: int = column("How many axes: 0, 1 or 2.", filter=True, group=True)
    value_count: int = column("How many values `data` has.", filter=True, group=True)
    unit: str | None = column("The unit of the values.", filter=True)
    filter_name: str | None = column("The filter of particles it counts; null when it counts all.")
    has_non_finite: bool = column("Whether `data.values` holds nulls.", filter=True)
    meta: JSON = column("What the program says about it: an object of texts.", name="metadata")
    axis1: Series | None = part("The first axis.", name="axis1_name", unit="axis1_unit", values="axis1_values")
    axis2: Series | None = part("The second axis.", name="axis2_name", unit="axis2_unit", values="axis2_values")
    data: Series = part("The values.", name="name", unit="unit", values="data_values")
    estimator = related(models.Page.estimator, "The estimator.")
