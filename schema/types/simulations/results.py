"""What came out of a simulation: estimators, and their pages."""

from typing import TYPE_CHECKING, Annotated

import strawberry

from db import models
from resolvers.reading import ranges
from resolvers.reading.paging import Order
from schema.fields.connections import chosen, connection, ranged
from schema.fields.declarations import Orders
from schema.fields.fields import column, node, numbers, part, related
from schema.fields.nodes import Connection, Node
from schema.fields.scalars import JSON

if TYPE_CHECKING:
    from schema.types.simulations.simulations import Simulation


@strawberry.input(description="Which estimators.")
class EstimatorFilter:
    names: list[str] | None = chosen(models.Estimator.name, "Of one of these names.")
    file_names: list[str] | None = chosen(models.Estimator.file_name, "With one of these output files.")


@strawberry.input(description="Which pages.")
class PageFilter:
    numbers: list[int] | None = chosen(models.Page.number, "With one of these numbers.")
    range: str | None = ranged(
        models.Page.number, f"With one of these numbers, given as `1-3,5`: at most {ranges.MOST} of them."
    )
    names: list[str] | None = chosen(models.Page.name, "Of one of these quantities.")


@node(models.Estimator)
class Estimator(Node):
    """A group of scored quantities: one output of the simulation program."""

    name: str = column("Its name.")
    file_name: str = column("The program's output file; unique within the simulation.")
    meta: JSON = column("What the program says about it: an object of texts.", name="metadata")
    simulation: Annotated["Simulation", strawberry.lazy("schema.types.simulations.simulations")] | None = related(
        models.Estimator.simulation, "The simulation."
    )
    pages: Connection["Page"] = connection(
        models.Estimator.pages,
        "Its quantities. `filter` chooses some, so that the numbers of the others are never read.",
        orders=Orders("PageOrder", "Orders of pages.", NUMBER=(Order(models.Page.number), "By number.")),
        filter=PageFilter,
    )


@strawberry.type(description="A quantity along an axis, or over all of them.")
class Series:
    name: str = strawberry.field(description="What is measured, such as `Position (Z)` or `DOSE`.")
    unit: str | None = strawberry.field(description="Its unit, such as `cm` or `MeV/g`; null when it has none.")
    values: list[float | None] = numbers("The numbers; null where there is none or it is not finite.")


@node(models.Page)
class Page(Node):
    """One scored quantity. `data.values` has the values of axis 1 times those of axis 2, axis 1 fastest."""

    number: int = column("Its number within the estimator, from 0.")
    name: str = column("The quantity, such as DOSE or FLUENCE.")
    dimension: int = column("How many axes: 0, 1 or 2.")
    value_count: int = column("How many values `data` has.")
    unit: str | None = column("The unit of the values.")
    filter_name: str | None = column("The filter of particles it counts; null when it counts all.")
    has_non_finite: bool = column("Whether `data.values` holds nulls.")
    meta: JSON = column("What the program says about it: an object of texts.", name="metadata")
    axis1: Series | None = part("The first axis.", name="axis1_name", unit="axis1_unit", values="axis1_values")
    axis2: Series | None = part("The second axis.", name="axis2_name", unit="axis2_unit", values="axis2_values")
    data: Series = part("The values.", name="name", unit="unit", values="data_values")
    estimator: Estimator | None = related(models.Page.estimator, "The estimator.")
