"""A source for specs of which the caller gives none.

The old database had only numbers and texts of a spec, and its source was elsewhere. The gateway makes both of one
source. A stand-in has as many models as were said, so that what is counted and listed is right; it is marked, so that
it never takes the place of a real one.
"""

import json

MARK = "x-torana-stand-in"


def source(version: str, model_count: int, title: str | None, description: str | None) -> str:
    """An OpenAPI specification of so many models without meaning."""
    info: dict[str, object] = {"title": title or "", "version": version, MARK: True}
    if description:
        info["description"] = description
    models = {
        f"Model{number}": {
            "type": "object",
            "x-tablename": f"model_{number}",
            "properties": {"id": {"type": "integer", "x-primary-key": True}},
        }
        for number in range(1, model_count + 1)
    }
    return json.dumps({"openapi": "3.0.3", "info": info, "paths": {}, "components": {"schemas": models}})


def is_stand_in(text: str) -> bool:
    """Whether a source is one."""
    try:
        return json.loads(text)["info"].get(MARK) is True
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
