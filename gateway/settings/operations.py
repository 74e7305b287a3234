"""Settings of operations: their limits, and the cache and list of documents."""

from pathlib import Path

from pydantic import Field

from gateway.settings.group import Group


class OperationSettings(Group):
    operation_timeout: float = Field(
        15.0, gt=0, description="Seconds for one query or mutation, and for one SQL statement."
    )
    max_tokens: int = Field(2_000, gt=0, description="Tokens of a document.")
    max_depth: int = Field(20, gt=0, description="Fields within fields of an operation.")
    max_cost: int = Field(
        50_000, gt=0, description="Cost of an operation: objects that it may give, an array of numbers as 20."
    )
    documents: int = Field(
        30_000_000, gt=0, description="Bytes of documents that are kept parsed and validated, with their plans."
    )
    trusted_documents: Path | None = Field(
        None, description="A list of documents, made by torana documents add; when set, no others are run."
    )
    rendering: bool = Field(True, description="Answer from one statement where that can be; off: always row by row.")
