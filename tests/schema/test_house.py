"""The house: which room and wing may import which, and how large they are. `docs/developing.md` describes them."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.sources import parsed

ROOT = Path(__file__).parents[2]

ALLOWED = {
    "gateway": {"gateway", "schema", "resolvers", "jobs", "db"},
    "schema": {"schema", "resolvers", "db"},
    "resolvers": {"resolvers", "db", "jobs"},
    "jobs": {"jobs"},
    "db": {"db"},
}
"""The rooms, and which each imports."""

ROOMS = (*ALLOWED, "bench")

DECLARED = {"db", "db.buckets", "db.searching.folding", "db.models", "db.models.ordering", "db.types"}
"""What declarations of the schema need of `db`."""

WINGS = {
    "gateway": "explorer|settings background operations protocol app commands cli",
    "schema": "fields lists types schema",
    "resolvers": (
        "documents|failures|feed|limits|maintenance|spelling|steps|turns pace retention labels identity mail access reading queue context "
        "writing live accounts organisation files sessions work simulations archives challenges participation specs importing"
    ),
    "jobs": "engine|results scores specs archives sandbox programs worker engines",
}
"""The wings of a room from the ground up; each imports only those before it. A room's own name is its `__init__`; a bar
is between modules on one level."""

BOTH_WAYS = ("db.models.", "schema.types.")
"""Tables refer to each other both ways, and so do types: what they import for annotations alone is no cycle."""

LINES, MODULES = 300, 20
"""Of one module, and of one wing."""


@cache
def modules() -> dict[str, Path]:
    """The modules of all rooms, by their names; migrations are left out."""
    found = {}
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            if not {"migrations", "node_modules", ".venv"} & set(file.parts):
                parts = file.relative_to(ROOT).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


@cache
def tree(module: str) -> ast.Module:
    return parsed(modules()[module])


def imported(node: ast.AST) -> Iterator[str]:
    """All that is imported below a node, wherever that stands: also in functions, for annotations, and by name."""
    for found in ast.walk(node):
        if isinstance(found, ast.ImportFrom):
            assert found.module, "imports are absolute"
            for alias in found.names:
                below = f"{found.module}.{alias.name}"
                yield below if below in modules() else found.module
        elif isinstance(found, ast.Import):
            yield from (alias.name for alias in found.names)
        elif isinstance(found, ast.Call) and getattr(found.func, "id", "") == "import_module":
            yield from (str(name.value) for name in found.args if isinstance(name, ast.Constant))


def annotating(module: str) -> Iterator[ast.If]:
    """The parts of a module that only those who check types read."""
    for found in ast.walk(tree(module)):
        if isinstance(found, ast.If) and isinstance(found.test, ast.Name) and found.test.id == "TYPE_CHECKING":
            yield found


def test_rooms_import_one_way() -> None:
    wrong = []
    for module in modules():
        room = module.partition(".")[0]
        for name in imported(tree(module)) if room in ALLOWED else ():
            top = name.partition(".")[0]
            if top in {*ROOMS, "tests"} and top not in ALLOWED[room]:
                wrong.append(f"{module} imports {name}")
            if room == "schema" and top == "db" and name not in DECLARED:
                wrong.append(f"{module} imports {name}: declarations need models and types only")
    assert wrong == []


@pytest.mark.parametrize("room", WINGS)
def test_wings_import_those_before_them(room: str) -> None:
    level = {wing: n for n, wings in enumerate(WINGS[room].split()) for wing in wings.split("|")}

    def wing_of(module: str) -> str:
        return room if module == room else module.split(".")[1]

    wrong, known = [], set()
    for module in modules():
        if module.partition(".")[0] != room:
            continue
        own = wing_of(module)
        if own == room and room not in level:  # an `__init__` that imports nothing
            assert not list(imported(tree(module)))
            continue
        known.add(own)
        assert own in level, f"{own} has no place among the wings of {room}"
        for name in imported(tree(module)):
            if name.partition(".")[0] == room and wing_of(name) != own and level[wing_of(name)] >= level[own]:
                wrong.append(f"{module} imports {name}")
    assert wrong == []
    assert known == level.keys()


def test_no_modules_import_each_other() -> None:
    imports = {}
    for module in modules():
        names = Counter(imported(tree(module)))
        if module.startswith(BOTH_WAYS):
            for part in annotating(module):
                names -= Counter(imported(part))
        imports[module] = {name for name in names if name in modules() and name != module}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(f"a cycle: {' -> '.join(error.args[1])}")


def test_no_import_hides_in_a_function() -> None:
    hidden = []
    for module in modules():
        if module.partition(".")[0] in ALLOWED:
            for function in ast.walk(tree(module)):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    statements = [one for one in ast.walk(function) if isinstance(one, ast.Import | ast.ImportFrom)]
                    hidden += [f"{module}: {name}" for one in statements for name in imported(one)]
    assert hidden == []


def test_modules_are_short() -> None:
    long = {name for name, file in modules().items() if len(file.read_text().splitlines()) > LINES}
    assert long == set()


def test_wings_are_small() -> None:
    sizes = Counter(file.parent for file in modules().values() if file.name != "__init__.py")
    assert [f"{folder.relative_to(ROOT)}: {size}" for folder, size in sizes.items() if size > MODULES] == []
