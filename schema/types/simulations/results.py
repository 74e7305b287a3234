"""What came out of a simulation: estimators, and their pages."""

from typing import TYPE_CHECKING, Any

import strawberry

from db import models
from resolvers.accounts.tickets import ticket
from resolvers.simulations import exports
from resolvers.spelling import global_id
from schema.fields.fields import Info, column, computed, node, numbers, part, related, slabbed
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


@strawberry.type(description="The values of a page.")
class PageData:
    name: str = strawberry.field(description="What was scored, such as `DOSE`.")
    unit: str | None = strawberry.field(description="Its unit, such as `MeV/g`; null when it has none.")
    values: list[float | None] | None = slabbed(
        "The numbers, axis 1 fastest; null where there is none or it is not finite. At most 1,000,000 are given at "
        "once: of a larger page ask for some bins, or fetch its `downloadUrl`; all of it are null, with an error."
    )
    errors: list[float | None] | None = slabbed(
        "The standard error of each value; null where it is not known. With the errors e of the tasks, where the "
        "program tells them, and their weights b (the primaries, or the divisors of quotients), it is "
        "sqrt(sum(b^2 e^2)) / sum(b); else that of the spread between T tasks around the value V, "
        "sqrt(T / (T - 1) * sum(b^2 (v - V)^2)) / sum(b)."
    )


@node(models.Page)
class Page(Node):
    """One scored quantity. `data.values` has as many values as its axes span, axis 1 fastest."""

    number: int = column("Its number within the estimator, from 0.", filter=True, order=True)
    name: str = column("The quantity, such as DOSE or FLUENCE.", filter=True)
    dimension: int = column("How many axes: 0 to 3.", filter=True, group=True)
    value_count: int = column("How many values `data` has.", filter=True, group=True)
    unit: str | None = column("The unit of the values.", filter=True)
    filter_name: str | None = column("The filter of particles it counts; null when it counts all.")
    has_non_finite: bool = column("Whether `data.values` holds nulls.", filter=True)
    approximate: bool = column(
        "Whether it is a quotient, such as a mean energy, of several tasks that did not tell its divisor: then it is "
        "averaged by their primaries, and depends on how these were shared.",
        filter=True,
    )
    meta: JSON = column("What the program says about it: an object of texts.", name="metadata")
    axis1: Series | None = part("The first axis.", name="axis1_name", unit="axis1_unit", values="axis1_values")
    axis2: Series | None = part("The second axis.", name="axis2_name", unit="axis2_unit", values="axis2_values")
    axis3: Series | None = part("The third axis.", name="axis3_name", unit="axis3_unit", values="axis3_values")
    data: PageData = part("The values.", name="name", unit="unit", values="data_values", errors="data_errors")
    estimator = related(models.Page.estimator, "The estimator.")

    @computed("An address of all its numbers as CSV, which a browser may open for a few minutes.", reads=["number"])
    def download_url(self: Any, info: Info) -> str:
        return ticket(info.context, (*exports.PAGES, global_id("Page", self.id), f"{self.number}.csv"), ()).url
