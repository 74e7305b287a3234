"""Detectors: energy deposited and track lengths per cell, given back as pages in YAPTIDE's JSON shape."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.programs.plan import Axis, Detector, Filter, Output, PageRequest, Plan
from jobs.programs.proton_beam.physics import WATER_DENSITY, Array

Mask = npt.NDArray[np.bool_]

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
    """Proton steps, all of shape (n,): lengths (cm), energies (MeV), energies lost and mean energies lost (MeV)."""

    length: Array
    energy: Array
    loss: Array
    mean_loss: Array

    def chosen(self, mask: Mask) -> "Steps":
        """The steps where the mask holds."""
        return Steps(self.length[mask], self.energy[mask], self.loss[mask], self.mean_loss[mask])


class Grid:
    """Finds the cells of a detector."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    def cells(self, point: Array) -> tuple[npt.NDArray[np.intp], Mask]:
        """Flat cell numbers, first axis fastest, of the points (3, n) inside, and the mask (n,) of these points."""
        x, y, z = point
        values = (np.hypot(x, y), z) if self.detector.kind == "Cyl" else (x, y, z)
        index = np.zeros(x.shape, dtype=np.intp)
        inside = np.ones(x.shape, dtype=np.bool_)
        stride = 1
        for axis, value in zip(self.detector.axes, values, strict=True):
            bins = np.floor((value - axis.start) * (axis.bins / (axis.stop - axis.start)))
            inside &= (bins >= 0) & (bins < axis.bins)
            index += stride * np.clip(bins, 0, axis.bins - 1).astype(np.intp)
            stride *= axis.bins
        return index[inside], inside


class Page:
    """Sums of one quantity per cell: `sums` holds the numerator and, for averages, the denominator."""

    def __init__(self, request: PageRequest, detector: Detector) -> None:
        self.request = request
        self.average = LABELS[request.quantity].normalised == 3
        self.sums = np.zeros((2 if self.average else 1, detector.bins))

    def add(self, cells: npt.NDArray[np.intp], steps: Steps) -> None:
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

    def values(self, volumes: Array, primaries: int) -> list[float | None]:
        """Values per cell: per primary, or averages with None where nothing passed."""
        if self.average:
            empty = self.sums[1] <= 0
            ratio = self.sums[0] / np.where(empty, 1.0, self.sums[1])
            return [None if hollow else value for hollow, value in zip(empty.tolist(), ratio.tolist(), strict=True)]
        mass = volumes * WATER_DENSITY if self.request.quantity == "Dose" else volumes
        return [value if np.isfinite(value) else None for value in (self.sums[0] / mass / primaries).tolist()]


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

    def z_planes(self) -> list[float]:
        """Borders in cm along z of all cells; grids of more than 10,000 layers are left out."""
        planes: list[float] = []
        for grid, _ in self._grids:
            axis = grid.detector.axes[-1]
            if axis.bins <= 10_000:
                planes.extend(np.linspace(axis.start, axis.stop, axis.bins + 1).tolist())
        return planes

    def tracks(self, point: Array, generation: Array, steps: Steps) -> None:
        """Score proton steps, each at one point (3, n) uniform along it, which is right on average for any grid."""
        for grid, groups in self._grids:
            cells, inside = grid.cells(point)
            if not cells.size:
                continue
            born, within = generation[inside], steps.chosen(inside)
            for selection, pages in groups.items():
                mask = accepts(selection, 1, 1, born)
                cells_chosen, steps_chosen = cells[mask], within.chosen(mask)
                for page in pages:
                    page.add(cells_chosen, steps_chosen)

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
        "data": {"name": labels.name, "unit": labels.unit, "values": page.values(volumes, primaries)},
        "metadata": metadata,
    }
    for number, axis in enumerate(shown, start=1):
        width = (axis.stop - axis.start) / axis.bins
        centres = [axis.start + width * (index + 0.5) for index in range(axis.bins)]
        result[f"axis_dim{number}"] = {"name": f"Position ({axis.name})", "unit": "cm", "values": centres}
    return result
