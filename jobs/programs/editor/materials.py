"""Read the materials of a project, and those that zones and quantities have of their own."""

from jobs.programs.editor.model import BLACK_HOLE, VACUUM, Material
from jobs.programs.editor.values import Value, place, sifted

MAX_MATERIALS = 300
MAX_DENSITY = 100.0
WHERE = "materialManager.materials"


class Materials:
    """The materials of a project in their order, then the changed ones in the order in which they are asked for."""

    def __init__(self, project: Value, used: set[str]) -> None:
        values = project.member("materialManager").member("materials").elements(MAX_MATERIALS)
        self._all, self._places = sifted(values, used, _material)

    def of(self, owner: Value) -> int:
        """The place of the material of a zone, of the world or of a quantity; raises InputError."""
        copy, changes = owner.option("customMaterial"), owner.option("materialPropertiesOverrides")
        if not (copy and copy.value != {}) and not (changes and changes.value != {}):
            return place(owner.member("materialUuid"), self._places, WHERE)
        self._all.append(self._changed(owner, copy, changes))
        return len(self._all) - 1

    def _changed(self, owner: Value, copy: Value | None, changes: Value | None) -> Material:
        if copy and copy.value != {}:
            base = _material(copy, True)
        else:
            base = self._all[place(owner.member("materialUuid"), self._places, WHERE)]
        density, table, ionisation = (
            changes.option(key) if changes else None
            for key in ("density", "customStoppingPower", "averageIonisationPotential")
        )
        return Material(
            changes.path if changes and changes.value != {} else base.path,
            f"custom_{base.name}",
            base.icru,
            density.real(1e-9, MAX_DENSITY) if density and base.solid else base.density,
            custom=base.solid,
            table=table.flag() if table else base.table,
            ionisation=ionisation.real(1e-3, 1e5) if ionisation else base.ionisation,
        )

    def all(self) -> tuple[Material, ...]:
        """All materials."""
        return tuple(self._all)


def uuids_of(owner: Value) -> set[str]:
    """The material that a zone, the world or a quantity takes as it is."""
    uuid = owner.option("materialUuid")
    return {uuid.value} if uuid and isinstance(uuid.value, str) else set()


def _material(material: Value, used: bool) -> Material:
    icru = material.member("icru").integer(0, VACUUM)
    name, plain = material.option("sanitizedName"), material.option("name")
    called = name.text() if name else _sanitized(plain.text()) if plain else f"icru_{icru}"
    density, table = material.option("density"), material.option("customStoppingPower")
    ionisation = material.option("averageIonisationPotential")
    real = icru not in (BLACK_HOLE, VACUUM)
    return Material(
        material.path,
        called,
        icru,
        density.real(1e-9, MAX_DENSITY) if density and real else None,
        used=used,
        table=table.flag() if table else False,
        ionisation=ionisation.real(1e-3, 1e5) if ionisation else None,
    )


def _sanitized(name: str) -> str:
    return "".join(letter for letter in "_".join(name.split()) if letter.isalnum() or letter == "_")
