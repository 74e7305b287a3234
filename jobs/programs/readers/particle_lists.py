"""Lists of particles (phase space) that programs write. They are kept as files, and are no pages."""

from pathlib import Path

from jobs.programs.outputs import Outputs

PATTERNS = ("*.mcpl", "*.mcpl.gz", "*.phsp", "*.header")
"""MCPL, and TOPAS' phase space with its header."""


def written(outputs: Outputs) -> list[Path]:
    """The lists that were written."""
    return outputs.fitting(*PATTERNS)
