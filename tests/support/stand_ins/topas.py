"""Stands in for TOPAS: topas.py PARAMETERS writes a CSV for each scorer of the parameter file.

Understood are Quantity, XBins, YBins, ZBins, EBins with EBinMax, OutputFile, OutputReport, SingleIndex and Sparsify of
scorers on a box of 4 cm. Cell (x, y, z) has a mean of 100 x + 10 y + z per history, energy bin e of it e / 10 more.
"""

import re
import sys
from pathlib import Path

from orders import Orders, say

UNITS = {"DoseToMedium": "Gy", "Fluence": "/mm2", "ProtonLET": "MeV/mm/(g/cm3)"}


def parameters(text: str) -> dict[str, str]:
    found = re.findall(r"^\s*\w+:(\S+)\s*=\s*([^#\n]*)", text, re.MULTILINE)
    return {name: value.strip().strip('"') for name, value in found}


def bins(axis: str, count: int) -> str:
    width = 4.0 / count
    return f"# {axis} in {count} {'bins' if count > 1 else 'bin '} of {width:g} cm\n"


def table(file: str, scorer: str, given: dict[str, str], histories: int, orders: Orders) -> str:
    def own(name: str, default: str) -> str:
        return given.get(f"Sc/{scorer}/{name}", default)

    counts = [int(own(f"{axis}Bins", "1")) for axis in "XYZ"]
    reports = re.findall(r'"?([A-Z]\w+)"?', own("OutputReport", "Sum"))
    energies = int(own("EBins", "0"))
    quantity = own("Quantity", "DoseToMedium")
    cells = counts[0] * counts[1] * counts[2]
    text = f"# TOPAS Version: 3.9\n# Parameter File: {file}\n# Results for scorer: {scorer}\n"
    text += '# Filtered by: OnlyIncludeParticlesNamed = 1 "proton"\n# Scored in component: Phantom\n'
    if cells > 1:
        text += "".join(bins(axis, count) for axis, count in zip("XYZ", counts, strict=True))
    text += f"# {quantity} ( {UNITS[quantity]} ) : " + "".join(f"{report}   " for report in reports) + "\n"
    if energies:
        top = float(own("EBinMax", "0 MeV").split()[0])
        text += f"# Binned by incident track energy in {energies} bins of {top / energies:g} MeV from 0 MeV to {top:g} MeV\n"
        text += "# First bin is underflow, next to last bin is overflow, last bin is for case of no incident track.\n"
    sparse = own("Sparsify", "")
    if sparse:
        text += f"# Showing only rows that have sum > {sparse} Gy\n"
    single = own("SingleIndex", "") == "True" and cells > 1
    if single:
        text += "# Using single index calculated as X * NY * NZ + Y * NZ + Z\n"
    rows = [(x, y, z) for x in range(counts[0]) for y in range(counts[1]) for z in range(counts[2])]
    for index, (x, y, z) in enumerate(rows):
        means = [100.0 * x + 10 * y + z + e / 10 for e in range(energies or 1)]
        if energies:
            means = [-1.0, *means, -2.0, -3.0]
        if sparse and means[0] * histories <= float(sparse):
            continue
        if "nan" in orders and index == 1:
            means = [float("nan")] * len(means)
        scale = {"Sum": 1.0 if quantity == "ProtonLET" else float(histories), "Mean": 1.0}
        scores = [
            str(histories) if report == "Histories_with_Scorer_Active" else f"{mean * scale.get(report, 0.25):.16g}"
            for mean in means
            for report in reports
        ]
        place = [] if energies or cells == 1 else [str(index)] if single else [str(x), str(y), str(z)]
        text += ", ".join(place + scores) + "\n"
    return text


def main() -> None:
    file = sys.argv[1]
    text = Path(file).read_text()
    orders = Orders(text)
    given = parameters(text)
    histories = next(int(value) for name, value in given.items() if name.endswith("/NumberOfHistoriesInRun"))
    say(f"Welcome to TOPAS\nSeed: {given['Ts/Seed']}")

    def progress(done: int, left: float) -> None:
        say(f"G4WT0 > Begin processing for Run: 0, History: {done}")

    orders.run(histories, progress)
    for name in [name for name in given if name.startswith("Sc/") and name.endswith("/Quantity")]:
        scorer = name.split("/")[1]
        path = Path(given.get(f"Sc/{scorer}/OutputFile", scorer) + ".csv")
        orders.write(path, table(file, scorer, given, histories, orders).encode())
    say("Elapsed times: Real=1s")


if __name__ == "__main__":
    main()
