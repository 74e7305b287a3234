"""What TOPAS' parameters ask for and did not come."""

import re
from collections.abc import Iterator

from jobs.programs.outputs import Outputs

INPUT = "topas_config.txt"

_PARAMETER = re.compile(r"^[ \t]*\w+:Sc/([^/\s]+)/(\w+)[ \t]*=[ \t]*([^#\n]*)", re.MULTILINE | re.IGNORECASE)


def missing(outputs: Outputs) -> Iterator[str]:
    """Sentences on the scorers that the parameters name and of which no page came."""
    try:
        text = outputs.text(INPUT, "replace")
    except OSError:
        return
    scorers: dict[str, dict[str, str]] = {}
    for scorer, name, value in _PARAMETER.findall(text):
        scorers.setdefault(scorer, {})[name.lower()] = value.strip().strip('"')
    for scorer, given in scorers.items():
        if "quantity" not in given or given.get("active", "true").lower() in ("false", "f", "0"):
            continue
        file, form = given.get("outputfile", scorer), given.get("outputtype", "csv").lower()
        if given["quantity"].lower() == "phasespace":
            if not outputs.has(f"{file}.phsp"):
                yield f"{scorer}: no file {file}.phsp was written"
        elif form != "csv":
            yield f"{scorer}: its OutputType is {form}, of which no pages are read; csv is"
        elif not outputs.has(f"{file}.csv"):
            yield f"{scorer}: no file {file}.csv was written"
