"""`bench --speed`: a figure of real decode steps, that a script can read."""

import json
import subprocess
import sys

from dynscale_cli.evaluation.speed import measure
from tests.scripted import scripted_engine
from tests.tiny_gguf import write_tiny_gguf


def test_every_slot_takes_every_step_of_a_round_and_only_steps_are_timed():
    engine = scripted_engine(lambda prompt, seed: " w" * 3, width=4)
    ticks = iter(range(100))
    rounds = list(measure(engine, tokens=10, rounds=2, clock=lambda: float(next(ticks))))
    assert [(r.width, r.tokens, r.seconds, r.tokens_per_second) for r in rounds] == [(4, 10, 1.0, 40.0)] * 2
    widths = engine._backend.widths
    assert widths[-20:] == [4] * 20  # the second round forks what the first has prefilled
    assert sum(widths) > 80  # and the prompt was evaluated in the first


def test_the_last_line_of_stdout_is_json_and_progress_is_on_stderr(tmp_path):
    model = write_tiny_gguf(tmp_path / "tiny.gguf", context_length=2048)
    command = [sys.executable, "-c", "from dynscale_cli.cli import main; main()", "bench", "--speed"]
    options = ["-m", str(model), "--parallel", "3", "--tokens", "5", "--rounds", "2", "-t", "1", "-ngl", "0"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert (report["width"], report["tokens"], report["threads"], len(report["rounds"])) == (3, 5, 1, 2)
    assert report["tokens_per_second"] > 0
    assert "round 2 of 2" in done.stderr
