"""Samples, as clients see them."""

import strawberry

from schema.fields.fields import column, node, related
from schema.fields.inputs import Given, editing, inputs, result
from schema.fields.nodes import Node
from schema.lists.connections import connection
from tests.toy import model


@node(model.Sample, by="name", listed="The samples that you may see.")
class Sample(Node):
    """Something that was taken to be measured."""

    name: str = column("What it is called.", filter=True, order=True, search=True)
    notes: str | None = column("What its administrators noted.")
    project = related(model.Sample.project, "The project that it is of.", group=True)
    participant = related(model.Sample.participant, "Whom it was taken of, if anybody.")
    devices = connection(model.Sample.devices, "What it is measured by.", small=True)


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
