"""The table of what became of OpenTera's operations names what there is."""

import re
from pathlib import Path

from schema import Schema

PAGE = Path(__file__).parents[2] / "docs" / "from-opentera.md"
WORDS = {"participantSessions", "version", "expectedVersion", "downloadUrl", "client"}
"""What is named besides root fields: fields and arguments."""


def test_every_operation_of_the_table_is_in_the_schema(schema: Schema) -> None:
    core = schema.core
    roots = {name for kind in (core.query_type, core.mutation_type, core.subscription_type) for name in kind.fields}  # type: ignore[union-attr]
    rows = [line.split("|")[2] for line in PAGE.read_text().splitlines() if line.startswith("|")]
    named = {name for row in rows for name in re.findall(r"`([a-z][A-Za-z]+)`", row)}
    assert len(named) > 90
    assert named - roots - WORDS == set()


def test_every_line_has_a_place_or_a_reason() -> None:
    for line in PAGE.read_text().splitlines():
        if line.startswith("|") and not line.startswith(("|---", "| in OpenTera", "| OpenTera")):
            here = line.split("|")[2].strip()
            assert "`" in here or here.startswith(("dropped", "with the", "still to come", "as users", "NOT_FOUND", "DEPENDENCY", "a query")), line  # fmt: skip
