"""`dynscale doctor`: is all as it should be? Prints what `doctor` finds; the exit code is 1 when something is wrong."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from .completion import model_names
from .help import styled
from .parser import THREADS, Command, keys, once

if TYPE_CHECKING:
    from dynscale_cli.doctor import Finding

EXAMPLES = """
dynscale doctor
dynscale doctor --no-speed --json
dynscale doctor -m model.gguf
"""
MARKS = {"fine": "ok", "note": "note", "warning": "warning", "wrong": "WRONG"}
INDENT = 20  # columns before a finding's text
COLORS = {"fine": "green", "note": "cyan", "warning": "yellow", "wrong": "red"}


class Doctor(Command):
    settings = False  # they are examined here, and must not keep the doctor away


def doctor(
    ctx: typer.Context,
    model: Annotated[
        str | None, once(None, "NAME", "A GGUF file, or a model's name.", "--model", "-m", autocompletion=model_names)
    ] = None,
    threads: Annotated[
        int | None, once(None, "N", "For the speed check; 0: one a core.", "--threads", "-t", min=0, max=THREADS)
    ] = None,
    speed: Annotated[bool, typer.Option("--speed/--no-speed", help="Decode for some seconds.")] = True,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> int:
    """Check the installation, the machine and the model, and tell what mends each trouble.

    Exits 1 when something is wrong. The speed check takes about five seconds.
    """
    from dynscale_cli.doctor import examine, patient

    findings = examine(patient(keys(ctx.find_root().command), model=model, threads=threads, speed=speed))
    seen = []
    for finding in findings:
        seen.append(finding)
        if not json_output:
            _print(finding)
    wrong = any(finding.state == "wrong" for finding in seen)
    if json_output:
        import json
        from dataclasses import asdict

        from dynscale_cli.display.text import harmless

        report = {"ok": not wrong, "findings": [asdict(finding) for finding in seen]}
        print(harmless(json.dumps(report, ensure_ascii=False)))
    else:
        typer.echo(f"\n{_closing([finding.state for finding in seen])}")
    return 1 if wrong else 0


def _closing(states: list[str]) -> str:
    wrong, warnings = states.count("wrong"), states.count("warning")
    if wrong:
        return f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong."
    return f"Everything works; {warnings} warning{'s' if warnings > 1 else ''}." if warnings else "Everything works."


def _print(finding: Finding) -> None:
    from dynscale_cli.display.text import plain

    mark = f"{MARKS[finding.state]:<7}"
    area = styled(f"{finding.area:<9}", bold=True)
    text = plain(finding.text)
    if sys.stdout.isatty():  # a path stays in one piece
        room = max(20, shutil.get_terminal_size().columns - INDENT)
        text = f"\n{'':<{INDENT}}".join(textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False))
    typer.echo(f"{typer.style(mark, fg=COLORS[finding.state])}  {area}  {text}")
    if finding.fix:
        typer.echo(f"{'':<{INDENT}}try: {styled(plain(finding.fix), fg='cyan')}")
    sys.stdout.flush()
