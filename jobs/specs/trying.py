"""Try a generated package before anybody installs it: it must be imported, and SQLAlchemy must take its models."""

import importlib
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from jobs.specs.distributions import Package, files
from jobs.specs.faults import Fault, Faulty
from jobs.specs.schemas import AT
from jobs.specs.tables import Tables

_LONGEST = 500
_DIALECTS: tuple[Any, ...] = (sqlite.dialect(), postgresql.dialect())  # type: ignore[no-untyped-call]


def tried(package: Package, tables: Tables, folder: Path) -> None:
    """Import the package from a folder of its own in `folder`, configure its models, and write their tables as SQLite
    and PostgreSQL have them; no database is asked. Raises Faulty. For a process that ends afterwards: what was imported
    stays.
    """
    name = f"models_{uuid4().hex}"
    (folder / name).mkdir()
    for path, content in files(package, tables).items():
        (folder / name / Path(path).name).write_bytes(content)
    sys.path.insert(0, str(folder))
    try:
        base: Any = importlib.import_module(name).__dict__["Base"]
        base.registry.configure()
        _written(base.metadata)
    except Faulty:
        raise
    except Exception as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]
        raise Faulty([Fault(_place(told, tables), f"its models can't be used: {told}")]) from None
    finally:
        sys.path.remove(str(folder))


def _written(metadata: sa.MetaData) -> None:
    named = Counter((table.schema, index.name) for table in metadata.tables.values() for index in table.indexes)
    for (_, name), number in named.items():
        if number > 1:
            raise Faulty([Fault(AT, f"{number} indexes are called {name}; give them names")])
    for table in metadata.tables.values():
        for dialect in _DIALECTS:
            made: list[Any] = [CreateTable(table), *map(CreateIndex, table.indexes)]
            for statement in made:
                str(statement.compile(dialect=dialect))


def _place(told: str, tables: Tables) -> str:
    """The model that a message names."""
    words = set(told.replace(".", " ").replace("'", " ").replace("[", " ").replace("]", " ").split())
    return next((model.pointer for model in tables.models if model.name in words and model.pointer), AT)
