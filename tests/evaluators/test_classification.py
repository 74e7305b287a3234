"""The scores of a classification."""

import random

import numpy as np
import pytest
from sklearn.metrics import f1_score

from jobs.programs.evaluators.classification import standard_errors
from tests.evaluators.conftest import Challenge, Challenges

LABELS = ["id,label", "1,cat", "2,cat", "3,cat", "4,dog", "5,dog", "6,owl"]


@pytest.fixture
def animals(challenge: Challenges) -> Challenge:
    made = challenge("classification")
    made.put("reference/labels.csv", "\n".join(LABELS) + "\n")
    made.put("submission/predictions.csv", "id,label\n6,owl\n5,cat\n4,dog\n3,dog\n2,cat\n1,cat\n")
    return made


def test_scores_are_those_by_hand(animals: Challenge) -> None:
    """Cat: 2 of 3 found, 2 of 3 right. Dog: 1 of 2, 1 of 2. Owl: all."""
    scores = animals.run("--bootstrap", "0").scores
    assert scores == {
        "accuracy": pytest.approx(4 / 6),
        "precision": pytest.approx({"macro": (2 / 3 + 1 / 2 + 1) / 3, "micro": 4 / 6, "weighted": 4 / 6}),
        "recall": pytest.approx({"macro": (2 / 3 + 1 / 2 + 1) / 3, "micro": 4 / 6, "weighted": 4 / 6}),
        "f1": pytest.approx({"macro": (2 / 3 + 1 / 2 + 1) / 3, "micro": 4 / 6, "weighted": 4 / 6}),
        "classes": {
            "cat": pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3}),
            "dog": pytest.approx({"precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2, "support": 2}),
            "owl": {"precision": 1, "recall": 1, "f1": 1, "support": 1},
        },
        "count": 6,
    }


def test_as_a_process_it_writes_the_same_scores_each_time(animals: Challenge) -> None:
    first = animals.process("--bootstrap", "200")
    assert first.status == 0, first.message
    assert first.progress[-1] == "evaluated 201 of 201"
    assert len(first.progress) <= 50
    assert first.scores == animals.run("--bootstrap", "200").scores
    assert first.scores["errors"] != animals.run("--bootstrap", "200", "--seed", "1").scores["errors"]


def test_the_standard_error_of_accuracy_is_that_of_a_share(animals: Challenge) -> None:
    errors = animals.run("--bootstrap", "10000").scores["errors"]
    assert errors["accuracy"] == pytest.approx((4 / 6 * 2 / 6 / 6) ** 0.5, rel=0.03)


def test_standard_errors_are_those_of_resampled_rows() -> None:
    chance = np.random.default_rng(5)
    true = chance.integers(0, 4, 80)
    predicted = np.where(chance.random(80) < 0.6, true, chance.integers(0, 4, 80))
    rows = [chance.integers(0, 80, 80) for _ in range(800)]
    macros = [f1_score(true[row], predicted[row], average="macro", zero_division=0) for row in rows]
    accuracies = [(true[row] == predicted[row]).mean() for row in rows]
    found = standard_errors(true, predicted, 4, 10_000, 0)
    assert found == pytest.approx((np.std(accuracies), np.std(macros)), rel=0.1)


def test_the_f1_of_a_resample_is_over_its_own_classes() -> None:
    """Two rows of two classes: half of the resamples have one class, and one of both is right."""
    found = standard_errors(np.array([0, 1]), np.array([0, 0]), 2, 10_000, 0)
    values = [1.0, f1_score([0, 1], [0, 0], average="macro"), f1_score([0, 1], [0, 0], average="macro"), 0.0]
    assert found[1] == pytest.approx(np.std(values), rel=0.05)


def test_a_class_that_is_only_predicted_counts_in_macro_averages(animals: Challenge) -> None:
    animals.put("submission/predictions.csv", "id,label\n1,cat\n2,cat\n3,cat\n4,dog\n5,dog\n6,emu\n")
    scores = animals.run().scores
    assert scores["f1"]["macro"] == pytest.approx(2 / 4)
    assert scores["classes"]["emu"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}


def test_one_class_alone_is_scored(animals: Challenge) -> None:
    animals.put("reference/labels.csv", "id,label\n1,cat\n2,cat\n")
    animals.put("submission/predictions.csv", "id,label\n1,cat\n2,cat\n")
    scores = animals.run().scores
    assert (scores["accuracy"], scores["f1"]["macro"], scores["errors"]) == (1, 1, {"accuracy": 0, "f1": {"macro": 0}})


def test_all_wrong_is_zero(animals: Challenge) -> None:
    animals.put("submission/predictions.csv", "id,label\n" + "".join(f"{id},emu\n" for id in range(1, 7)))
    scores = animals.run().scores
    assert (scores["accuracy"], scores["f1"]["macro"], scores["precision"]["weighted"]) == (0, 0, 0)


def test_ids_may_have_commas_quotes_and_any_letters(animals: Challenge) -> None:
    ids = ["a,b", 'say "x"', "été", "日本", "a b"]
    animals.table("reference/labels.csv", ("id", "label"), *((id, "cat") for id in ids))
    random.Random(1).shuffle(ids)
    ids[ids.index("été")] = "e\N{COMBINING ACUTE ACCENT}te\N{COMBINING ACUTE ACCENT}"
    animals.table("submission/predictions.csv", ("id", "label"), *((id, "cat") for id in ids))
    assert animals.run().scores["accuracy"] == 1


def test_a_hundred_thousand_rows_take_seconds(animals: Challenge) -> None:
    chance = random.Random(1)
    rows = [(id, chance.randrange(20)) for id in range(100_000)]
    animals.table("reference/labels.csv", ("id", "label"), *rows)
    chance.shuffle(rows)
    animals.table("submission/predictions.csv", ("id", "label"), *rows)
    assert animals.run("--bootstrap", "100").scores["count"] == 100_000


def test_missing_ids_are_counted_and_not_named(animals: Challenge) -> None:
    animals.put("submission/predictions.csv", "id,label\n1,cat\n2,cat\n3,cat\n5,dog\n")
    assert animals.refused() == (
        "predictions.csv: 2 of 6 ids are missing (lines 5, 7 of labels.csv); each id of the reference is needed"
    )


def test_unknown_and_double_ids_are_refused_with_their_lines(animals: Challenge) -> None:
    animals.put("submission/predictions.csv", "\n".join([*LABELS, "7,cat", "2,dog", ",dog"]) + "\n")
    assert animals.refused() == (
        "predictions.csv, line 8: the id '7' is unknown; the ids of the reference are allowed; "
        "predictions.csv, line 9: the id '2' is the same as in line 3; each id is allowed once; "
        "predictions.csv, line 10: the id is empty"
    )


def test_of_many_faults_ten_are_named(animals: Challenge) -> None:
    animals.put("submission/predictions.csv", "\n".join([*LABELS, *(f"x{n},cat" for n in range(25))]))
    message = animals.refused()
    assert message.count("is unknown") == 10
    assert message.endswith("; and 15 more")


def test_a_long_id_is_cut_in_the_message(animals: Challenge) -> None:
    animals.put("submission/predictions.csv", "\n".join([*LABELS, "\N{RIGHT-TO-LEFT OVERRIDE}" + "x" * 500 + ",cat"]))
    message = animals.refused()
    assert "\\u202exxx" in message
    assert len(message) < 200


def test_labels_that_are_empty_or_long_are_refused(animals: Challenge) -> None:
    animals.put("submission/predictions.csv", f"id,label\n1,\n2,{'x' * 201}\n3,cat\n4,dog\n5,dog\n6,owl\n")
    assert animals.refused() == (
        "predictions.csv, line 2: the label is empty; "
        "predictions.csv, line 3: the label has 201 characters; at most 200 are allowed"
    )


def test_more_than_a_thousand_classes_are_refused(animals: Challenge) -> None:
    rows = [(id, f"class {id}") for id in range(1001)]
    animals.table("submission/predictions.csv", ("id", "label"), *rows)
    animals.table("reference/labels.csv", ("id", "label"), *((id, "one") for id, _ in rows))
    assert animals.refused() == "predictions.csv: with these labels there are over 1000 classes"
    animals.table("reference/labels.csv", ("id", "label"), *rows)
    assert animals.refused(status=2) == "labels.csv: there are over 1000 classes"


def test_wrong_reference_data_are_the_organisers_fault_and_stay_secret(animals: Challenge) -> None:
    animals.put("reference/labels.csv", "id,label\nsecret,cat\nsecret,dog\n9,\n")
    assert animals.refused(status=2) == (
        "labels.csv, line 3: the id is the same as in line 2; each id is allowed once; "
        "labels.csv, line 4: the label is empty"
    )
    animals.put("reference/labels.csv", "id,label\n")
    assert animals.refused(status=2) == "labels.csv: there are no rows; at least one is needed"
