"""results.json with {"estimators": [...]}, for programs that write YAPTIDE's shape themselves."""

import json
import math
from pathlib import Path
from typing import Any

from jobs.programs.readers import OutputError

FILE = "results.json"


def read(folder: Path, primaries: int | None = None) -> list[dict[str, Any]]:
    """The estimators as they stand there, but null for numbers that are not finite; raises OutputError."""
    estimators = decoded(folder, FILE).get("estimators")
    if not isinstance(estimators, list) or not all(isinstance(item, dict) for item in estimators):
        raise OutputError(FILE, 'it must hold {"estimators": [...]}')
    return estimators


def decoded(folder: Path, file: str) -> dict[str, Any]:
    """The object in a file, null for numbers that are not finite; raises OutputError."""
    try:
        text = (folder / file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise OutputError(file, "it was not written") from None
    except UnicodeDecodeError:
        raise OutputError(file, "it is not UTF-8 text") from None
    try:
        data = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise OutputError(file, f"it is not JSON, or is cut short: {error}") from None
    return data if isinstance(data, dict) else {}


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None
