"""Pages that were made: the same page is not made again while its state stays."""

from collections import OrderedDict
from collections.abc import Hashable


class Kept:
    """Pages by their state, which also says of what they are. Those that were asked for longest ago go, beyond `most`
    bytes."""

    def __init__(self, most: int = 32_000_000) -> None:
        self._most = most
        self._pages: OrderedDict[Hashable, bytes] = OrderedDict()
        self._size = 0

    def get(self, state: Hashable) -> bytes | None:
        if (page := self._pages.get(state)) is not None:
            self._pages.move_to_end(state)
        return page

    def put(self, state: Hashable, page: bytes) -> None:
        if state in self._pages or len(page) > self._most:
            return
        self._pages[state] = page
        self._size += len(page)
        while self._size > self._most:
            self._size -= len(self._pages.popitem(last=False)[1])
