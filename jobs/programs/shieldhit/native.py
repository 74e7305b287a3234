"""Read SHIELD-HIT12A's native input (beam.dat, mat.dat, geo.dat, detect.dat) into a plan for a proton beam in water.

The format follows the SHIELD-HIT12A User's Guide (v0.9.1, 2021). What is not modelled is refused, or named as left out.
"""

import math
from collections.abc import Mapping

from jobs.programs.plan import Beam, BeamShape, InputError, Plan
from jobs.programs.shieldhit import names
from jobs.programs.shieldhit.cards import Line, checked, lines, quoted
from jobs.programs.shieldhit.detectors import read_detectors
from jobs.programs.shieldhit.geometry import read_geometry
from jobs.programs.shieldhit.media import read_media

__all__ = ["MAX_ENERGY", "MAX_PRIMARIES", "REQUIRED_FILES", "InputError", "Plan", "read"]

REQUIRED_FILES = ("beam.dat", "mat.dat", "geo.dat", "detect.dat")
MAX_PRIMARIES = 1_000_000_000
MAX_ENERGY = 300.0
PROTON = 2

_REQUIRED_CARDS = ("RNDSEED", "JPART0", "TMAX0", "NSTAT")
_OPTIONAL_CARDS = ("TCUT0", "STRAGG", "MSCAT", "NUCRE", "BEAMPOS", "BEAMDIR", "BEAMSIGMA", "DELTAE")
_CARDS = frozenset(_REQUIRED_CARDS + _OPTIONAL_CARDS)
_IGNORED_CARDS = frozenset(("APCORR", "DEMIN", "EMTRANS", "MAKELN", "NEUTRFAST", "NEUTRLCUT", "OUTLVL", "OLN"))


def read(files: Mapping[str, str]) -> Plan:
    """Read native files and names.json, if there (name -> text); other names are ignored. Raises InputError."""
    for name in REQUIRED_FILES:
        if name not in files:
            raise InputError(name, None, f"file is missing; required are {', '.join(REQUIRED_FILES)}")
    texts = {name: checked(name, files[name]) for name in REQUIRED_FILES}
    unsupported: list[str] = []
    cards = _beam_cards(texts["beam.dat"], unsupported)
    beam = _read_beam(cards)
    media, others = read_media(texts["mat.dat"])
    position_line = cards["BEAMPOS"].number if "BEAMPOS" in cards else None
    geometry = read_geometry(texts["geo.dat"], media, others, beam, position_line)
    detectors, filters, outputs = read_detectors(texts["detect.dat"], unsupported)
    outputs = names.renamed(outputs, files.get(names.FILE))
    primaries = cards["NSTAT"].integer(1, "NSTAT number of primaries", 1, MAX_PRIMARIES)
    seed = cards["RNDSEED"].integer(1, "RNDSEED", 0, 2**59)
    return Plan(beam, geometry, media, detectors, filters, outputs, primaries, seed, unsupported)


def _read_beam(cards: Mapping[str, Line]) -> Beam:
    particle = cards["JPART0"]
    if particle.integer(1, "JPART0", -1000, 1000) != PROTON:
        raise particle.error(f"JPART0: particle {quoted(particle.words[1])}; allowed is {PROTON} (protons)")
    tmax = cards["TMAX0"]
    energy = tmax.real(1, "TMAX0 energy in MeV", 1.0, MAX_ENERGY)
    spread = tmax.real(2, "TMAX0 energy spread in MeV", 0.0, energy) if len(tmax.words) > 2 else 0.0
    low, high = 0.0, math.inf
    if cut := cards.get("TCUT0"):
        low = cut.real(1, "TCUT0 lower energy in MeV", 0.0)
        high = cut.real(2, "TCUT0 upper energy in MeV", 0.0)
        if not low <= energy <= high:
            raise cut.error(f"TCUT0: {low:g} to {high:g} MeV does not include the energy of TMAX0, {energy:g} MeV")
    position = (0.0, 0.0, 0.0)
    if card := cards.get("BEAMPOS"):
        position = (card.real(1, "BEAMPOS x in cm"), card.real(2, "BEAMPOS y in cm"), card.real(3, "BEAMPOS z in cm"))
    theta, phi = 0.0, 0.0
    if card := cards.get("BEAMDIR"):
        theta = card.real(1, "BEAMDIR theta in degrees", 0.0, 180.0)
        phi = card.real(2, "BEAMDIR phi in degrees", 0.0, 360.0)
    shape, size = _spot(cards.get("BEAMSIGMA"))
    deltae = cards.get("DELTAE")
    return Beam(
        energy=energy,
        spread=spread,
        energy_low=low,
        energy_high=high,
        position=position,
        theta=theta,
        phi=phi,
        shape=shape,
        size=size,
        straggling=_switch(cards, "STRAGG", 2, 2),
        scattering=_switch(cards, "MSCAT", 2, 2),
        nuclear=_switch(cards, "NUCRE", 1, 1) == 1,
        step_loss=deltae.real(1, "DELTAE", 1e-6, 0.5) if deltae else 0.03,
    )


def _beam_cards(text: str, unsupported: list[str]) -> dict[str, Line]:
    cards: dict[str, Line] = {}
    for line in lines("beam.dat", text):
        key = line.words[0].upper()
        if key in _IGNORED_CARDS:
            unsupported.append(f"beam.dat:{line.number}: card {key} has no effect in this program.")
            continue
        if key not in _CARDS:
            allowed = ", ".join(sorted(_CARDS))
            raise line.error(f"card {quoted(line.words[0])} is unknown or not supported; allowed are {allowed}")
        if key in cards:
            raise line.error(f"card {key} is given twice; first on line {cards[key].number}")
        cards[key] = line
    for key in _REQUIRED_CARDS:
        if key not in cards:
            raise InputError("beam.dat", None, f"card {key} is missing; required are {', '.join(_REQUIRED_CARDS)}")
    return cards


def _switch(cards: Mapping[str, Line], key: str, default: int, high: int) -> int:
    return cards[key].integer(1, key, 0, high) if key in cards else default


def _spot(card: Line | None) -> tuple[BeamShape, tuple[float, float]]:
    """Shape and size by the signs of BEAMSIGMA: both negative a square, only the second negative a disk."""
    if card is None:
        return "gaussian", (0.0, 0.0)
    first = card.real(1, "BEAMSIGMA x in cm")
    second = card.real(2, "BEAMSIGMA y in cm") if len(card.words) > 2 else first
    if first < 0 and second < 0:
        return "square", (-first, -second)
    if second < 0:
        return "circle", (-second, 0.0)
    if first < 0:
        raise card.error("BEAMSIGMA: a negative first and a positive second value is not allowed")
    return "gaussian", (first, second)
