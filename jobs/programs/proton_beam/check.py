"""What the built-in program can do, checked before a simulation is taken."""

from collections.abc import Mapping

from jobs.programs.plan import Plan
from jobs.programs.shieldhit import detectors, native


def primaries(files: Mapping[str, str]) -> int:
    """The primaries that native files ask for; raises InputError for what can't be simulated, such as an output of
    which no page would come."""
    return native.read(files).primaries


def left_out(plan: Plan) -> list[str]:
    """Sentences on the pages that are asked for and will not come."""
    return [sentence for sentence in plan.unsupported if sentence.startswith(f"{detectors.FILE}:")]
