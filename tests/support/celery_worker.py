"""A Celery worker as users start it, but what it starts is this file instead of `jobs.worker`.

`TORANA_GATEWAY` then names a file, to which each run appends a line: its name, its token, its process and that of its
program. The token begins with what is wanted of it: `quick`, `stray` (the same, but its program goes on), `long` (until
it is ended), `again` (to be tried again, the first time), `once` (`long`, but what ran before ends at once, as one whose
claim is refused).
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from jobs.engines import launching
from jobs.worker.main import TRY_AGAIN

if __name__ != "__main__":
    from jobs.engines.celery_app import app

    __all__ = ["app"]
    launching.COMMAND = (sys.executable, __file__)
    app.conf.worker_soft_shutdown_timeout = 1.0


def end_with_input() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> int:
    threading.Thread(target=end_with_input, daemon=True).start()
    record, token, run = Path(os.environ["TORANA_GATEWAY"]), os.environ["TORANA_WORKER_TOKEN"], os.environ["TORANA_RUN"]
    before = [line.split()[0] for line in record.read_text().splitlines()]
    program = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with record.open("a") as file:
        file.write(f"{run} {token} {os.getpid()} {program.pid}\n")
    if token.startswith("long") or (token.startswith("once") and run not in before):
        program.wait()
    if not token.startswith("stray"):
        program.kill()
        program.wait()
    return TRY_AGAIN if token.startswith("again") and run not in before else 0


if __name__ == "__main__":
    sys.exit(main())
