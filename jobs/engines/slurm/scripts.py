"""The batch scripts: one for each task, and one that runs after all have ended."""

import shlex
from collections.abc import Sequence

from jobs.engine import Batch

_TASK = """\
#!/bin/bash
umask 077
{prologue}
export TORANA_GATEWAY={gateway} TORANA_RUN={name}-$SLURM_ARRAY_TASK_ID TORANA_WORKER_STAYS=1
export OMP_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-1}} OPENBLAS_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-1}}
TORANA_WORKER_TOKEN=$(cat -- {folder}/"$SLURM_ARRAY_TASK_ID") || exit
export TORANA_WORKER_TOKEN
working=$(mktemp -d "${{SLURM_TMPDIR:-${{TMPDIR:-/tmp}}}}/torana.XXXXXXXX") || exit
trap 'cd /; rm -rf -- "$working"' EXIT
cd -- "$working" || exit
trap 'test -z "$worker" || kill -TERM "$worker" 2>/dev/null' TERM
{client} &
worker=$!
while wait "$worker"; status=$?; kill -0 "$worker" 2>/dev/null; do :; done
exit "$status"
"""
_COLLECT = """\
#!/bin/bash
umask 077
trap 'cd /; rm -rf -- {folder}' EXIT
{prologue}
export TORANA_GATEWAY={gateway} TORANA_RUN={name}-collect TORANA_WORKER_STAYS=1
TORANA_WORKER_TOKEN=$(cat -- {folder}/collector) || exit
export TORANA_WORKER_TOKEN
said=$(tail -qn 1 {folder}/*.log 2>/dev/null | grep . | tail -n 1 | sed 's#/[^ ]*/##g' | cut -c 1-200)
{client} collect "Slurm ended it${{said:+: $said}}"
"""


class Scripts:
    """The scripts of a batch's jobs. They hold no secret, because Slurm stores scripts and shows them."""

    def __init__(self, batch: Batch, folder: str, client: str, prologue: Sequence[str]) -> None:
        self._values = {
            "gateway": shlex.quote(batch.gateway),
            "name": batch.held.name,
            "folder": shlex.quote(folder),
            "client": client,
            "prologue": "\n".join(prologue),
        }

    def task(self) -> str:
        return _TASK.format(**self._values)

    def collect(self) -> str:
        return _COLLECT.format(**self._values)
