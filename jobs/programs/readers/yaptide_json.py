"""results.json with {"estimators": [...]}, for programs that write YAPTIDE's shape themselves. It may have sentences as
`warnings`, such as what was asked for and did not come. A `simulation.json`, whose keys are spelled as in YAPTIDE's
editor, is read as well."""

import json
import math
from typing import Any

from jobs.programs.outputs import Outputs
from jobs.programs.readers import OutputError, Reading

FILE = "results.json"


def read(outputs: Outputs, primaries: int | None = None) -> Reading:
    """The estimators as they stand there, but null for numbers that no double holds. What is no estimator and no
    sentence is left out and named. Raises OutputError."""
    given = decoded(outputs, FILE)
    estimators = given.get("estimators")
    if not isinstance(estimators, list):
        raise OutputError(FILE, 'it must hold {"estimators": [...]}')
    warnings = _sentences(given.get("warnings"))
    wrong = [place for place, one in enumerate(estimators) if not isinstance(one, dict)]
    warnings += [f"{FILE}: estimators[{place}] is no object" for place in wrong]
    if wrong and len(wrong) == len(estimators):
        raise OutputError(FILE, "none of its estimators is an object")
    return Reading([_respelled(one) for one in estimators if isinstance(one, dict)], warnings)


def _sentences(given: Any) -> list[str]:
    """The texts of a list, and a sentence on what else stands there."""
    told = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    texts = [text for text in told if isinstance(text, str)]
    if given is not None and not isinstance(given, str | list):
        return [f"{FILE}: warnings is no list of texts"]
    wrong = len(told) - len(texts)
    return texts + ([f"{FILE}: {wrong} of its warnings {'is' if wrong == 1 else 'are'} no text"] if wrong else [])


def _respelled(estimator: dict[str, Any]) -> dict[str, Any]:
    """An estimator with the keys of YAPTIDE's API; without a file name, its name stands for one."""
    made = {_KEYS.get(key, key): value for key, value in estimator.items()}
    if "name" in made:
        made.setdefault("file_name", made["name"])
    if isinstance(pages := made.get("pages"), list):
        made["pages"] = [
            {_KEYS.get(key, key): value for key, value in page.items()} if isinstance(page, dict) else page
            for page in pages
        ]
    return made


_KEYS = {"fileName": "file_name", **{f"axisDim{n}": f"axis_dim{n}" for n in (1, 2, 3)}}


def decoded(outputs: Outputs, file: str) -> dict[str, Any]:
    """The object in a file, null for numbers that no double holds; raises OutputError."""
    try:
        text = outputs.text(file)
    except FileNotFoundError:
        raise OutputError(file, "it was not written") from None
    except OSError as error:
        raise OutputError(file, str(error.strerror)) from None
    except UnicodeDecodeError:
        raise OutputError(file, "it is not UTF-8 text") from None
    try:
        data = json.loads(text, parse_constant=lambda _: None, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise OutputError(file, "its lists and objects are nested too deeply") from None
    except ValueError as error:
        raise OutputError(file, f"it is not JSON, or is cut short: {error}") from None
    return data if isinstance(data, dict) else {}


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _whole(text: str) -> int | None:
    return None if _finite(text) is None else int(text)
