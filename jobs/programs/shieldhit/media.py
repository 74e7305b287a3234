"""mat.dat: the media, of which zones may have liquid water alone."""

from jobs.programs.plan import InputError, Medium
from jobs.programs.shieldhit.cards import Line, lines, quoted

FILE = "mat.dat"
WATER = 276


def read_media(text: str) -> tuple[tuple[Medium, ...], dict[int, InputError]]:
    """The media of water; and by their numbers the others, which no zone may have, with what is wrong with each.

    Raises InputError.
    """
    media: list[Medium] = []
    others: dict[int, InputError] = {}
    opened: Line | None = None
    body: list[Line] = []
    for line in lines(FILE, text):
        key = line.words[0].upper()
        if opened is None and key == "MEDIUM":
            opened, body = line, []
        elif opened is not None and key in ("ICRU", "RHO", "LOADDEDX"):
            body.append(line)
        elif opened is not None and key == "END":
            number = opened.integer(1, "MEDIUM", 1, 999)
            if number in others or any(medium.number == number for medium in media):
                raise opened.error(f"MEDIUM {number} is given twice")
            if error := _not_water(opened, body):
                others[number] = error
            else:
                media.append(Medium(number, WATER))
            opened = None
        else:
            place = "inside MEDIUM are ICRU, RHO and END" if opened is not None else "here is MEDIUM"
            raise line.error(f"{quoted(line.words[0])} is not supported; allowed {place}")
    if opened is not None:
        raise opened.error(f"MEDIUM {opened.integer(1, 'MEDIUM', 1, 999)} is not closed with END")
    if not media and not others:
        raise InputError(FILE, None, "section MEDIUM is missing")
    return tuple(media), others


def _not_water(opened: Line, body: list[Line]) -> InputError | None:
    """What of a medium is not as in liquid water."""
    icru = None
    wrong: InputError | None = None
    for line in body:
        match line.words[0].upper():
            case "ICRU":
                icru = line.integer(1, "ICRU", 0, 999)
                if icru != WATER:
                    wrong = wrong or line.error(f"ICRU material {icru}; allowed is {WATER} (liquid water)")
            case "RHO":
                if line.real(1, "RHO density in g/cm3", 1e-9, 100.0) != 1.0:
                    wrong = wrong or line.error(f"RHO {line.words[1]}; allowed is 1, that of liquid water")
            case _:
                wrong = wrong or line.error("LOADDEDX: tables of stopping powers are not supported")
    if icru is None:
        message = f"MEDIUM {opened.words[1]} has no ICRU line; allowed is ICRU {WATER} (liquid water)"
        return wrong or opened.error(message)
    return wrong
