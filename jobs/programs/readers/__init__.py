"""Readers of the programs' output files. Each makes estimators in YAPTIDE's shape; there is one module for each format.

A module is imported when its format is read, so its dependencies are needed only there.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

READERS = {"yaptide-json": "yaptide_json", "shieldhit": "shieldhit", "fluka": "fluka", "topas": "topas"}
"""Module by the name of the format."""


class OutputError(ValueError):
    """A file that a program wrote is missing or cannot be read."""

    def __init__(self, file: str, message: str) -> None:
        super().__init__(f"{file}: {message}")
        self.file = file
        self.message = message


def read(results: str, folder: Path, primaries: int | None = None) -> list[dict[str, Any]]:
    """The estimators in a folder; `primaries` are those of the run, for files that do not say. Raises OutputError."""
    module = import_module(f"jobs.programs.readers.{READERS[results]}")
    estimators: list[dict[str, Any]] = module.read(folder, primaries)
    return estimators


def library(module: str, file: str) -> ModuleType:
    """A module of pymchelper; raises OutputError for the file that needs it."""
    try:
        return import_module(f"pymchelper.{module}")
    except ImportError as error:
        message = f"it is read with pymchelper, which does not work here: {error}; install torana's group programs"
        raise OutputError(file, message) from None
