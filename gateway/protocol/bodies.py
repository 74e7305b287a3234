"""Read JSON that clients send, in steps when it is long."""

import asyncio
import json
import re
from typing import Any

import msgspec

from schema.fields.values import whole

STEP = 262_144
"""The bytes that are read at once, which takes some milliseconds."""
MEMBER = 128
"""The time of reading a small value, counted in bytes."""
LEVELS = 6
"""The levels of nested objects that are read in steps: those of delivered results, down to the pages of estimators."""

_OPENING = re.compile(rb"[ \t\n\r]*(?:(\{)|\[[ \t\n\r]*[\[{])")
_MEMBERS: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])


def read(text: bytes | memoryview | str) -> Any:
    """A JSON value; raises ValueError. A number that no float or integer holds becomes infinite, so that its field
    refuses it, and not the whole request."""
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        text = bytes(text) if isinstance(text, memoryview) else text
        try:
            return json.loads(text, parse_int=whole, parse_constant=_refuse)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


async def read_in_steps(text: bytes) -> Any:
    """The same for a text of any length: the event loop answers others between its parts."""
    return await _Steps().value(memoryview(text), LEVELS)


class _Steps:
    def __init__(self) -> None:
        self._since = 0
        """Bytes read since others were answered."""

    async def value(self, text: memoryview, levels: int) -> Any:
        if text.nbytes > STEP and levels and (opened := _OPENING.match(text)):
            if opened[1]:
                members = await self._apart(text, _MEMBERS)
                return {name: await self.value(memoryview(part), levels - 1) for name, part in members.items()}
            elements = await self._apart(text, _ELEMENTS)
            return [await self.value(memoryview(part), levels - 1) for part in elements]
        self._since += MEMBER + text.nbytes
        if self._since > STEP:
            self._since = 0
            await asyncio.sleep(0)
        return read(text)

    async def _apart(self, text: memoryview, decoder: Any) -> Any:
        await asyncio.sleep(0)
        try:
            return decoder.decode(text)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"JSON has no {constant}")
