"""Real results of programs, in a folder that TORANA_TEST_FILES names: each is read, or refused by its name."""

import os
from pathlib import Path

import numpy as np
import pytest

from jobs.programs.readers import OutputError, library, read
from jobs.results import estimators
from tests.support.programs import WITH_LIBRARY, as_json

FOLDER = os.environ.get("TORANA_TEST_FILES", "")
PATTERNS = {"shieldhit": "*.bdo", "fluka": "*_fort.*", "topas": "*.csv"}
FILES = [(kind, path) for kind, pattern in PATTERNS.items() for path in sorted(Path(FOLDER).rglob(pattern)) if FOLDER]

pytestmark = [WITH_LIBRARY, pytest.mark.skipif(not FILES, reason="TORANA_TEST_FILES names no results")]


@pytest.mark.parametrize(("kind", "path"), FILES, ids=[path.name for _, path in FILES])
def test_a_real_file_is_read_or_refused_by_its_name(kind: str, path: Path, tmp_path: Path) -> None:
    (tmp_path / path.name).symlink_to(path.resolve())
    try:
        found = read(kind, tmp_path, 1000)
    except OutputError:
        return  # another program's table
    assert found.estimators or found.warnings or found.files
    assert estimators.read(as_json(found.estimators)).warnings == []
    assert all(warning.startswith(path.name) for warning in found.warnings)


@pytest.mark.parametrize(
    "path", [path for kind, path in FILES if kind == "shieldhit"], ids=lambda path: Path(path).name
)
def test_shieldhits_values_are_those_of_pymchelper(path: Path, tmp_path: Path) -> None:
    """All but quotients of zero, which are none."""
    (tmp_path / path.name).symlink_to(path.resolve())
    pages = [page for one in read("shieldhit", tmp_path).estimators for page in one["pages"]]
    if not pages:
        return  # refused
    whole = library("input_output", path.name).fromfile(str(path))
    loaded = {int(getattr(page, "page_number", number)): page for number, page in enumerate(whole.pages)}
    for page in pages:
        expected = np.asarray(loaded[int(page["metadata"]["page_number"])].data_raw, dtype=float).ravel()
        values = np.array(page["data"]["values"])
        assert np.array_equal(np.nan_to_num(values), np.nan_to_num(expected))
