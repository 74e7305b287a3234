"""The built-in evaluators of challenges, by name. They are declared here and run as programs of their own.

This imports the standard library alone: what an evaluator computes with is imported when it runs.
"""

from collections.abc import Mapping
from types import MappingProxyType

from jobs.programs.evaluators.catalogue import ABX, CLASSIFICATION, TRANSCRIPTION
from jobs.programs.evaluators.evaluator import Evaluator

BUILT_IN: Mapping[str, Evaluator] = MappingProxyType(
    {evaluator.name: evaluator for evaluator in (CLASSIFICATION, TRANSCRIPTION, ABX)}
)
