"""Stands in for FLUKA's rfluka: fluka.py -N0 -M1 NAME.inp works in fluka_PID and leaves NAME001_fort.21 and .22.

Unit 21 has two USRBIN of 2 x 3 x 1 and 1 x 1 x 4 cells, unit 22 one of rings, 2 in R and 3 in Z. Cell (x, y, z) of
each has 100 x + 10 y + z GeV/g or particles/cm2 per primary.
"""

import argparse
import os
import re
import struct
from pathlib import Path

from orders import Orders, say

DOSE, PROTON = 228, 1
CARTESIAN, RINGS = 10, 11


def record(data: bytes) -> bytes:
    """What an unformatted WRITE of Fortran makes of it."""
    return struct.pack("=i", len(data)) + data + struct.pack("=i", len(data))


def usrbin(
    number: int,
    name: str,
    kind: int,
    score: int,
    low: tuple[float, ...],
    high: tuple[float, ...],
    cells: tuple[int, ...],
    odd: float | None = None,
) -> bytes:
    fields: list[object] = [number, name.ljust(10).encode(), kind, score]
    for start, stop, count in zip(low, high, cells, strict=True):
        fields += [start, stop, count, (stop - start) / count]
    head = struct.pack("=i10siiffifffifffififff", *fields, 0, 0.0, 0.0, 0.0)
    values = [
        100.0 * x + 10 * y + z for z in range(cells[2]) for y in range(cells[1]) for x in range(cells[0])
    ]  # Fortran's order: x runs fastest
    if odd is not None:
        values[1] = odd
    return record(head) + record(struct.pack(f"={len(values)}f", *values))


def start(title: str, primaries: int) -> bytes:
    date = b"DATE:  1/ 2/26,  TIME: 10:11:12".ljust(32)
    return record(struct.pack("=80s32sfiii", title.ljust(80).encode(), date, float(primaries), primaries, 0, 1))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-N", type=int, required=True)
    parser.add_argument("-M", type=int, required=True)
    parser.add_argument("input", type=Path)
    options = parser.parse_args()
    text = options.input.read_text()
    orders = Orders(text)
    cards = {line[:10].strip(): line for line in text.splitlines() if not line.startswith("*")}
    primaries = int(float(cards["START"][10:20]))
    seed = int(float(cards["RANDOMIZ"][20:30]))
    name = f"{options.input.stem}{options.N + 1:03d}"
    folder = Path(f"fluka_{os.getpid()}")
    folder.mkdir()
    say(f"$TARGET_MACHINE = Linux\nInitial seed {seed}\nRunning fluka in {folder.resolve()}")
    with (folder / f"{name}.out").open("w") as out:

        def progress(done: int, left: float) -> None:
            rest = primaries - done
            out.write(f" NEXT SEEDS: {seed:8X}       0       0       0       0\n")
            out.write(f" {done:10d} {rest:21d} {rest:21d} {left:25.7E} {1e30:21.7E} {0:17d}       \n")
            out.flush()

        out.write("1NUMBER OF BEAM   NUMBER OF BEAM   APPROXIMATE NUMBER   AVERAGE TIME USED   TIME LEFT\n")
        orders.run(primaries, progress)
        out.write(" All cases handled by Feeder\n * ======    End of FLUKA 4-4.0 run     ====== *\n")
    title = re.sub(r"\s+", " ", f"seed {seed}")
    odd = float("nan") if "nan" in orders else None
    two = usrbin(1, "front", CARTESIAN, DOSE, (-1.0, -3.0, 0.0), (1.0, 3.0, 1.0), (2, 3, 1), odd)
    two += usrbin(2, "depth", CARTESIAN, PROTON, (-1.0, -1.0, 0.0), (1.0, 1.0, 8.0), (1, 1, 4))
    rings = usrbin(1, "rings", RINGS, DOSE, (0.0, 0.0, 0.0), (4.0, 0.0, 6.0), (2, 1, 3))
    orders.write(Path(f"{name}_fort.21"), start(title, primaries) + two)
    orders.write(Path(f"{name}_fort.22"), start(title, primaries) + rings)
    for path in folder.iterdir():
        path.rename(path.name)
    folder.rmdir()
    if match := re.search(r"standin missing (\d+)", text):
        Path(f"{name}_fort.{match[1]}").unlink()


if __name__ == "__main__":
    main()
