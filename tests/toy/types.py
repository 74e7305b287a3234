"""Samples, as clients see them."""

import strawberry

from resolvers.reading.paging import Order
from schema.fields.connections import connection, contains, refers
from schema.fields.declarations import Orders
from schema.fields.fields import column, node, related
from schema.fields.inputs import Given, editing, inputs, result
from schema.fields.nodes import Connection, Node
from schema.types.devices import DEVICES_OF, Device
from schema.types.organisation import Participant, Project
from tests.toy import model

SAMPLE_ORDERS = Orders("SampleOrder", "Orders of samples.", NAME=(Order(model.Sample.name), "By name."))


@node(model.Sample)
class Sample(Node):
    """Something that was taken to be measured."""

    name: str = column("What it is called.")
    notes: str | None = column("What its administrators noted.")
    project: Project | None = related(model.Sample.project, "The project that it is of.")
    participant: Participant | None = related(model.Sample.participant, "Whom it was taken of, if anybody.")
    devices: Connection[Device] = connection(model.Sample.devices, "What it is measured by.", orders=DEVICES_OF)


@strawberry.input(description="Which samples.")
class SampleFilter:
    name: str | None = contains(model.Sample.name, "Part of the name, in any case.")
    project: strawberry.ID | None = refers("Project", "Of this project.", model.Sample.project)


@strawberry.type
class SamplesQuery:
    samples: Connection[Sample] = connection(
        model.Sample, "The samples that you may see.", orders=SAMPLE_ORDERS, filter=SampleFilter
    )


_SAMPLE = inputs(
    "Sample",
    model.Sample,
    name=Given(str, "What it is called."),
    project=Given("Project", "The project that it is of.", fixed=True),
    participant=Given("Participant", "Whom it was taken of.", default=None),
    notes=Given(str, "What administrators note.", default=None),
)


@strawberry.type
class SamplesMutation:
    create_sample, update_sample, delete_sample, restore_sample = editing(_SAMPLE, result(Sample))
