"""What SQLAlchemy knows of models, as JSON: it is compared between two makers of models. It runs under an oracle's Python
too, so it imports nothing of the project."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm


def reflected(metadata: sa.MetaData, registry: Any) -> dict[str, Any]:
    """Tables, columns, types, keys, indexes and relations of declared models, which are also made in a database."""
    orm.configure_mappers()
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    engine.dispose()
    return {
        "tables": {table.name: _table(table) for table in metadata.sorted_tables},
        "models": {mapper.class_.__name__: _model(mapper) for mapper in registry.mappers},
    }


def _table(table: sa.Table) -> dict[str, Any]:
    unique = [one for one in table.constraints if isinstance(one, sa.UniqueConstraint)]
    return {
        "columns": {column.name: _column(column) for column in table.columns},
        "indexes": sorted([one.name, [part.name for part in one.expressions], one.unique] for one in table.indexes),
        "unique": sorted([one.name or "", [column.name for column in one.columns]] for one in unique),
    }


def _column(column: Any) -> dict[str, Any]:
    keys = [[one.target_fullname, one.ondelete, one.onupdate] for one in column.foreign_keys]
    return {
        "type": str(column.type),
        "nullable": column.nullable and not column.primary_key,
        "primary": column.primary_key,
        "autoincrement": column.autoincrement,
        "keys": sorted(keys),
        "default": None if column.default is None else repr(column.default.arg),
        "server default": None if column.server_default is None else str(column.server_default.arg),
    }


def _model(mapper: Any) -> dict[str, Any]:
    return {
        "extends": None if mapper.inherits is None else mapper.inherits.class_.__name__,
        "relations": {
            one.key: [one.mapper.class_.__name__, one.direction.name, one.uselist, getattr(one.secondary, "name", None)]
            for one in mapper.relationships
        },
    }
