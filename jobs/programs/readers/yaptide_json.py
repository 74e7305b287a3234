"""results.json with {"estimators": [...]}, for programs that write YAPTIDE's shape themselves."""

import json
import math
from pathlib import Path
from typing import Any

from jobs.programs.readers import OutputError

FILE = "results.json"


def read(folder: Path, primaries: int | None = None) -> list[dict[str, Any]]:
    """The estimators as they stand there, but null for numbers that are not finite; raises OutputError."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise OutputError(FILE, "it was not written") from None
    except UnicodeDecodeError:
        raise OutputError(FILE, "it is not UTF-8 text") from None
    try:
        data = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
    except (json.JSONDecodeError, RecursionError) as error:
        raise OutputError(FILE, f"it is not JSON, or is cut short: {error}") from None
    estimators = data.get("estimators") if isinstance(data, dict) else None
    if not isinstance(estimators, list) or not all(isinstance(item, dict) for item in estimators):
        raise OutputError(FILE, 'it must hold {"estimators": [...]}')
    return estimators


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None
