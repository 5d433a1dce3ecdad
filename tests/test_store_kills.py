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
