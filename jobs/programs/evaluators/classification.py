"""Accuracy, precision, recall and F1 of labels, and standard errors of accuracy and macro F1.

It runs as a program: `python -m jobs.programs.evaluators.classification --submission FOLDER --reference FOLDER
--output FOLDER`. Precision, recall and F1 are those of scikit-learn, over all classes that the truth or the predictions
have; one that divides by zero is 0. Shares are from 0 to 1.
"""

import argparse
import sys
from typing import Any

from jobs.programs.evaluators.answers import Field, answers, truths
from jobs.programs.evaluators.catalogue import CLASSIFICATION
from jobs.programs.evaluators.command import Progress, package, run
from jobs.programs.evaluators.folder import Folder

SCHEMA = CLASSIFICATION.schema
MOST_CLASSES = 1000
_CELLS = 2_000_000
"""Numbers of resampled cells in memory at a time."""


def evaluate(submission: Folder, reference: Folder, given: argparse.Namespace) -> dict[str, Any]:
    true_labels, predicted_labels = _labels(submission, reference)
    numpy, metrics = package("numpy"), package("sklearn.metrics")
    classes = sorted({*true_labels, *predicted_labels})
    number = {label: index for index, label in enumerate(classes)}
    true = numpy.array([number[label] for label in true_labels])
    predicted = numpy.array([number[label] for label in predicted_labels])
    resamples = given.bootstrap if given.bootstrap >= 2 else 0
    progress = Progress(1 + resamples)
    scores: dict[str, Any] = {"accuracy": float(metrics.accuracy_score(true, predicted))}
    averages: dict[str, tuple[float, float, float, Any]] = {
        average: metrics.precision_recall_fscore_support(true, predicted, average=average, zero_division=0)
        for average in ("macro", "micro", "weighted")
    }
    for index, name in enumerate(("precision", "recall", "f1")):
        scores[name] = {average: float(values[index]) for average, values in averages.items()}
    found = metrics.precision_recall_fscore_support(
        true, predicted, labels=range(len(classes)), average=None, zero_division=0
    )
    scores["classes"] = {
        label: {"precision": float(precision), "recall": float(recall), "f1": float(f1), "support": int(support)}
        for label, precision, recall, f1, support in zip(classes, *found, strict=True)
    }
    progress.add(1)
    if resamples:
        accuracy, macro = standard_errors(true, predicted, len(classes), resamples, given.seed, progress)
        scores["errors"] = {"accuracy": accuracy, "f1": {"macro": macro}}
    return scores | {"count": len(true_labels)}


def _labels(submission: Folder, reference: Folder) -> tuple[list[str], list[str]]:
    """The true and the predicted labels, in the order of the reference; raises EvaluationError."""
    expected, given = Field("labels.csv", "label", 200), Field("predictions.csv", "label", 200)
    asked = truths(reference, expected)
    true = [sys.intern(truth.value) for truth in asked.values()]
    if len(set(true)) > MOST_CLASSES:
        raise reference.faults.fail(expected.file, None, f"there are over {MOST_CLASSES} classes")
    predicted = answers(submission, given, asked, expected.file)
    if len({*true, *predicted}) > MOST_CLASSES:
        raise submission.faults.fail(given.file, None, f"with these labels there are over {MOST_CLASSES} classes")
    return true, predicted


def standard_errors(
    true: Any, predicted: Any, classes: int, resamples: int, seed: int, progress: Progress | None = None
) -> tuple[float, float]:
    """Standard errors of accuracy and macro F1 by the bootstrap (Efron 1979): the standard deviation over `resamples`
    samples of the same size, drawn with replacement. `true` and `predicted` have the numbers of the classes, from 0.

    Both scores follow from how often each pair of classes occurs. How often it does in a resample is multinomial, so
    those counts are drawn and not the rows. The F1 of a resample is the mean over classes that occur in it.
    """
    numpy = package("numpy")
    cells, occurs = numpy.unique(true * classes + predicted, return_counts=True)
    cell_true, cell_predicted = cells // classes, cells % classes
    right = numpy.flatnonzero(cell_true == cell_predicted)
    by_predicted = numpy.argsort(cell_predicted, kind="stable")
    true_classes, true_starts = numpy.unique(cell_true, return_index=True)
    predicted_classes, predicted_starts = numpy.unique(cell_predicted[by_predicted], return_index=True)
    random = numpy.random.default_rng(seed)
    accuracies, macros = numpy.empty(resamples), numpy.empty(resamples)
    size = max(1, min(_CELLS // max(len(cells), classes), -(-resamples // 20)))
    for start in range(0, resamples, size):
        end = min(start + size, resamples)
        counts = random.multinomial(len(true), occurs / len(true), size=end - start)
        hits, both = numpy.zeros((2, end - start, classes))
        hits[:, cell_true[right]] = counts[:, right]
        both[:, true_classes] += numpy.add.reduceat(counts, true_starts, axis=1)
        both[:, predicted_classes] += numpy.add.reduceat(counts[:, by_predicted], predicted_starts, axis=1)
        accuracies[start:end] = hits.sum(axis=1) / len(true)
        macros[start:end] = (2 * hits / numpy.maximum(both, 1)).sum(axis=1) / (both > 0).sum(axis=1)
        if progress:
            progress.add(end - start)
    return float(accuracies.std(ddof=1)), float(macros.std(ddof=1))


def main() -> int:
    return run(CLASSIFICATION, evaluate)


if __name__ == "__main__":
    sys.exit(main())
