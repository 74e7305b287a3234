"""An entity of five files is tried by the tests that walk the declarations, without a line more."""

import os
import re
import sys
from pathlib import Path
from subprocess import run

import pytest

ROOT = Path(__file__).parents[2]
WINGS = ("access", "reading", "writing", "schema", "db")
TRIED = {
    "test_a_row_is_read_by_whom_the_matrix_allows": "who reads it",
    "test_a_guarded_field_is_read_by_whom_the_table_allows": "its guarded column",
    "test_a_row_is_made_by_whom_the_matrix_allows": "who makes it",
    "test_a_field_is_changed_by_whom_the_matrix_allows": "who changes a field",
    "test_a_row_is_deleted_by_whom_the_matrix_allows": "who deletes it",
    "test_a_deleted_row_is_brought_back_by_whom_the_matrix_allows": "who restores it",
    "test_check_7_a_stale_version_changes_nothing": "its version",
    "test_a_mutation_does_not_tell_a_hidden_row_from_none": "what its mutations are given",
    "test_what_goes_with_a_row_goes_and_comes_back_with_it": "the cascade, with the nullable parent and the link",
    "test_as_many_statements_for_two_parents_as_for_twenty": "what its lists cost",
    "test_a_root_list_is_one_statement_and_its_total_another": "its list",
    "test_pages_are_the_sorted_list_cut_up": "its pages",
}
"""Tests with its name among their parameters."""
WHOLE = {
    "test_every_foreign_key_says_what_becomes_of_the_row": "its foreign keys",
    "test_every_entity_has_a_policy_that_says_who_reads_its_rows": "its policy",
    "test_every_field_is_guarded_as_the_table_says_or_is_said_to_be_open": "its fields",
    "test_deep_operations_are_answered_in_one_way": "both ways to answer",
}
"""Tests that try all entities at once."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_entity_of_five_files_is_tried_as_every_other() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "tests.toy", "-n", "0", "-vv", "--color=no"]
    wanted = ["-k", f"({' or '.join(('Sample', 'samples', *WHOLE))}) and not postgresql"]
    wanted += [f"tests/{wing}" for wing in WINGS]
    fewer = os.environ | {"TORANA_FUZZ_EXAMPLES": "60"}
    done = run([*command, *wanted], cwd=ROOT, capture_output=True, text=True, env=fewer)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-1_000:]
    passed = re.findall(r"::(\w+)(\[\S*\])? PASSED", done.stdout)
    assert TRIED.keys() - {name for name, given in passed if "ample" in given} == set()
    assert WHOLE.keys() - {name for name, _ in passed} == set()
