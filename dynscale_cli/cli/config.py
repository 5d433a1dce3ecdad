"""`dynscale config` and `dynscale doctor`: what is set, and whether all is as it should be.

Parses and prints; the work is in `settings` and in `dynscale_cli.doctor`. The doctor's exit code is 1 when something is
wrong.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dynscale_cli.errors import DynscaleError, UsageError
from dynscale_cli.settings import NAME, Found, Key, bare, canonical, closest, config_file, drop, put, read, settle

from .help import model_names, profile_names, styled
from .parser import NEVER, PREFIX, THREADS, Command, Group, keys, once

if TYPE_CHECKING:
    from dynscale_cli.doctor import Finding

PROFILE_KEY = re.compile(r"profile\.[^.]+\.([^.]+)")

app = typer.Typer(cls=Group, no_args_is_help=True, help="Settings: show them, and where each is from; change them.")

SHOW = """
dynscale config show
dynscale config show --profile careful
dynscale config show --json
"""
SET = """
dynscale config set max-tokens 512
dynscale config set profile.thorough.confidence 0.99
"""


def _names(incomplete: str) -> list[str]:
    """All settings, for a shell's completion."""
    from .main import app as root

    return list(keys(typer.main.get_command(root)))


Name = Annotated[
    str,
    typer.Argument(metavar="KEY", help="A setting, or profile.NAME.KEY.", autocompletion=_names),
]


@app.command("show", cls=Command, epilog=SHOW)
def show(
    ctx: typer.Context,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            envvar=f"{PREFIX}PROFILE",
            metavar="NAME",
            help="As with this profile chosen.",
            autocompletion=profile_names,
        ),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON object of all settings.")] = False,
) -> None:
    """Print every setting, its value, and where that is from."""
    from dataclasses import asdict

    from dynscale_cli.display.text import columns

    known = keys(ctx.find_root().command)
    found = list(settle(known, read(config_file(), known), profile, os.environ))
    if json_output:
        import json

        print(json.dumps({each.key: {k: v for k, v in asdict(each).items() if k != "key"} for each in found}))
        return
    print("\n".join(columns([(each.key, _on_one_line(_value(each.value)), _origin(each)) for each in found])))


def _value(value: Any) -> str:
    return "-" if value is None else bare(value)


def _on_one_line(value: str) -> str:
    """As it is, where that can be shown; else with escapes, so that a line's end and an escape sequence are seen."""
    return value if value.isprintable() else ascii(value)


def _origin(found: Found) -> str:
    line = f"{NAME}:{found.line}" if found.line else ""
    if found.origin == "profile":
        return f"profile {found.where}" + (f" ({line})" if line else "")
    return {"environment": found.where or "", "file": line, "default": "default"}[found.origin]


@app.command("get", cls=Command, epilog="dynscale config get max-tokens")
def get(ctx: typer.Context, name: Name) -> None:
    """Print the value of one setting."""
    known = keys(ctx.find_root().command)
    key = _known(name, known)
    found = settle({key.name: key}, read(config_file(), known), os.environ.get(f"{PREFIX}PROFILE"), os.environ)
    value = _value(next(found).value)
    print(_on_one_line(value) if sys.stdout.isatty() else value)


@app.command("path", cls=Command)
def path() -> None:
    """Print where the file of settings is, whether or not it exists."""
    print(config_file())


@app.command("set", cls=Command, epilog=SET, context_settings={"ignore_unknown_options": True})
def set_value(
    ctx: typer.Context,
    name: Name,
    value: Annotated[list[str], typer.Argument(metavar="VALUE", help="Its value; several where it is a list.")],
) -> None:
    """Write a setting to the file, if it is valid. Comments stay."""
    key = _known(name, keys(ctx.find_root().command))
    wanted = _checked(key, value)
    put(config_file(), _parts(name, key.name), wanted)
    if os.environ.get(key.env):
        print(f"dynscale: {key.env} is set, too, and goes before the file", file=sys.stderr)


@app.command("unset", cls=Command, epilog="dynscale config unset max-tokens")
def unset(ctx: typer.Context, name: Name) -> None:
    """Take a setting out of the file."""
    path = config_file()
    if not drop(path, name.split(".")):
        _known(name, keys(ctx.find_root().command))
        print(f"dynscale: {name} is not set in {path}", file=sys.stderr)


def _checked(key: Key, words: list[str]) -> Any:
    """What was typed as a value of the key's type, through the check that the flag itself has."""
    if key.kind == "texts":
        return list(words)
    if len(words) > 1:
        raise UsageError(f"{key.name} takes one value, not {len(words)}", f"dynscale config set {key.name} {words[0]}")
    try:
        value = key.from_text(words[0])
        key.check(value)
    except DynscaleError as error:
        hint = f"dynscale config set {key.name} {key.meant(error.hint)}"
        raise UsageError(error.message.removeprefix("--"), hint) from None
    return value


def _parts(name: str, key: str) -> list[str]:
    """Where a setting stands in the file: tables, then its own name."""
    table = name.split(".")[:2] if PROFILE_KEY.fullmatch(name) else []
    return [*table, *key.split(".")]


def _known(name: str, known: dict[str, Key]) -> Key:
    """The setting of a name that was typed. Raises UsageError with the nearest one."""
    profile, plain = PROFILE_KEY.fullmatch(name), canonical(name)
    if profile:
        plain, known = canonical(profile[1]), {key: found for key, found in known.items() if "." not in key}
    if plain in known:
        return known[plain]
    if plain in NEVER:
        variable = f"{PREFIX}{plain.upper().replace('-', '_')}"
        raise UsageError(f"there is no setting {plain}", f"export {variable}=...")
    meant = closest(plain, known)
    hint = f"{meant}, or see them all: " if meant else ""
    raise UsageError(f"there is no setting {name}", f"{hint}dynscale config show")


# --- the doctor ---------------------------------------------------------------------------------------------------

DOCTOR = """
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
    from dynscale_cli.doctor import Patient, examine

    findings = examine(Patient(keys(ctx.find_root().command), os.environ, model, threads, speed))
    seen = []
    for finding in findings:
        seen.append(finding)
        if not json_output:
            _show_finding(finding)
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


def _show_finding(finding: Finding) -> None:
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
