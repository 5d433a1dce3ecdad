"""What a user of `dynscale replay` sees: a table, JSON, a plot, an error."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from dynscale_cli.cli.bench import replay
from dynscale_cli.display.tables import replay_tables
from dynscale_cli.errors import UsageError
from dynscale_cli.evaluation.logs import read_log
from dynscale_cli.evaluation.replay import Setting, sweep
from tests.replay_logs import easy_and_hard, row, write_log


def run(*arguments: object) -> Result:
    app = typer.Typer(add_completion=False)
    app.command()(replay)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "pool.jsonl", easy_and_hard(4, 4, 80))


def test_the_table_names_every_policy_and_the_baseline(log: Path) -> None:
    result = run(log, "--seeds", 2)
    assert result.exit_code == 0
    for name in ("race", "ucb", "adaptive", "early-stop", "uniform", "uniform, ties split"):
        assert any(line.startswith(name) for line in result.stdout.splitlines())
    assert "█" in result.stdout


def test_several_logs_are_shown_one_by_one_and_together(log: Path, tmp_path: Path) -> None:
    other = write_log(tmp_path / "other.jsonl", easy_and_hard(1, 1, 40))
    result = run(log, other, "--seeds", 1, "--policy", "race")
    assert "pool: 8 questions" in result.stdout
    assert "other: 2 questions" in result.stdout
    assert "mean of 2 logs" in result.stdout


def test_no_figure_is_cut_off_in_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    pool = write_log(tmp_path / "pool.jsonl", [row(str(q), ["right", "wrong", "wrong", "right"]) for q in range(3)])
    table = replay_tables(sweep([read_log(pool)], ["race"], Setting(), seeds=4))
    out = io.StringIO()
    Console(file=out, width=80).print(table)
    assert "±" in out.getvalue()
    assert "…" not in out.getvalue()


def test_a_report_goes_wide_into_a_pipe(log: Path) -> None:
    result = run(log, "--seeds", 2)
    assert max(map(len, result.stdout.splitlines())) > 80


def test_one_draw_has_no_interval_and_a_short_pool_is_told(tmp_path: Path) -> None:
    pool = write_log(tmp_path / "pool.jsonl", [row("1", ["right", "wrong", None], [10, 20, 30])])
    result = run(pool, "--seeds", 1)
    assert "±" not in result.stdout
    assert "samples for ×3 only" in result.stdout.replace("\n", " ")


def test_a_log_of_any_name_has_it_in_the_title(tmp_path: Path) -> None:
    pool = write_log(tmp_path / "a[red]\x1b[31mb.jsonl", easy_and_hard(1, 1, 40))
    assert run(pool, "--seeds", 1).stdout.startswith("a[red]b: accuracy")


def test_json_is_one_object_with_intervals_and_shares(log: Path) -> None:
    result = run(log, "--seeds", 4, "--policy", "race,ucb:0.5", "--in-flight", 4, "--json")
    report = json.loads(result.stdout)
    assert (report["seeds"], report["in_flight"]) == (4, 4)
    (only,) = report["logs"]
    assert only["name"] == "pool"
    assert [score["policy"] for score in only["scores"]] == ["race", "ucb:0.5"]
    point = only["scores"][0]["points"][2]
    assert point["budget"] == 8
    assert point["gain"]["low"] <= point["gain"]["mean"] <= point["gain"]["high"]
    assert set(only["scores"][0]["reach"]) == {"4", "8", "16", "32"}


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_a_plot_is_written(log: Path, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / f"plot.{suffix}"
    assert run(log, "--seeds", 1, "--policy", "race", "--plot", picture).exit_code == 0
    assert picture.stat().st_size > 1000


def test_a_plot_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    for name in ("plot.txt", "none/plot.svg"):
        result = run(tmp_path / "no such log", "--plot", tmp_path / name)
        assert isinstance(result.exception, UsageError)
        assert "plot" in result.exception.message or "directory" in result.exception.message


def test_a_malformed_log_is_a_usage_error(tmp_path: Path) -> None:
    result = run(write_log(tmp_path / "bad.jsonl", [row("1", ["a"], [-1])]))
    assert isinstance(result.exception, UsageError)
    assert "bad.jsonl:1: " in result.exception.message


@pytest.mark.parametrize("names", ["", "race,best", ","])
def test_an_unknown_policy_is_a_usage_error(log: Path, names: str) -> None:
    result = run(log, "--policy", names)
    assert isinstance(result.exception, UsageError)
