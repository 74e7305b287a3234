"""Reading JSON that clients send."""

import json
from typing import Any

import msgspec

from schema.values import whole


def read(text: bytes | str) -> Any:
    """A JSON value; raises ValueError. A number that no float or integer holds is infinite, so that the field that it
    was given to refuses it, and not the whole request."""
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        try:
            return json.loads(text, parse_int=whole, parse_constant=_refuse)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"JSON has no {constant}")
