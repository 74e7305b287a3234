"""What the values of several tasks become: values and standard errors, each by its kind."""

from typing import Any

import numpy as np
import pytest

from jobs.results.estimators import Way, read
from jobs.results.layout import Layout, batches
from jobs.results.sums import Array, Sums
from tests.support.work import estimators

Part = tuple[int, Any]


def merged(way: Way, parts: list[tuple[Any, ...]], *, weighted: bool = False) -> tuple[Array, Array | None]:
    """Of each part the primaries, the values, and what there is of errors and weights."""
    sums = Sums(way, len(parts[0][1]), weighted=weighted)
    for primaries, *series in parts:
        sums.add(primaries, *(None if one is None else np.array(one, dtype=np.float64) for one in series))
    return sums.result()


def test_values_per_primary_are_merged_by_the_primaries_done() -> None:
    values, _ = merged("mean", [(1, [1.0, 8.0]), (3, [5.0, 0.0])])
    assert values.tolist() == [4.0, 2.0]


def test_a_value_that_one_task_lacks_is_the_mean_over_the_others() -> None:
    values, _ = merged("mean", [(1, [np.nan, np.nan]), (3, [5.0, np.nan])])
    np.testing.assert_array_equal(values, [5.0, np.nan])


def test_counts_are_summed_and_what_is_the_same_in_each_run_is_kept() -> None:
    parts = [(1, [1.0]), (3, [5.0]), (9, [np.nan])]
    for way, expected in (("sum", 6.0), ("same", 1.0), ("mean", 4.0), ("ratio", 4.0)):
        assert merged(way, parts)[0].tolist() == [expected], way  # type: ignore[arg-type]


@pytest.mark.parametrize(("second", "lacking"), [([4.0, 5.0], 0), ([4.0, np.nan], 1)])
def test_values_that_some_tasks_gave_and_others_did_not_are_counted(second: list[float], lacking: int) -> None:
    sums = Sums("sum", 3)
    for part in ([1.0, 2.0, np.nan], [*second, np.nan]):
        sums.add(10, np.array(part))
    assert sums.lacking == lacking


def test_numerators_and_denominators_are_merged_exactly() -> None:
    """The quotient of the sums, to 1e-12, however the hits are shared, with tasks that have none."""
    chance = np.random.default_rng(16)
    for tasks in (1, 7, 30):
        primaries = chance.integers(1, 1000, tasks)
        numerators, denominators = chance.random((2, tasks, 50)) * chance.integers(0, 2, (2, tasks, 50))
        denominators[0] += 0.5
        numerators[denominators == 0] = 0.0
        with np.errstate(all="ignore"):
            quotients = numerators / denominators
        parts = [(int(n), q, None, d) for n, q, d in zip(primaries, quotients, denominators, strict=True)]
        values, _ = merged("ratio", parts, weighted=True)
        whole = (numerators * primaries[:, None]).sum(0) / (denominators * primaries[:, None]).sum(0)
        np.testing.assert_allclose(values, whole, rtol=1e-12)


def test_errors_that_the_program_tells_are_added_in_squares() -> None:
    values, errors = merged("mean", [(100, [1.0], [0.3]), (300, [3.0], [0.1])])
    assert values.tolist() == [2.5]
    assert errors is not None
    np.testing.assert_allclose(errors, [np.hypot(100 * 0.3, 300 * 0.1) / 400], rtol=1e-12)


def test_where_one_task_tells_no_error_the_spread_between_tasks_is_the_error() -> None:
    _, errors = merged("mean", [(1, [1.0], [0.3]), (1, [3.0])])
    assert errors is not None
    np.testing.assert_allclose(errors, [1.0], rtol=1e-12)


def test_the_spread_of_equal_tasks_is_the_error_of_their_mean() -> None:
    chance = np.random.default_rng(5)
    tasks = chance.normal(10.0, 2.0, (12, 40)) + 1e6
    _, errors = merged("mean", [(7, row) for row in tasks])
    assert errors is not None
    np.testing.assert_allclose(errors, tasks.std(0, ddof=1) / np.sqrt(12), rtol=1e-9)
    counts, errors = merged("sum", [(7, row) for row in tasks])
    assert errors is not None
    np.testing.assert_allclose(errors, tasks.std(0, ddof=1) * np.sqrt(12), rtol=1e-9)
    np.testing.assert_allclose(counts, tasks.sum(0), rtol=1e-12)


def test_the_error_of_a_quotient_is_right_within_its_own_error() -> None:
    """Over many repetitions, the spread of the quotient is what the estimator says."""
    chance = np.random.default_rng(3)
    size = 4_000
    hits = chance.poisson(20, (8, size))
    energies = np.array([[chance.gamma(4.0, 5.0, n).sum() for n in row] for row in hits])
    values, errors = merged(
        "ratio", [(1_000, e / h, None, h / 1_000) for e, h in zip(energies, hits, strict=True)], weighted=True
    )
    assert errors is not None
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.05)


def test_one_task_alone_has_no_spread() -> None:
    assert merged("mean", [(5, [1.0, 2.0])])[1] is None
    assert merged("same", [(5, [1.0]), (5, [1.0])])[1] is None


def put(layout: Layout, task: int, given: Any) -> None:
    """What a task delivered."""
    for estimator in read(given).estimators:
        layout.add(estimator)
        for page in estimator.pages:
            layout.put(task, estimator.file_name, page, [np.array(axis.values, dtype=float) for axis in page.axes])


def test_estimators_are_matched_by_file_name_and_pages_by_number() -> None:
    layout = Layout()
    put(layout, 1, estimators(1.0, name="b.bdo") + estimators(2.0, name="a.bdo"))
    put(layout, 2, estimators(4.0, name="a.bdo"))
    assert [(sheet.file_name, sheet.tasks) for sheet in layout.sheets()] == [("b.bdo", [1]), ("a.bdo", [1, 2])]
    assert layout.warnings == []


def plane(first: int, second: int, unit: str = "Gy", name: str = "DOSE", axis: str = "X", start: float = 0.0) -> Any:
    given = estimators(1.0, axis=first * second)
    page = given[0]["pages"][0]
    page["data"] |= {"unit": unit, "name": name}
    for key, size in (("axis_dim1", first), ("axis_dim2", second)):
        page[key] = {"name": axis, "unit": "cm", "values": [start + n for n in range(size)]}
    page["dimensions"] = 2
    return given


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        ({"first": 4, "second": 4}, "shape or axes"),
        ({"first": 8, "second": 2}, "shape or axes"),
        ({"axis": "Y"}, "shape or axes"),
        ({"unit": "MeV"}, "name, unit or kind of mean"),
        ({"name": "LET"}, "name, unit or kind of mean"),
        ({"start": 10.0}, "the bins of an axis"),
    ],
)
def test_pages_that_are_not_the_same_are_not_merged(other: Any, differs: str) -> None:
    layout = Layout()
    put(layout, 1, plane(2, 8))
    put(layout, 2, plane(**{"first": 2, "second": 8, **other}))
    put(layout, 3, plane(2, 8, start=1e-9))
    assert [sheet.tasks for sheet in layout.sheets()] == [[1, 3]]
    name = other.get("name", "DOSE")
    assert layout.warnings == [
        f"z.bdo, page 0 of {name} differs in {differs} from that of task 1: that of task 2 is left out"
    ]


def test_an_axis_without_bins_is_named() -> None:
    checked = read(estimators(1.0, name="a") + estimators(1.0, name="b", axis=0))
    assert checked.warnings == ["b, pages[0]: Position (Z) has no bins"]


def test_the_largest_and_the_smallest_doubles_are_merged() -> None:
    values, errors = merged("mean", [(1_000, [1.7e308, 1e-200, 0.0]), (1_000, [1.7e308, 3e-200, 4e-310])])
    assert errors is not None
    np.testing.assert_allclose(values, [1.7e308, 2e-200, 2e-310], rtol=1e-9)
    np.testing.assert_allclose(errors, [0.0, 1e-200, 2e-310], rtol=1e-9)
    values, errors = merged("sum", [(1, [1.7e308]), (1, [1.7e308])])
    assert np.isinf(values).all() or np.isnan(values).all()
    assert errors is None


def test_values_are_merged_in_pieces_that_cover_all_of_them() -> None:
    layout = Layout()
    put(layout, 1, estimators(1.0, name="a", axis=10) + estimators(1.0, name="b", axis=3))
    found = [[(p.sheet.file_name, p.start, p.stop) for p in batch] for batch in batches(layout, 4)]
    assert found == [[("a", 0, 4)], [("a", 4, 8)], [("a", 8, 10)], [("b", 0, 3)]]
