"""The schema as a whole: what every declaration keeps to, whatever it declares."""

import ast
import inspect
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa
import strawberry
from graphql import (
    BreakingChangeType,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    build_schema,
    find_breaking_changes,
    get_named_type,
    is_leaf_type,
    is_non_null_type,
)

from db import migrating, models
from resolvers.access.policy import policies, target_of
from schema import Schema, build
from schema.fields.checks import check, declared_fields
from schema.fields.declarations import NODES, Connected, Lists
from schema.fields.fields import Column, Related, column, node
from schema.fields.nodes import Node
from schema.lists.orders import orders_of
from tests.support.databases import Prepared
from tests.support.sources import parsed

ROOT = Path(__file__).parents[2]
SNAPSHOT = ROOT / "schema.graphql"


def test_the_committed_sdl_is_the_schema(schema: Schema) -> None:
    committed = SNAPSHOT.read_text()
    broken = find_breaking_changes(build_schema(committed), build_schema(schema.as_str()))
    assert not broken, "breaks clients: " + "; ".join(change.description for change in broken)
    assert committed == schema.as_str() + "\n", "the schema changed: torana schema > schema.graphql"


def test_a_removed_field_would_be_called_breaking(schema: Schema) -> None:
    less = schema.as_str().replace('"""The title that its owner gave it; may be empty."""\n  title: String!', "")
    (change,) = find_breaking_changes(build_schema(schema.as_str()), build_schema(less))
    assert change.type is BreakingChangeType.FIELD_REMOVED


def test_a_guarded_field_that_is_not_nullable_is_refused() -> None:
    @node(models.Notification)
    class Guarded(Node):
        """A type that breaks the rule."""

        error: str = column("Why it failed.")

    with pytest.raises(TypeError, match=r"Guarded.error is guarded, so it must be nullable"):
        check(_schema_of(Guarded))


def test_a_field_that_a_policy_guards_is_a_field_of_the_type() -> None:
    class Without(Node):
        """A type without the guarded field."""

    with pytest.raises(TypeError, match=r"Without.error is guarded by its policy, and no field of the type"):
        node(models.Notification)(Without)


def _schema_of(kind: type) -> Any:
    async def find() -> None:
        return None

    query = strawberry.type(
        type("Query", (), {"__annotations__": {"found": kind | None}, "found": strawberry.field(find)})
    )
    return strawberry.Schema(query)._schema


def test_guarded_fields_and_relations_are_nullable(schema: Schema) -> None:
    fields = [(d, f) for _, _, f, d in declared_fields(schema.core)]
    guarded = [field for declared, field in fields if isinstance(declared, Column) and declared.needs]
    relations = [field for declared, field in fields if isinstance(declared, Related)]
    assert len(guarded) > 15
    assert len(relations) > 15
    assert not any(is_non_null_type(field.type) for field in [*guarded, *relations])


def test_no_leaf_of_a_node_is_asynchronous(schema: Schema) -> None:
    slow = [
        f"{kind.name}.{name}"
        for kind, name, field, declared in declared_fields(schema.core)
        if schema.core.get_type("Node") in kind.interfaces and is_leaf_type(get_named_type(field.type))
        if inspect.iscoroutinefunction(field.resolve) or declared.is_async
    ]
    assert slow == []


def test_every_node_says_who_sees_it(schema: Schema) -> None:
    nodes = [
        kind for kind in schema.core.type_map.values() if "Node" in {i.name for i in getattr(kind, "interfaces", ())}
    ]
    assert len(nodes) >= 30
    assert all("Seen by " in (kind.description or "") for kind in nodes)


def test_every_entity_has_a_policy_that_says_who_reads_its_rows() -> None:
    links = {policy.model for policy in policies() if policy.link_of is not None}
    assert {policy.model for policy in policies()} == _entities()
    read = {policy.model for policy in policies() if policy.read or policy.parent}
    assert (
        _entities()
        - links
        - {
            models.LeaderboardRequest,
            models.TaskResult,
            models.TaskSlab,
            models.PageSlab,
            models.ServerSetting,
            models.Blob,
        }
        == read
    )


def test_every_foreign_key_says_what_becomes_of_the_row() -> None:
    """Rows that are gone for good take theirs with them in the database; all else is said."""
    for policy in policies():
        said = [*policy.goes_with, *policy.blocks, *policy.stays]
        assert all(key.class_ is policy.model for key in said), policy.model
        keys = {}
        for one in policy.model.__table__.columns:
            for key in one.foreign_keys:
                for_good = not issubclass(target_of(getattr(policy.model, one.key)), models.Erasable)
                keys[one.key] = for_good and key.ondelete == "CASCADE"
        names = [key.key for key in said]
        assert len(names) == len(set(names)), policy.model
        assert set(names) - keys.keys() == set(), policy.model
        assert {name for name, by_database in keys.items() if not by_database} <= set(names), policy.model


def test_secrets_have_no_field(schema: Schema) -> None:
    hidden = ("hash", "salt", "secret", "sealed", "storagekey", "certificate", "deletedat", "leaseuntil", "holder")
    nodes = schema.core.get_possible_types(schema.core.get_type("Node"))  # type: ignore[arg-type]
    told = [f"{kind.name}.{name}" for kind in nodes for name in kind.fields if name.lower().startswith(hidden)]
    assert told == []


def test_a_secret_is_shown_once_by_what_made_it(schema: Schema) -> None:
    told = {
        f"{kind.name}.{name}"
        for kind in schema.core.type_map.values()
        if isinstance(kind, GraphQLObjectType)
        for name in kind.fields
        if "secret" in name.lower()
    }
    makers = ("IssuedCredential", "IssuedSimulationLink", "LoginCode", "RegisteredDevice", "RegisterKey")
    assert told == {f"{maker}.secret" for maker in makers}


def test_every_order_of_a_list_has_an_index_unless_the_list_is_small(schema: Schema) -> None:
    missing = []
    for kind, name, _, declared in declared_fields(schema.core):
        if not isinstance(declared, Connected):
            continue
        for order in declared.orders():
            wanted = [_key(column) for column in order.columns]
            if not isinstance(declared.source, type):
                if (link := declared.source.property.secondary) is not None:
                    ((_, parent),) = declared.source.property.synchronize_pairs
                    assert declared.small, f"{kind.name}.{name}"
                    if parent.name not in {next(iter(i.columns)).name for i in (*link.indexes, *_uniques(link))}:
                        missing.append(f"{kind.name}.{name} through {link.name}")
                    continue
                ((_, remote),) = declared.source.property.local_remote_pairs
                wanted = [remote.name, *wanted]
            wanted.append("id")
            if wanted not in [columns[: len(wanted)] for columns in _indexes(declared.model)]:
                missing.append(f"{kind.name}.{name} by {wanted}")
    assert missing == []


def _key(column: Any) -> str:
    """What an index is to have for rows in the order of a column, null at one end."""
    if not column.nullable:
        return str(column.name)
    instead = "9999-12-31T00:00:00.000000Z" if column.type.python_type is datetime else ""
    return f"coalesce({column.name}, '{instead}')"


def test_no_order_is_by_a_guarded_column(schema: Schema) -> None:
    guards = {
        (kind.extensions["strawberry-definition"].origin.model, declared.key)
        for kind, _, _, declared in declared_fields(schema.core)
        if isinstance(declared, Column) and declared.needs
    }
    for _, _, _, declared in declared_fields(schema.core):
        if isinstance(declared, Connected):
            for order in declared.orders():
                for column in order.columns:
                    assert (declared.model, column.key.removesuffix("_folded")) not in guards


def test_an_order_by_a_guarded_column_or_without_an_index_is_no_declaration() -> None:
    for model, order, told in (
        (models.User, "username", "guarded"),
        (models.User, "last_name", "guarded"),
        (models.Simulation, "sim_type", "no index"),
    ):
        node = NODES[model]
        changed = copy(next(field for field in node.fields if field.python_name == order))
        changed.lists = Lists(order=True)
        cls = SimpleNamespace(__name__=node.name, __strawberry_definition__=SimpleNamespace(fields=[changed]))
        with (
            mock.patch.dict(NODES, {model: replace(node, cls=cls, order=order)}),
            pytest.raises(TypeError, match=told),
        ):
            orders_of.__wrapped__(model)


def _indexes(model: type[models.Entity]) -> Iterator[list[str]]:
    table: Any = model.__table__
    yield [c.name for c in table.primary_key]
    for index in table.indexes:
        where = index.dialect_options["sqlite"]["where"]
        if where is None or (str(where) == "deleted_at IS NULL" and not index.unique):
            yield [part.text if isinstance(part, sa.TextClause) else part.name for part in index.expressions]


def _uniques(table: Any) -> list[Any]:
    return [c for c in table.constraints if isinstance(c, sa.UniqueConstraint)]


def _entities() -> set[type[models.Entity]]:
    return {m.class_ for m in models.Base.registry.mappers if issubclass(m.class_, models.Entity)}


def test_every_foreign_key_says_what_deleting_does_and_has_an_index() -> None:
    for table in models.Base.metadata.tables.values():
        leading = {next(iter(i.columns)).name for i in table.indexes} | {
            next(iter(c.columns)).name for c in table.constraints if isinstance(c, sa.UniqueConstraint)
        }
        for key in table.foreign_keys:
            assert key.ondelete in ("CASCADE", "RESTRICT", "SET NULL"), f"{table.name}.{key.parent.name}"
            assert key.parent.name in leading, f"{table.name}.{key.parent.name} has no index"


async def test_migrations_make_what_the_models_say(prepared: Prepared, backend: str) -> None:
    url, _ = await prepared.template(backend)
    assert await migrating.differences(url) == []
    assert await migrating.present(url) == migrating.newest()


def test_the_schema_is_made_once_for_a_process() -> None:
    assert build() is build()


def test_every_value_of_an_enumeration_that_is_answered_is_returned_somewhere(schema: Schema) -> None:
    """Values of columns come with the rows; the others must be named by the code that returns them."""
    columns = [c.type for table in models.Base.metadata.tables.values() for c in table.columns]
    stored = {kind.enum_class for kind in columns if isinstance(kind, sa.Enum)}
    named = {
        f"{getattr(node.value, 'id', getattr(node.value, 'attr', ''))}.{node.attr}"
        for room in ("resolvers", "schema", "gateway", "jobs")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute)
    }
    never = []
    for kind in schema.core.type_map.values():
        if isinstance(kind, GraphQLEnumType) and not kind.name.startswith("__") and kind not in _given(schema):
            members = kind.extensions["strawberry-definition"].wrapped_cls
            if members not in stored and members.__name__ != "Code":
                never += [f"{kind.name}.{v}" for v in kind.values if f"{members.__name__}.{v}" not in named]
    assert never == []


def _given(schema: Schema) -> set[Any]:
    """The types of arguments and input fields."""
    kinds = schema.core.type_map.values()
    fields = [f for k in kinds if isinstance(k, GraphQLInputObjectType) for f in k.fields.values()]
    fields += [a for k in kinds if isinstance(k, GraphQLObjectType) for f in k.fields.values() for a in f.args.values()]
    return {get_named_type(field.type) for field in fields}
