"""kill -9, fifty times over: no sample is lost, no question answered twice, and the budget holds over all parts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dynscale_cli.run.store import Store
from tests import kills

ROOT = Path(__file__).parent.parent


def killed(folder: Path, times: int, budget: int) -> dict:
    command = [sys.executable, "-m", "tests.kills", str(folder), str(times), "7", str(budget)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("budget", [200_000, 3_000])
def test_a_run_that_is_killed_at_25_random_moments(tmp_path, budget):
    told = killed(tmp_path / "killed", 25, budget)
    assert told["killed"] == 25
    assert told["missing"] == told["twice"] == 0
    assert 0 < told["evaluated"] <= budget
    assert [index for index, *_ in told["results"]] == list(range(len(kills.QUESTIONS)))
    if budget > 3_000:  # nothing but the kills could make a difference
        assert told["results"] == json.loads(json.dumps(kills.part(Store(tmp_path / "whole" / "runs.db"), budget)))


BEGIN = """
import os, signal, sys
from pathlib import Path
from dynscale_cli.run.store import Store
from tests.test_store import asked
store = Store(Path(sys.argv[1]))
store.create(*asked()).close()
store.create(*asked()).allow(100)
os.kill(os.getpid(), signal.SIGKILL)
"""
LIST = """
import resource, signal, sys
from pathlib import Path
from dynscale_cli.run.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
for run in Store(Path(sys.argv[1])).summaries():
    print(run.state, run.spent)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
@pytest.mark.parametrize("left", ["runs.db-shm", None])
def test_runs_are_listed_from_a_disk_that_takes_no_byte_more(tmp_path, left):
    """With what a kill has left in the log, whether the log's index is there or not."""
    path = str(tmp_path / "runs.db")
    subprocess.run([sys.executable, "-c", BEGIN, path], cwd=ROOT, check=False, timeout=60)
    assert (tmp_path / "runs.db-wal").stat().st_size
    if left:
        (tmp_path / left).unlink()
    done = subprocess.run(
        [sys.executable, "-B", "-c", LIST, path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "killed 295\nkilled 0\n", done.stderr
