"""The documents name what there is: files, functions with the module that they are said to be in, and places to go on."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.sources import parsed

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    *("README.md", "bench/README.md", "clients/python/README.md", "clients/python/PYTEST.md"),
    *sorted(f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md")),
)
ROOMS = ("gateway/", "schema/", "resolvers/", "jobs/", "db/", "tests/", "bench/", "docs/", "clients/")


def _text(document: str) -> str:
    """A document without what stands in its blocks of code."""
    return re.sub(r"```.*?```", "", (ROOT / document).read_text(), flags=re.DOTALL)


@cache
def _defined(module: str) -> set[str]:
    """The functions, classes and methods of a module, and what it assigns, by name; methods also as `Class.method`."""
    names = set()
    for node in ast.walk(parsed(ROOT / module)):
        if isinstance(node, ast.ClassDef):
            inner = (one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
            names |= {node.name, *(f"{node.name}.{name}" for name in inner)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_names_files_that_there_are(document: str) -> None:
    named = re.findall(r"`([\w./-]+/[\w./-]*)`", _text(document))
    assert [path for path in named if path.startswith(ROOMS) and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_names_functions_that_are_in_their_modules(document: str) -> None:
    """Beside a module in brackets stands what is in it; what is written as in GraphQL is a field."""
    named = re.findall(r"`(\w+(?:\.\w+)?)`[^`(]{0,20}\(`([\w/]+\.py)`", _text(document))
    wrong = []
    for name, module in named:
        field = re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", name)
        if not {name, field} & _defined(module):
            wrong.append(f"{name} is not in {module}")
    assert wrong == []
    assert named or document != "docs/architecture.md"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_link_of_a_document_leads_somewhere(document: str) -> None:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", _text(document)):
        path, _, heading = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if heading else []
        if not target.exists() or (heading and heading not in {_anchor(one) for one in headings}):
            wrong.append(link)
    assert wrong == []


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_entity_that_is_walked_through_is_the_one_that_is_tried() -> None:
    section = (
        (ROOT / "docs/developing.md").read_text().partition("## An entity, in five files")[2].partition("\n## ")[0]
    )
    shown = [
        line.strip() for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL) for line in block.split("\n")
    ]
    toy = {line.strip() for file in (ROOT / "tests/toy").rglob("*.py") for line in file.read_text().split("\n")}
    assert len(shown) > 50
    assert [line for line in shown if line not in toy] == []
