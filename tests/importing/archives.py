"""Folders of archives, as tests write them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

CHALLENGES = [
    {"id": 1, "label": "zr1999", "start_date": "1999-01-20", "end_date": "1999-04-30", "active": False,
     "url": "https://speech.example/1999", "evaluator": None},
]  # fmt: skip


def written(root: Path, files: Mapping[str, Any]) -> Path:
    """Write files below a folder: texts and bytes as they are, other values as YAML or JSON."""
    for name, given in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(given, bytes):
            path.write_bytes(given)
        elif isinstance(given, str):
            path.write_text(given)
        else:
            path.write_text(json.dumps(given) if path.suffix == ".json" else yaml.safe_dump(given))
    return root


def abx(author: str, across: Any, within: Any = 5.0, **more: Any) -> dict[str, Any]:
    """An entry with the scores of one language."""
    return {"metadata": {"author": author, **more}, "scores": {"english_across": across, "english_within": within}}
