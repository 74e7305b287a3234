"""Writers of the files that FLUKA, SHIELD-HIT12A and TOPAS leave: small ones, for tests and stand-ins."""

import struct
from collections.abc import Sequence

# FLUKA


def record(data: bytes) -> bytes:
    """What an unformatted WRITE of Fortran makes of it."""
    return struct.pack("=i", len(data)) + data + struct.pack("=i", len(data))


def floats(values: Sequence[float]) -> bytes:
    return record(struct.pack(f"={len(values)}f", *values))


def fluka(title: str, primaries: int, *detectors: bytes) -> bytes:
    """A file; of residual nuclei after a time of decay, `primaries` are negative."""
    date = b"DATE:  1/ 2/26,  TIME: 10:11:12".ljust(32)
    start = struct.pack("=80s32sfiii", title.ljust(80).encode(), date, float(abs(primaries)), primaries, 0, 1)
    return record(start) + b"".join(detectors)


def usrbin(
    number: int,
    name: str,
    kind: int,
    score: int,
    low: tuple[float, ...],
    high: tuple[float, ...],
    cells: tuple[int, ...],
    values: Sequence[float],
) -> bytes:
    fields: list[object] = [number, name.ljust(10).encode(), kind, score]
    for start, stop, count in zip(low, high, cells, strict=True):
        fields += [start, stop, count, 1.0 if kind in (2, 12) else (stop - start) / count]
    return record(struct.pack("=i10siiffifffifffififff", *fields, 0, 0.0, 0.0, 0.0)) + floats(values)


def groups(borders: Sequence[float]) -> bytes:
    """Borders of groups of low-energy neutrons in GeV, the highest first."""
    return record(struct.pack(f"=i{len(borders)}f", len(borders) - 1, *borders)) if borders else b""


def usrtrack(
    number: int,
    name: str,
    kind: int,
    energies: tuple[float, float, int],
    values: Sequence[float],
    borders: Sequence[float] = (),
    particle: int = 8,
) -> bytes:
    head = struct.pack(
        "=i10siiififfif", number, name.ljust(10).encode(), kind, particle, 3, 12.5, bool(borders), *energies, 0.0
    )
    return record(head) + groups(borders) + floats(values)


def usrbdx(
    number: int,
    name: str,
    kind: int,
    energies: tuple[float, float, int],
    angles: tuple[float, float, int],
    values: Sequence[float],
    borders: Sequence[float] = (),
) -> bytes:
    particle = 8 if borders else 1
    given = (
        number,
        name.ljust(10).encode(),
        kind,
        particle,
        2,
        3,
        4.0,
        0,
        1,
        bool(borders),
        *energies,
        0.0,
        *angles,
        0.0,
    )
    return record(struct.pack("=i10siiiifiiiffifffif", *given)) + groups(borders) + floats(values)


def resnuclei(
    number: int, name: str, charges: int, excesses: int, values: Sequence[float], decay: float = 0.0
) -> bytes:
    """Values have Z fastest; N - Z begins at -4. Isomers follow, as FLUKA writes them."""
    head = struct.pack("=i10siif3i", number, name.ljust(10).encode(), 3, 5, 1.0, excesses, charges, -5)
    middle = record(struct.pack("=f", decay)) if decay else b""
    return record(head) + middle + floats(values) + record(b"ISOMERS:  " + struct.pack("=i", 1)) + floats([0.0])


def statistics(*errors: Sequence[float], before: int = 0) -> bytes:
    """The errors of a summed file, relative; for each detector there are so many records before them."""
    return record(b"STATISTICS    ") + b"".join(record(b"") * before + floats(each) for each in errors)


# SHIELD-HIT12A


def token(tag: int, value: object) -> bytes:
    """A tag, the type, the number of elements, the elements: text, whole numbers or others."""
    if isinstance(value, str):
        data = value.encode()
        return struct.pack("<Q8sQ", tag, f"|S{len(data)}".encode(), 1) + data
    items = value if isinstance(value, list) else [value]
    kind, form = ("<i8", "q") if all(isinstance(item, int) for item in items) else ("<f8", "d")
    return struct.pack("<Q8sQ", tag, kind.encode(), len(items)) + struct.pack(f"<{len(items)}{form}", *items)


def magic(version: str) -> bytes:
    return b"xSH12A" + b"II" + version.encode().ljust(16, b"\0")


def bdo(primaries: int, geometry: str, cells: list[int], low: list[float], high: list[float], *pages: bytes) -> bytes:
    """A file of 2019 and later."""
    file = magic("0.9.1") + token(0x00, "v0.9.1 stand-in") + token(0x05, 2) + token(0xAA00, primaries)
    file += token(0xEE02, len(pages)) + token(0xE000, geometry) + token(0xE001, "Grid") + token(0xE004, cells)
    return file + token(0xE002, low) + token(0xE003, high) + token(0xE009, "cm;cm;cm") + b"".join(pages)


def page(number: int, kind: int, normalised: int, unit: str, data: list[float], *more: bytes) -> bytes:
    """`normalised` 2 is for sums over primaries, 3 for means, 4 for lists of particles."""
    start = token(0xDD30, kind) + token(0xDD31, number) + token(0xDD32, normalised)
    return start + token(0xDDBC, unit) + b"".join(more) + token(0xDDBB, data)


def filtered(name: str) -> bytes:
    return token(0xDDF0, name)


def old_bdo(
    primaries: int,
    kind: int,
    geometry: str,
    cells: list[int],
    low: list[float],
    high: list[float],
    data: list[float],
    energies: tuple[float, float, int] | None = None,
) -> bytes:
    """A file of before June 2019, of one page; a zone's number is the first of `low`, and a logarithmic scale of
    energies has a negative number of bins."""
    file = magic("0.6.0") + token(0x00, "v0.6.0 stand-in") + token(0xAA00, primaries) + token(0xDD00, geometry)
    file += token(0xDD01, cells) + token(0xDD03, kind) + token(0xDD09, int(low[0]))
    file += token(0xDD0C, low) + token(0xDD0D, high)
    if energies is not None:
        file += token(0xDD07, energies[2]) + token(0xDD08, 1) + token(0xDD0E, energies[0]) + token(0xDD0F, energies[1])
    return file + token(0xDDBB, data)


# TOPAS


def topas(
    quantity: str,
    reports: Sequence[str],
    bins: tuple[int, int, int],
    rows: Sequence[Sequence[float]],
    *,
    energies: int = 0,
    filters: Sequence[str] = (),
) -> bytes:
    """A table; cells are 1 cm wide, bins of energy 1 MeV. With `energies`, rows have the numbers of underflow, overflow
    and hits without a track, too."""
    text = "# TOPAS Version: 3.9\n# Parameter File: topas_config.txt\n# Results for scorer: Scorer\n"
    text += "".join(f"# Filtered by: {each}\n" for each in filters)
    for axis, count in zip("XYZ", bins, strict=True):
        text += f"# {axis} in {count} {'bins' if count > 1 else 'bin '} of 1 cm\n"
    text += f"# {quantity} ( Gy ) : {'   '.join(reports)}   \n"
    if energies:
        text += f"# Binned by incident track energy in {energies} bins of 1 MeV from 0 MeV to {energies} MeV\n"
    places = [(x, y, z) for x in range(bins[0]) for y in range(bins[1]) for z in range(bins[2])]
    for place, row in zip(places, rows, strict=True):
        before = [] if energies or len(places) == 1 else map(str, place)
        text += ", ".join([*before, *(f"{number:.16g}" for number in row)]) + "\n"
    return text.encode()
