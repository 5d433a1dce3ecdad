"""The README's commands run, its flags exist, and the changelog's newest version is the package's."""

import re
import subprocess
from pathlib import Path

import typer

import dynscale_cli
from dynscale_cli.cli.app import app
from tests.cli_process import COMMAND, MINUTES, QUICK, environment

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"(<!-- needs: [^\n]* -->\n)?^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = BLOCK.findall(README)
FLAG = re.compile(r"(?<![\w-])--?[a-z][a-z-]*(?![\w=])")
# What other programs' flags the README names.
FOREIGN = {
    "--port",
    "--api-key",
    "--enable-prompt-tokens-details",
    "--interrupt_requests",
    "-m",
    "--install",
    "-r",
    "-e",
    "-1",
    "--check",
}


def commands(command) -> list:
    """A command and all below it."""
    return [command, *(found for below in getattr(command, "commands", {}).values() for found in commands(below))]


def runnable() -> list[str]:
    return [block for needs, block in BLOCKS if not needs and "pip install" not in block]


def test_the_readme_s_commands_run_in_their_order(tmp_path):
    """With less budget than they name: every flag is read, every file is found, every pipe holds."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "dynscale"
    limits = " ".join(QUICK)
    script.write_text(
        f'#!/usr/bin/env bash\nif [ "$1" = ask ]; then exec {" ".join(COMMAND)} "$@" {limits}; fi\n'
        f'exec {" ".join(COMMAND)} "$@"\n'
    )
    script.chmod(0o755)
    env = environment(tmp_path)
    env["PATH"] = f"{folder}:{env['PATH']}"
    assert len(runnable()) >= 4
    for block in runnable():
        done = subprocess.run(
            ["bash", "-uc", f"set -o pipefail\n{block}"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=MINUTES,
        )
        assert done.returncode in (0, 3), f"{block}\n{done.stderr.decode()}"
        assert b"Traceback" not in done.stderr
        said = [line for line in done.stderr.decode().splitlines() if line.startswith("dynscale: ")]
        assert [line for line in said if " goes on: " not in line] == [], block
    assert (tmp_path / "samples.jsonl").exists()
    assert (tmp_path / "results.jsonl").exists()


def test_the_set_up_is_two_commands():
    set_up = [block for _, block in BLOCKS if "pip install" in block]
    assert [len(block.splitlines()) for block in set_up] == [1, 1]
    assert 'dynscale ask "' in set_up[0]
    assert "-m pytest" in set_up[1]


def test_the_flags_that_the_readme_names_exist():
    options = [option for command in commands(typer.main.get_command(app)) for option in command.params]
    known = {flag for option in options for flag in (*option.opts, *option.secondary_opts)}
    code = " ".join(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL)))
    used = set(FLAG.findall(code)) | {flag for _, block in BLOCKS for flag in FLAG.findall(block)}
    assert used - known - FOREIGN == set()


def test_the_readme_names_every_flag_of_ask():
    command = typer.main.get_command(app).commands["ask"]
    flags = {option.opts[0] for option in command.params if option.opts[0].startswith("--")}
    assert {flag for flag in flags - {"--color"} if flag not in README} == set()


def test_the_readme_tells_the_exit_codes():
    from dynscale_cli.cli.interrupts import EXIT
    from dynscale_cli.cli.session import DONE, UNANSWERED

    told = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert told == {DONE, 1, 2, UNANSWERED, 141, *EXIT.values()}


def test_the_changelog_s_newest_version_is_the_package_s():
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == dynscale_cli.__version__
