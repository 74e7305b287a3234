"""Stands in for SHIELD-HIT12A: shieldhit.py -n PRIMARIES -N OFFSET FOLDER writes yz_OFFSET.bdo and slab_OFFSET.bdo.

yz has two pages on a mesh of 1 x 3 x 4 cells, slab a number, a spectrum of 5 bins, and one of 5 energies by 2
angles. Cell (y, z) of page p has 100 p + 10 y + z per primary, bin e of the spectrum e + 0.5, bin (e, a) e + 10 a.
"""

import argparse
import re
from pathlib import Path

import orders
from formats import bdo, filtered, page, token

DOSE, FLUENCE, ENERGY, KINETIC = 5, 2, 8, 27


def mesh(primaries: int, told: orders.Orders) -> bytes:
    pages = []
    for number, (kind, unit) in enumerate([(DOSE, "MeV/g"), (FLUENCE, "/cm^2")]):
        data = [(100.0 * number + 10 * y + z) * primaries for z in range(4) for y in range(3)]
        if "nan" in told and number == 0:
            data[1] = float("nan")
            data[2] = float("inf")
        more = [filtered("Protons")] if number else []
        pages.append(page(number, kind, 2, unit, data, *more))
    return bdo(primaries, "MSH", [1, 3, 4], [-1.0, -3.0, 0.0], [1.0, 3.0, 8.0], *pages)


def slab(primaries: int) -> bytes:
    energy = page(0, ENERGY, 3, "MeV", [148.5])
    flat = [(bin + 0.5) * primaries for bin in range(5)]
    spectrum = page(1, FLUENCE, 2, "/cm^2/MeV", flat, *differential([5, 1], "/cm^2;MeV"))
    # version 1.0 has both units the other way round
    turned = [(energy + 10.0 * angle) * primaries for angle in range(2) for energy in range(5)]
    by_angle = page(2, FLUENCE, 2, "/cm^2;MeV;deg", turned, *differential([5, 2], "/cm^2/MeV/deg"))
    return bdo(primaries, "CYL", [1, 1, 1], [0.0, 0.0, 0.0], [4.0, 6.0, 1.0], energy, spectrum, by_angle)


def differential(bins: list[int], units: str) -> list[bytes]:
    """Kinetic energy and an angle, though the type of the first is given for both, as version 1.0 does."""
    return [
        token(0xDDD0, [1, 1]),
        token(0xDDD1, [KINETIC, KINETIC]),
        token(0xDDD2, [0.0, 0.0]),
        token(0xDDD3, [160.0, 90.0]),
        token(0xDDD4, bins),
        token(0xDDD5, units),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--nstat", type=int, required=True)
    parser.add_argument("-N", "--seedoffset", type=int, default=0)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    text = "".join((options.folder / f"{name}.dat").read_text() for name in ("beam", "mat", "geo", "detect"))
    told = orders.Orders(text)
    seed = int(re.search(r"^RNDSEED\s+(\d+)", text, re.MULTILINE)[1]) + options.seedoffset
    with (options.folder / f"shieldhit_{options.seedoffset:04d}.log").open("w") as log:

        def say(line: str) -> None:
            log.write(f"{line}\n")
            log.flush()
            orders.say(line)

        def progress(done: int, left: float) -> None:
            say(f"     Primary particle no. {done:11d}      ETR:   0 hours  0 minutes {left:2.0f} seconds")

        say(f" Random seed: {seed}")
        say(f" Requested number of primaries NSTAT: {options.nstat}")
        say(" Starting transport...")
        told.run(options.nstat, progress)
        told.write(options.folder / f"yz_{options.seedoffset:04d}.bdo", mesh(options.nstat, told))
        told.write(options.folder / f"slab_{options.seedoffset:04d}.bdo", slab(options.nstat))
        say("     Run time:   0 hours  0 minutes  1 seconds")


if __name__ == "__main__":
    main()
