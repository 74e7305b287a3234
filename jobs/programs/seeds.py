"""Seeds of tasks from the seed that an input names."""

MAX_SEED = 900_000_000
"""The largest seed: FLUKA takes no larger one."""
MAX_TASKS = 10_000
"""Tasks of one seed that have seeds of their own."""
_STRIDE = 7_919
"""Takes the seeds of neighbouring tasks apart. It has no factor in common with MAX_SEED, so they stay different."""


def seed_of(named: int, task: int) -> int:
    """The seed, from 1 to MAX_SEED, of a task (from 1) of an input that names the seed `named`.

    All pairs of a seed below MAX_SEED / MAX_TASKS (90 000) and a task up to MAX_TASKS have different seeds. A larger
    seed is one of these by its remainder: `named` and `named` + 90 000 are the same.
    """
    return 1 + (named * MAX_TASKS + task - 1) * _STRIDE % MAX_SEED
