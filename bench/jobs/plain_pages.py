"""The same as `bench.jobs.pages` asks of the gateway, written plainly: whole results as JSON, merged in memory.

`python -m bench.jobs.plain_pages NUMBERS FOLDER` prints the seconds, and the megabytes of memory more than before.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import orjson

from bench.jobs.pages import result


def _most() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main() -> None:
    numbers, folder = int(sys.argv[1]), Path(sys.argv[2])
    for task in (1, 2):
        made = result(numbers, task)
        for page in made["pages"]:
            for part in ("data", "axis_dim1", "axis_dim2", "axis_dim3"):
                page[part]["values"] = list(page[part]["values"])
        (folder / f"{task}.json").write_bytes(orjson.dumps([made]))
    del made, page
    before, began = _most(), time.perf_counter()
    Path("/proc/self/clear_refs").write_text("5")
    parts = [orjson.loads((folder / f"{task}.json").read_bytes()) for task in (1, 2)]
    values = np.array([part[0]["pages"][0]["data"]["values"] for part in parts])
    (folder / "merged.json").write_bytes(orjson.dumps(values.mean(0).tolist()))
    spent = time.perf_counter() - began
    print(json.dumps({"seconds": spent, "megabytes": _most(), "before": before}))


if __name__ == "__main__":
    main()
