"""Stands in for FLUKA's rfluka: fluka.py -N0 -M1 NAME.inp works in fluka_PID and leaves NAME001_fort.21 and .22.

Unit 21 has two USRBIN of 2 x 3 x 1 and 1 x 1 x 4 cells, unit 22 one of rings, 2 in R and 3 in Z. Cell (x, y, z) of
each has 100 x + 10 y + z GeV/g or particles/cm2 per primary.
"""

import argparse
import os
import re
from pathlib import Path

from formats import fluka, usrbin
from orders import Orders, say

DOSE, PROTON = 228, 1
CARTESIAN, RINGS = 10, 11


def cells(counts: tuple[int, int, int], odd: float | None = None) -> list[float]:
    """Values in Fortran's order: x runs fastest."""
    values = [100.0 * x + 10 * y + z for z in range(counts[2]) for y in range(counts[1]) for x in range(counts[0])]
    if odd is not None:
        values[1] = odd
    return values


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
    front = usrbin(1, "front", CARTESIAN, DOSE, (-1.0, -3.0, 0.0), (1.0, 3.0, 1.0), (2, 3, 1), cells((2, 3, 1), odd))
    depth = usrbin(2, "depth", CARTESIAN, PROTON, (-1.0, -1.0, 0.0), (1.0, 1.0, 8.0), (1, 1, 4), cells((1, 1, 4)))
    rings = usrbin(1, "rings", RINGS, DOSE, (0.0, 0.0, 0.0), (4.0, 0.0, 6.0), (2, 1, 3), cells((2, 1, 3)))
    orders.write(Path(f"{name}_fort.21"), fluka(title, primaries, front, depth))
    orders.write(Path(f"{name}_fort.22"), fluka(title, primaries, rings))
    for path in folder.iterdir():
        path.rename(path.name)
    folder.rmdir()
    if match := re.search(r"standin missing (\d+)", text):
        Path(f"{name}_fort.{match[1]}").unlink()


if __name__ == "__main__":
    main()
