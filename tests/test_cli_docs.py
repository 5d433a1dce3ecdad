"""The commands of the README and of `dynscale docs` run, the flags they name exist, and the versions agree."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import dynscale_cli
from dynscale_cli.cli.main import app
from dynscale_cli.cli.parser import walk
from tests.cli_process import COMMAND, MINUTES, QUICK, dynscale, environment, lines

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {path.stem: path.read_text() for path in sorted((ROOT / "dynscale_cli" / "docs").glob("*.md"))}
ALL = README + "".join(PAGES.values())
BLOCK = re.compile(r"(?:<!-- needs: ([^\n]*) -->\n)?^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LONGEST = 200  # lines that a newcomer reads
FLAG = re.compile(r"(?<![\w-])--?[a-z][a-z-]*(?![\w=])")
# What other programs' flags the README names.
FOREIGN = {
    "--batched-bench",
    "--help",
    "-p",
    "--port",
    "--api-key",
    "--enable-cache-report",
    "-sf",
    "--enable-prompt-tokens-details",
    "--interrupt_requests",
    "-m",
    "--install",
    "-r",
    "-e",
    "-1",
    "--check",
    "-name",
    "--arg",
    "-v",
}


def runnable(text: str) -> list[str]:
    """The blocks that need nothing but `dynscale`, or a program that is here."""
    return [
        block
        for needs, block in BLOCK.findall(text)
        if (not needs or shutil.which(needs)) and "pip install" not in block
    ]


FEW = (*QUICK, "--max-samples", "1", "--max-tokens", "6")


def limited(home: Path) -> dict[str, str]:
    """An environment in which `dynscale` draws a few tokens a question and `doctor` leaves the speed check out."""
    folder = home / "bin"
    folder.mkdir()
    script = folder / "dynscale"
    command = " ".join(COMMAND)
    script.write_text(
        f'#!/usr/bin/env bash\ncase "$1:$2" in\n'
        f'ask:-h|ask:--help*) exec {command} "$@" ;;\n'
        f'ask:*) exec {command} "$@" {" ".join(FEW)} ;;\n'
        f'doctor:*) exec {command} "$@" --no-speed ;;\n'
        f'*) exec {command} "$@" ;;\nesac\n'
    )
    script.chmod(0o755)
    env = environment(home)
    env["PATH"] = f"{folder}:{env['PATH']}"
    return env


def run_blocks(text: str, folder: Path) -> None:
    """With less budget than they name: every flag is read, every file is found, every pipe holds."""
    env = limited(folder)
    for block in runnable(text):
        done = subprocess.run(
            ["bash", "-uc", f"set -o pipefail\n{block}"],
            cwd=folder,
            env=env,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=MINUTES,
        )
        assert done.returncode in (0, 3), f"{block}\n{done.stderr.decode()}"
        assert b"Traceback" not in done.stderr
        assert b"\n  try: " not in done.stderr, f"an error that did not end the block: {block}\n{done.stderr.decode()}"


def test_the_readme_s_commands_run_in_their_order(tmp_path):
    run_blocks(README, tmp_path)
    assert (tmp_path / "results.jsonl").exists()


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if runnable(text)])
def test_the_commands_of_a_page_run_in_their_order(tmp_path, page):
    """In a folder that has the files which the README makes."""
    (tmp_path / "questions.txt").write_text("What is 3 + 4?\nWhat is 9 - 2?\n")
    (tmp_path / "questions.jsonl").write_text(
        '{"id": "sum", "question": "What is 3 + 4?", "answer": "7"}\n'
        '{"id": "colour", "question": "Which is a colour?", "choices": ["tall", "green", "seven"], "answer": "B"}\n'
    )
    run_blocks(PAGES[page], tmp_path)


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("script"), reason="needs `script` of util-linux")
def test_the_readme_s_transcript_is_what_a_terminal_shows(tmp_path):
    """Its command, word for word, and an answer in that form; what a model answers differs from machine to machine."""
    transcript = re.search(r"^```text\n\$ (dynscale ask .*)\n(.*)\n```", README, re.MULTILINE)
    command, shown = transcript.groups()
    seen = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        cwd=tmp_path,
        env=limited(tmp_path),
        capture_output=True,
        timeout=MINUTES,
    ).stdout.decode()
    form = re.compile(
        r"^.+   \d+ of \d+ votes? · [a-z ]+ after [\d,]+ tokens( · \d+ samples? cut off)?\r?$", re.MULTILINE
    )
    assert form.search(shown)
    assert form.search(seen), seen


def test_the_readme_is_for_newcomers():
    assert len(README.splitlines()) <= LONGEST


def test_docs_lists_and_shows_the_pages(tmp_path):
    listed = lines(dynscale("docs", cwd=tmp_path).stdout)
    assert [line.split()[0] for line in listed] == list(PAGES)
    assert [name for name in PAGES if f"dynscale_cli/docs/{name}.md" not in README] == []
    shown = dynscale("docs", "budget", cwd=tmp_path).stdout.decode()
    assert shown == PAGES["budget"]
    assert "needs:" not in dynscale("docs", "servers", cwd=tmp_path).stdout.decode()
    assert b"try: dynscale docs files" in dynscale("docs", "fiels", cwd=tmp_path).stderr


def test_the_set_up_is_two_commands():
    set_up = [block for _, block in BLOCK.findall(README) if "pip install" in block]
    assert [len(block.splitlines()) for block in set_up] == [1, 1]
    assert 'dynscale ask "' in set_up[0]
    assert "-m pytest" in set_up[1]


def test_the_flags_that_the_documentation_names_exist():
    options = [option for command in walk(typer.main.get_command(app)) for option in command.params]
    known = {flag for option in options for flag in (*option.opts, *option.secondary_opts)}
    code = " ".join(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", ALL, flags=re.DOTALL)))
    used = set(FLAG.findall(code)) | {flag for _, block in BLOCK.findall(ALL) for flag in FLAG.findall(block)}
    assert used - known - FOREIGN == set()


def test_the_documentation_names_every_command():
    root = typer.main.get_command(app)
    named = [name for name, command in root.commands.items() if not command.hidden]
    assert [name for name in named if f"dynscale {name}" not in ALL] == []


def test_the_examples_of_the_help_run(tmp_path, bundled_model):
    """In a folder that has what they name; not those of models to be fetched and of runs that there are not."""
    (tmp_path / "questions.txt").write_text("What is 1+1?\nWhat is 2+3?\n")
    (tmp_path / "q.jsonl").write_text('{"id": "a", "question": "What is 1+1?", "answer": "2"}\n')
    (tmp_path / "model.gguf").symlink_to(bundled_model)
    for folder in (".zfunc", ".config/fish/completions"):
        (tmp_path / folder).mkdir(parents=True)
    env = limited(tmp_path)
    root = typer.main.get_command(app)
    pages = [command for name, command in root.commands.items() if name not in ("models", "bench", "runs")]
    found = [root, *(each for page in pages for each in walk(page))]
    examples = {line: None for page in found for line in (page.epilog or "").splitlines() if "dynscale" in line}
    examples = {line: None for line in examples if "--endpoint" not in line}
    for line in examples:
        run = ["bash", "-c", f"set -o pipefail\n{line}"]
        done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, stdin=subprocess.DEVNULL)
        assert done.returncode in (0, 3), f"{line}\n{done.stderr.decode()}"


def test_the_options_page_names_every_flag_of_ask():
    command = typer.main.get_command(app).commands["ask"]
    flags = {option.opts[0] for option in command.params if option.opts[0].startswith("--")}
    assert {flag for flag in flags - {"--color"} if flag not in PAGES["options"]} == set()


def test_the_exit_codes_are_told():
    from dynscale_cli.cli.session import DONE, EXIT, UNANSWERED

    told = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGES["scripts"], re.MULTILINE)}
    assert told == {DONE, 1, 2, UNANSWERED, 141, *EXIT.values()}


def test_the_changelog_s_newest_version_is_the_package_s():
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == dynscale_cli.__version__
