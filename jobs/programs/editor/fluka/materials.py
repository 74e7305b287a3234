"""Write the materials, and assign them to the regions."""

import math
import re
from collections.abc import Iterable, Mapping

from jobs.programs.editor.fluka.cards import card
from jobs.programs.editor.model import BLACK_HOLE, VACUUM, Material, Simulation
from jobs.programs.editor.values import NativeFile
from jobs.programs.plan import InputError

COMPOUNDS: Mapping[int, tuple[str, float]] = {
    **{276: ("WATER", 1.0), 104: ("AIR", 0.00120479), 226: ("POLYSTYR", 1.06), 216: ("PLASCINT", 1.032)},
    **{223: ("PMMA", 1.19), 119: ("BONECOMP", 1.85), 120: ("BONECORT", 1.85), 201: ("MUSCLESK", 1.04)},
    **{202: ("MUSCLEST", 1.04), 103: ("ADTISSUE", 0.92), 179: ("KAPTON", 1.42), 221: ("POLYETHY", 0.94)},
}
"""FLUKA's compounds by ICRU number: name and density in g/cm3."""

_ELEMENTS = (
    "1 HYDROGEN 2 HELIUM 3 LITHIUM 4 BERYLLIU 5 BORON 6 CARBON 7 NITROGEN 8 OXYGEN 9 FLUORINE 10 NEON 11 SODIUM "
    "12 MAGNESIU 13 ALUMINUM 14 SILICON 15 PHOSPHO 16 SULFUR 17 CHLORINE 18 ARGON 19 POTASSIU 20 CALCIUM 21 SCANDIUM "
    "22 TITANIUM 23 VANADIUM 24 CHROMIUM 25 MANGANES 26 IRON 27 COBALT 28 NICKEL 29 COPPER 30 ZINC 31 GALLIUM "
    "32 GERMANIU 33 ARSENIC 35 BROMINE 36 KRYPTON 38 STRONTIU 39 YTTRIUM 40 ZIRCONIU 41 NIOBIUM 42 MOLYBDEN 43 99-TC "
    "46 PALLADIU 47 SILVER 48 CADMIUM 49 INDIUM 50 TIN 51 ANTIMONY 53 IODINE 54 XENON 55 CESIUM 56 BARIUM "
    "57 LANTHANU 58 CERIUM 60 NEODYMIU 62 SAMARIUM 63 EUROPIUM 64 GADOLINI 65 TERBIUM 71 LUTETIUM 72 HAFNIUM "
    "73 TANTALUM 74 TUNGSTEN 75 RHENIUM 77 IRIDIUM 78 PLATINUM 79 GOLD 80 MERCURY 82 LEAD 83 BISMUTH 90 232-TH "
    "92 238-U 94 239-PU 95 241-AM"
)
ELEMENTS = {int(z): name for z, name in re.findall(r"(\d+) (\S+)", _ELEMENTS)}
"""Names of the cross sections of low-energy neutrons by charge number."""


class Materials:
    """FLUKA's materials of a simulation; raises InputError for one that is used and that FLUKA doesn't know."""

    def __init__(self, simulation: Simulation, filling: Iterable[int]) -> None:
        """`filling` are the places of the materials that zones are filled with."""
        self._names: dict[int, str] = {}
        self._counts = {"MAT": 0, "COM": 0}
        self._cards: list[tuple[int, str, str]] = []
        needed = set(filling)
        for index, material in enumerate(simulation.materials):
            try:
                self._names[index] = self._name(material)
            except InputError:
                if index in needed:
                    raise

    def name(self, material: int) -> str:
        """The name of a material, by its place in the list of materials."""
        return self._names[material]

    def write(self, file: NativeFile) -> None:
        """Add the cards, those of a kind together."""
        for _, path, line in sorted(self._cards, key=lambda each: each[0]):
            file.add(path, line)

    def _name(self, material: Material) -> str:
        if not material.solid:
            return {BLACK_HOLE: "BLCKHOLE", VACUUM: "VACUUM"}[material.icru]
        if material.table:
            message = "found true; FLUKA takes no table of stopping powers"
            raise InputError(f"{material.path}.customStoppingPower", None, message)
        if material.icru in COMPOUNDS:
            known, density = COMPOUNDS[material.icru]
            same = material.density is None or math.isclose(material.density, density, rel_tol=1e-4)
            if same and material.ionisation is None:
                return known
            name = self._new("COM", material, 0.0, density)
            self._cards.append((2, material.path, card("COMPOUND", -1.0, known, sdum=name)))
            return name
        if material.icru not in ELEMENTS:
            allowed = ", ".join(map(str, sorted((*COMPOUNDS, BLACK_HOLE, VACUUM))))
            message = f"found the ICRU material {material.icru}; FLUKA knows {allowed}, and elements: those of "
            raise InputError(f"{material.path}.icru", None, f"{message}{', '.join(map(str, ELEMENTS))}")
        if material.density is None:
            raise InputError(f"{material.path}.density", None, "is missing; FLUKA needs it of an element")
        name = self._new("MAT", material, float(material.icru), 0.0)
        self._cards.append((1, material.path, card("LOW-MAT", name, sdum=ELEMENTS[material.icru])))
        return name

    def _new(self, kind: str, material: Material, charge: float, density: float) -> str:
        self._counts[kind] += 1
        name = f"{kind}{self._counts[kind]:05d}"
        given = density if material.density is None else material.density
        self._cards.append((0, material.path, card("MATERIAL", charge, None, given, sdum=name)))
        if material.ionisation is not None:
            self._cards.append((3, material.path, card("MAT-PROP", 0.0, 0.0, material.ionisation, name, None, 0.0)))
        return name
