"""Many replays: every policy on every log with every seed, on all cores.

Owns how the work is cut and spread over processes. Knows nothing of how results are shown.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

from dynscale_cli.evaluation.logs import Log
from dynscale_cli.evaluation.replay import LARGEST, STEPS, Curve, Setting, replay
from dynscale_cli.evaluation.report import BUDGETS, LogReport, Report, mean_curve, overall, score

SMALL = 100_000  # pulls; below it starting a process costs more than it saves


@dataclass(frozen=True, slots=True)
class Task:
    """One policy on one log, with every seed."""

    log: int
    policy: str


def study(
    logs: Sequence[Log],
    policies: Sequence[str],
    setting: Setting,
    seeds: int,
    progress: Callable[[int, int], None] = lambda done, all_: None,
) -> Report:
    """Replay and score. `progress` is told (tasks done, tasks in all)."""
    names = list(dict.fromkeys([*policies, "uniform"]))  # uniform is the baseline, asked for or not
    tasks = [Task(log, policy) for log in range(len(logs)) for policy in names]
    tasks.sort(key=lambda task: -len(logs[task.log].pools))  # the longest first, so that no core is left waiting
    runs: list[dict[str, list[Curve]]] = [{} for _ in logs]
    for done, (task, curves) in enumerate(_run(tasks, logs, setting, seeds), 1):
        runs[task.log][task.policy] = curves
        progress(done, len(tasks))
    for run in runs:
        run["baseline"] = run["uniform"]
    reports = [_log_report(log, run, policies) for log, run in zip(logs, runs, strict=True)]
    return Report(seeds, setting.in_flight, setting.confidence, setting.exhaust, tuple(reports), overall(reports, runs))


def _run(
    tasks: Sequence[Task], logs: Sequence[Log], setting: Setting, seeds: int
) -> Iterator[tuple[Task, list[Curve]]]:
    pulls = sum(len(logs[task.log].pools) for task in tasks) * LARGEST * seeds
    workers = min(os.cpu_count() or 1, len(tasks))
    if workers < 2 or pulls < SMALL:
        for task in tasks:
            yield task, _replays(logs[task.log], task.policy, setting, seeds)
        return
    # Fresh processes, as a fork of a process with threads may hang; Ctrl-C is the parent's to handle.
    with ProcessPoolExecutor(workers, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        futures = {pool.submit(_replays, logs[task.log], task.policy, setting, seeds): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _replays(log: Log, policy: str, setting: Setting, seeds: int) -> list[Curve]:
    return [replay(log, policy, setting, seed) for seed in range(seeds)]


def _log_report(log: Log, runs: dict[str, list[Curve]], policies: Sequence[str]) -> LogReport:
    baseline = mean_curve([curve.split for curve in runs["baseline"]])
    return LogReport(
        name=log.name,
        questions=len(log.pools),
        samples=sum(len(pool.answers) for pool in log.pools),
        round_tokens=log.round_cost,
        baseline={budget: baseline[budget * STEPS - 1] for budget in BUDGETS},
        baseline_curve=baseline,
        scores=tuple(score(policy, runs[policy], runs["baseline"], log.rounds) for policy in policies),
        rounds=log.rounds,
    )
