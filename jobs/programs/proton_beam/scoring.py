"""Detectors: energy deposited and track lengths per cell, given back as pages in YAPTIDE's JSON shape.

What a step leaves is spread along it evenly, and each cell gets the share that lies in it.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.programs.plan import Axis, Detector, Filter, Output, PageRequest, Plan
from jobs.programs.proton_beam.grid import Grid, Indices, Mask, Pieces
from jobs.programs.proton_beam.physics import WATER_DENSITY, Array

FRAGMENT_Z, FRAGMENT_A = 2, 4
"""Charge and mass number under which locally stopped fragments count in filters: helium-4."""

_OPERATORS: dict[str, Callable[[Array | int, int], Mask | bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Labels:
    """How SHIELD-HIT12A names a quantity: data name, unit, detector type, normalisation and unit number."""

    name: str
    unit: str
    detector_type: int
    normalised: int
    unit_id: int


LABELS = {
    "Dose": Labels("DOSE", "MeV/g", 5, 2, 40),
    "Fluence": Labels("FLUENCE", "/cm^2", 2, 2, 14),
    "AvgEnergy": Labels("AVG-ENERGY", "MeV", 8, 3, 70),
    "dLET": Labels("DLET", "MeV/cm", 6, 3, 31),
    "tLET": Labels("TLET", "MeV/cm", 7, 3, 31),
}


def accepts(selection: Filter | None, z: int, a: int, generation: Array) -> Mask:
    """Which particles of charge z, mass number a and these generations a filter lets through, shape (n,)."""
    mask = np.ones(generation.shape, dtype=np.bool_)
    for condition in selection.conditions if selection else ():
        values = {"Z": z, "A": a}.get(condition.variable, generation)
        mask &= _OPERATORS[condition.operator](values, condition.value)
    return mask


def cell_volumes(detector: Detector) -> Array:
    """Volume of each cell in cm3, flat with the first axis fastest."""
    edges = [np.linspace(axis.start, axis.stop, axis.bins + 1) for axis in detector.axes]
    if detector.kind == "Cyl":
        widths = [np.pi * np.diff(edges[0] ** 2), np.diff(edges[1])]
    else:
        widths = [np.diff(edge) for edge in edges]
    volumes = widths[0]
    for width in widths[1:]:
        volumes = np.outer(width, volumes).ravel()
    return volumes


@dataclass(frozen=True)
class Steps:
    """Steps of protons or pieces of them, all of shape (n,): lengths (cm), energies in the middle (MeV), energies lost
    and mean energies lost (MeV)."""

    length: Array
    energy: Array
    loss: Array
    mean_loss: Array

    def chosen(self, mask: Mask) -> "Steps":
        """The steps where the mask holds."""
        return Steps(self.length[mask], self.energy[mask], self.loss[mask], self.mean_loss[mask])

    def cut(self, pieces: Pieces) -> "Steps":
        """The pieces of the steps."""
        step, share = pieces.step, pieces.share
        energy = self.energy[step] + self.mean_loss[step] * (0.5 - pieces.middle)
        return Steps(self.length[step] * share, energy, self.loss[step] * share, self.mean_loss[step] * share)


class Page:
    """Sums of one quantity per cell: `sums` holds the numerator and, for averages, the denominator."""

    def __init__(self, request: PageRequest, detector: Detector) -> None:
        self.request = request
        self.average = LABELS[request.quantity].normalised == 3
        self.sums = np.zeros((2 if self.average else 1, detector.bins))

    def add(self, cells: Indices, steps: Steps) -> None:
        """Add steps that lie in these cells, both of length n."""
        quantity = self.request.quantity
        if quantity == "Dose":
            np.add.at(self.sums[0], cells, steps.loss)
        elif quantity == "Fluence":
            np.add.at(self.sums[0], cells, steps.length)
        elif quantity == "AvgEnergy":
            np.add.at(self.sums[0], cells, steps.length * steps.energy)
            np.add.at(self.sums[1], cells, steps.length)
        elif quantity == "tLET":
            np.add.at(self.sums[0], cells, steps.mean_loss)
            np.add.at(self.sums[1], cells, steps.length)
        else:
            power = np.divide(steps.mean_loss, steps.length, out=np.zeros_like(steps.length), where=steps.length > 0)
            np.add.at(self.sums[0], cells, power * steps.mean_loss)
            np.add.at(self.sums[1], cells, steps.mean_loss)

    def data(self, volumes: Array, primaries: int) -> dict[str, object]:
        """Values per cell: per primary, or averages with None where nothing passed, with their weights per primary."""
        if self.average:
            weights = self.sums[1] / primaries
            ratio = self.sums[0] / np.where(self.sums[1] > 0, self.sums[1], np.nan)
            return {"values": _known(ratio), "weights": _known(weights)}
        mass = volumes * WATER_DENSITY if self.request.quantity == "Dose" else volumes
        return {"values": _known(self.sums[0] / mass / primaries)}


def _known(values: Array) -> list[float | None]:
    """Values, None for what is not finite."""
    return [value if np.isfinite(value) else None for value in values.tolist()]


class Scoring:
    """All outputs of a plan; one grid per detector, however many outputs use it."""

    def __init__(self, plan: Plan) -> None:
        self.outputs = plan.outputs
        self.energy = plan.beam.energy
        self.pages = {
            output.filename: [Page(page, output.detector) for page in output.pages] for output in plan.outputs
        }
        self._grids: list[tuple[Grid, dict[Filter | None, list[Page]]]] = []
        for detector in dict.fromkeys(output.detector for output in plan.outputs):
            groups: dict[Filter | None, list[Page]] = {}
            for output in plan.outputs:
                if output.detector == detector:
                    for page in self.pages[output.filename]:
                        groups.setdefault(page.request.filter, []).append(page)
            self._grids.append((Grid(detector), groups))

    def tracks(self, start: Array, way: Array, generation: Array, steps: Steps) -> None:
        """Score straight steps of protons from `start` to `start + way`, both of shape (3, n) in cm."""
        for grid, groups in self._grids:
            for pieces in grid.pieces(start, way):
                born, parts = generation[pieces.step], steps.cut(pieces)
                for selection, pages in groups.items():
                    mask = accepts(selection, 1, 1, born)
                    cells_chosen, parts_chosen = pieces.cell[mask], parts.chosen(mask)
                    for page in pages:
                        page.add(cells_chosen, parts_chosen)

    def fragments(self, point: Array, energy: Array, generation: Array) -> None:
        """Score energy (MeV) left on the spot at points (3, n) by fragments of these generations; dose only."""
        for grid, groups in self._grids:
            cells, inside = grid.cells(point)
            for selection, pages in groups.items():
                mask = accepts(selection, FRAGMENT_Z, FRAGMENT_A, generation[inside])
                for page in pages:
                    if page.request.quantity == "Dose":
                        np.add.at(page.sums[0], cells[mask], energy[inside][mask])

    def estimators(self, primaries: int) -> list[dict[str, object]]:
        """Results of all outputs in YAPTIDE's JSON shape, normalised per primary."""
        return [self._estimator(output, primaries) for output in self.outputs]

    def _estimator(self, output: Output, primaries: int) -> dict[str, object]:
        volumes = cell_volumes(output.detector)
        pages = [_page(page, output.detector.axes, volumes, primaries) for page in self.pages[output.filename]]
        metadata = {
            "Tmax_MeV": f"{self.energy}",
            "error_type": "none",
            "file_corename": output.filename.rsplit(".", 1)[0] + "_",
            "file_counter": "1",
            "file_format": "json",
            "geo_name": output.detector.name,
            "geo_units": ";".join("cm" for _ in output.detector.axes),
            "geotyp": "CYL" if output.detector.kind == "Cyl" else "MSH",
            "mc_code_version": "proton_beam 1",
            "number_of_primaries": str(primaries),
            "page_count": str(len(pages)),
            "projectile_code": "2",
            "projectile_z": "1",
        }
        return {"name": output.name, "file_name": output.filename, "metadata": metadata, "pages": pages}


def _page(page: Page, axes: Sequence[Axis], volumes: Array, primaries: int) -> dict[str, object]:
    labels = LABELS[page.request.quantity]
    shown = [axis for axis in axes if axis.bins > 1]
    metadata = {
        "detector_type": str(labels.detector_type),
        "detector_unit": labels.unit,
        "dettyp": labels.name,
        "name": labels.name,
        "page_diff_units": labels.unit,
        "page_normalized": str(labels.normalised),
        "page_number": str(page.request.number),
        "page_offset": "0.0",
        "page_scale_factor": "1.0",
        "page_unit_ids": f"[{labels.unit_id} {labels.unit_id} {labels.unit_id}]",
        "unit": labels.unit,
    }
    if page.request.filter:
        metadata["page_filter_name"] = page.request.filter.name
    if page.request.title:
        metadata["title"] = page.request.title
    result: dict[str, object] = {
        "dimensions": len(shown),
        "data": {"name": labels.name, "unit": labels.unit, **page.data(volumes, primaries)},
        "metadata": metadata,
        "merging": "ratio" if page.average else "mean",
    }
    for number, axis in enumerate(shown, start=1):
        width = (axis.stop - axis.start) / axis.bins
        centres = [axis.start + width * (index + 0.5) for index in range(axis.bins)]
        result[f"axis_dim{number}"] = {"name": f"Position ({axis.name})", "unit": "cm", "values": centres}
    return result
