"""Lists of trusted documents, made at release time, and the documents in files and folders."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gateway.operations.parser import digest_of


class ListError(Exception):
    """A list of documents is wrong; the message says why."""


def read_list(file: Path) -> dict[str, str]:
    """The texts of a list by id. The list is a JSON object of them, or a manifest of Apollo's. Each text is also listed
    by its hash."""
    try:
        read = msgspec.json.decode(file.read_bytes())
        if isinstance(read, dict) and read.get("format") == "apollo-persisted-query-manifest":
            read = {operation["id"]: operation["body"] for operation in read["operations"]}
        found = msgspec.convert(read, dict[str, str])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError) as error:
        raise ListError(f"{file} is not a list of documents: {error}") from None
    return {**{digest_of(text): text for text in found.values()}, **found}


def write_list(file: Path, texts: Mapping[str, str]) -> None:
    """Write a list in place of the former one, whole or not at all."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(dict(sorted(texts.items())))) + b"\n")
    beside.replace(file)


def documents_in(files: Sequence[Path]) -> Iterator[tuple[Path, str, str]]:
    """The documents of files, folders and lists: the file, the id, the text; raises ListError."""
    for file in files:
        if file.is_dir():
            yield from documents_in(sorted(f for f in file.rglob("*") if f.suffix in (".graphql", ".gql")))
        elif file.suffix == ".json":
            yield from ((file, id, text) for id, text in read_list(file).items())
        else:
            try:
                text = file.read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise ListError(f"{file} can't be read: {error}") from None
            yield file, digest_of(text), text


def said(error: Mapping[str, Any], file: Path) -> str:
    """An error of a document in a file, with its place."""
    places = "".join(f":{place['line']}:{place['column']}" for place in error.get("locations", ())[:1])
    return f"{file}{places}: {error['message']}"
