"""Exports of lists, for plain links in a browser, which can send no header."""

from typing import Annotated

import orjson
import strawberry

from resolvers.failures import check_limit
from resolvers.organisation import list_exports
from schema.fields.fields import Info
from schema.fields.mutations import SIGNED_IN, mutation
from schema.fields.scalars import JSON, enum
from schema.fields.values import OBJECT
from schema.lists import exporting
from schema.lists.exporting import Format
from schema.types.simulations.downloads import Download, DownloadResult

ExportFormat = enum(
    Format,
    "How the rows of an export are written.",
    name="ExportFormat",
    CSV="CSV, with a line of names.",
    NDJSON="A JSON object in each line.",
)
Fields = list[str]
LENGTH = 8_000
"""The most characters of an address that servers take."""


@strawberry.type
class ExportsMutation:
    @mutation(needs=SIGNED_IN, always=True)
    async def create_export(
        self,
        info: Info,
        list: Annotated[str, strawberry.argument(description="Which list of the root, such as `simulations`.")],
        format: Annotated[
            ExportFormat,  # type: ignore[valid-type]
            strawberry.argument(description="How rows are written."),
        ] = Format.CSV,
        fields: Annotated[
            Fields | None,
            strawberry.argument(description="Fields of a row, such as `project.name`; by default its plain values."),
        ] = None,
        filter: Annotated[
            JSON | None,
            strawberry.argument(description="The list's `filter`.", metadata=OBJECT.metadata),
        ] = None,
        order_by: Annotated[
            JSON | None,
            strawberry.argument(description="The list's `orderBy`.", metadata=OBJECT.metadata),
        ] = None,
    ) -> DownloadResult:
        """Make an address from which a browser fetches a list as a file without any header, for a few minutes. It
        changes nothing. Programs ask `GET /exports/{list}` with their `Authorization` header instead."""
        schema = info._raw_info.schema
        exporting.check(exporting.export_of(schema, list, fields or (), filter, order_by), schema)
        query = {"format": format.value}  # type: ignore[attr-defined]
        if fields:
            query["fields"] = ",".join(fields)
        for name, given in (("filter", filter), ("orderBy", order_by)):
            if given is not None:
                query[name] = orjson.dumps(given).decode()
        made = list_exports.address(info.context, list, query)
        told = f"the address would have {len(made.url):,} characters: give a shorter filter"
        check_limit(told, len(made.url), LENGTH, limit="address", field="filter")
        return Download(url=made.url, expires_at=made.expires_at)
