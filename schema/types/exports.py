"""Exports of lists, for plain links in a browser, which can send no header."""

from enum import Enum
from typing import Annotated

import orjson
import strawberry

from resolvers.organisation import list_exports
from schema.fields.fields import Info
from schema.fields.mutations import SIGNED_IN, mutation
from schema.fields.scalars import JSON, enum
from schema.fields.values import OBJECT
from schema.types.simulations.downloads import Download, DownloadResult


class Format(Enum):
    """How rows are written: CSV (RFC 4180) with a line of names, or a JSON object in each line."""

    CSV = "csv"
    NDJSON = "ndjson"


ExportFormat = enum(
    Format,
    "How the rows of an export are written.",
    name="ExportFormat",
    CSV="CSV, with a line of names.",
    NDJSON="A JSON object in each line.",
)
Fields = list[str]


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
        query = {"format": format.value}  # type: ignore[attr-defined]
        if fields:
            query["fields"] = ",".join(fields)
        for name, given in (("filter", filter), ("orderBy", order_by)):
            if given is not None:
                query[name] = orjson.dumps(given).decode()
        made = list_exports.address(info.context, list, query)
        return Download(url=made.url, expires_at=made.expires_at)
