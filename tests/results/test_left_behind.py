"""Processes that a program starts and leaves behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import ROOT

WORKER = """
import subprocess, sys
from pathlib import Path
from jobs.worker.process import adopt, end, start
leaving = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(60)'], start_new_session=True)"
adopt()
process = start([sys.executable, "-c", leaving], Path())
assert process.stdout.readline() == b"1\\n"
process.wait()
end(process)
assert process.stdout.read() == b"", "its output ends only when it does"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system can't tell")
def test_what_a_program_leaves_behind_in_a_session_of_its_own_ends_with_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WORKER], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True, timeout=30)
