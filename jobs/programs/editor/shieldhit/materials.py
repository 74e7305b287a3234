"""Write mat.dat, and number the media."""

import math

from jobs.programs.editor.model import Material, Physics, Simulation
from jobs.programs.editor.values import NativeFile
from jobs.programs.plan import InputError

DENSITIES = {
    **{1: 8.3748e-5, 2: 1.66322e-4, 3: 0.534, 4: 1.848, 6: 2.0, 7: 1.1652e-3, 8: 1.33151e-3, 10: 8.38505e-4},
    **{11: 0.971, 12: 1.74, 13: 2.6989, 14: 2.33, 18: 1.66201e-3, 20: 1.55, 22: 4.54, 26: 7.874, 28: 8.902},
    **{29: 8.96, 47: 10.5, 50: 7.31, 73: 16.654, 74: 19.3, 78: 21.45, 79: 19.32, 80: 13.546, 82: 11.35, 92: 18.95},
    **{103: 0.92, 104: 1.20479e-3, 119: 1.85, 120: 1.85, 179: 1.42, 201: 1.04, 202: 1.04, 216: 1.032, 221: 0.94},
    **{223: 1.19, 226: 1.06, 276: 1.0},
}
"""Densities of ICRU's materials in g/cm3. That of a material that is not listed here is written."""


class Media:
    """The media of mat.dat, numbered in the order of the materials. Vacuum and black hole need none."""

    def __init__(self, simulation: Simulation) -> None:
        self._numbers: dict[int, int] = {}
        self._none = {index: each.icru for index, each in enumerate(simulation.materials) if not each.solid}
        self.file = NativeFile("mat.dat", "materialManager.materials")
        self.tables: dict[str, str] = {}
        for index, material in enumerate(simulation.materials):
            if material.solid:
                self._add(index, material, simulation.physics)

    def number(self, material: int) -> int:
        """The number of a material's medium, by its place in the list of materials."""
        return self._numbers.get(material, self._none.get(material, 0))

    def _add(self, index: int, material: Material, physics: Physics) -> None:
        try:
            lines = _lines(material)
        except InputError:
            if material.used:
                raise
            return
        number = self._numbers[index] = len(self._numbers) + 1
        if material.table and material.icru in physics.tables:
            name, text = physics.tables[material.icru]
            self.tables[name] = text
            lines.append("LOADDEDX")
        self.file.add(material.path, f"MEDIUM {number}", *lines, "END")


def _lines(material: Material) -> list[str]:
    if material.ionisation is not None:
        path = f"{material.path}.averageIonisationPotential"
        raise InputError(path, None, f"found {material.ionisation:g}; SHIELD-HIT12A takes the library's")
    lines = [f"ICRU {material.icru}"]
    library = DENSITIES.get(material.icru)
    if material.density is not None and (
        material.custom or library is None or not math.isclose(material.density, library, rel_tol=1e-4)
    ):
        lines.append(f"RHO {material.density:.9g}")
    return lines
