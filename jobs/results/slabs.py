"""Numbers on their way from a worker: doubles in slabs, compressed. It needs only the standard library, since workers
have nothing else."""

import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator

NUMBERS = 131_072
"""Numbers of a slab (1 MB); only the last has fewer."""


def packed(numbers: "array[float]") -> bytes:
    """A slab of numbers: little-endian doubles, NaN for none."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return zlib.compress(numbers.tobytes(), 1)


def unpacked(data: bytes) -> bytes:
    """The doubles of a slab; raises ValueError for what is none."""
    inflate = zlib.decompressobj()
    try:
        found = inflate.decompress(data, 8 * NUMBERS)
    except zlib.error as error:
        raise ValueError(f"a slab can't be decompressed: {error}") from None
    if not inflate.eof or inflate.unused_data or len(found) % 8:
        raise ValueError(f"a slab has at most {NUMBERS} doubles")
    return found


def slabs(series: Iterable["array[float]"]) -> Iterator["array[float]"]:
    """Slabs of all numbers, one after another."""
    waiting = array("d")
    for numbers in series:
        place = 0
        while place < len(numbers):
            more = numbers[place : place + NUMBERS - len(waiting)]
            waiting.extend(more)
            place += len(more)
            if len(waiting) == NUMBERS:
                yield waiting
                waiting = array("d")
    if waiting:
        yield waiting
