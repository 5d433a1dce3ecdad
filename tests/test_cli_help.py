"""Help, versions and mistyped words."""

import re

import pytest
import typer

import dynscale_cli
from dynscale_cli.cli import help as help_
from dynscale_cli.cli.main import app
from dynscale_cli.cli.parser import Command, Group
from tests.cli_process import COMMAND, dynscale, environment, lines

SCREEN = 50  # lines, the terminal of a laptop held wide
ROOT = typer.main.get_command(app)


def tree(command, path=()):
    """Every command by the words that name it: {("models",): ..., ("models", "list"): ...}."""
    return {path: command} | {
        key: found
        for name, below in sorted(getattr(command, "commands", {}).items())
        for key, found in tree(below, (*path, name)).items()
    }


TREE = tree(ROOT)
COMMANDS = [path for path in TREE if path]


def flags(command) -> set[str]:
    return {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)} | {"-h", "--help"}


@pytest.mark.parametrize("command", TREE, ids=" ".join)
def test_help_fits_a_terminal_of_80_columns(tmp_path, command):
    done = dynscale(*command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == b""
    assert max(map(len, lines(done.stdout))) <= 80
    assert len(lines(done.stdout)) <= SCREEN


def test_all_flags_of_ask_are_on_one_page(tmp_path):
    everyday, everything = (dynscale("ask", flag, cwd=tmp_path).stdout.decode() for flag in ("--help", "--help-all"))
    options = [option for option in TREE["ask",].params if option.param_type_name == "option"]
    shown = {option.opts[0] for option in options if not option.is_flag or option.default is not True}
    assert {name for name in shown if name not in everything} == set()
    assert len(lines(everyday.encode())) < len(lines(everything.encode()))
    assert "--help-all" in everyday


@pytest.mark.parametrize("command", TREE, ids=" ".join)
def test_every_command_takes_settings_and_has_the_same_page(command):
    """A command of the parser's own classes would have neither."""
    assert isinstance(TREE[command], (Command, Group))


def test_a_page_is_colored_at_a_terminal_alone(tmp_path):
    assert b"\x1b" not in dynscale("ask", "--help", cwd=tmp_path).stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_and_every_option_has_help(command):
    found = TREE[command]
    assert found.help
    assert [param.name for param in found.params if not getattr(param, "help", None)] == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_examples_in_the_help_name_flags_that_exist(command):
    for part in (TREE[command].epilog or "").replace("|", "\n").splitlines():
        _, called, rest = part.partition("dynscale ")
        words = tuple(rest.split())
        named = next((words[:end] for end in range(len(words), 0, -1) if words[:end] in TREE), ())
        assert bool(named) == bool(called), part
        assert {word for word in words if re.fullmatch(r"--?[a-z][\w-]*", word)} <= flags(TREE[named]), part


def test_help_of_ask_ends_with_examples(tmp_path):
    assert 'dynscale ask "What is 3 + 4?"' in dynscale("ask", "--help", cwd=tmp_path).stdout.decode()


def test_help_does_not_wait_for_heavy_imports(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys\n"
        "from dynscale_cli.cli.main import _command\n"
        "sys.argv = ['dynscale', 'ask', '--help']\n"
        "_command()\n"
        "print([m for m in ('llama_cpp', 'numpy', 'matplotlib', 'sympy', 'math_verify') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment(tmp_path), check=True)
    assert lines(done.stdout)[-1] == "[]"


def test_the_version_is_the_package_s(tmp_path):
    done = dynscale("--version", cwd=tmp_path)
    assert done.stdout.decode() == f"dynscale {dynscale_cli.__version__}\n"
    assert COMMAND


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("aks", "x"), "try: dynscale ask\n"),
        (("repaly",), "try: dynscale replay\n"),
        (("config", "shwo"), "try: dynscale config show\n"),
        (("models", "lsit"), "try: dynscale models list\n"),
        (("What is 2+2?",), "try: dynscale ask 'What is 2+2?'\n"),
        (("ask", "--bugdet", "3", "x"), "try: dynscale ask --budget, or"),
        (("ask", "--tempereture", "1", "x"), "try: dynscale ask --temp, or"),
        (("ask", "--modle", "m", "x"), "try: dynscale ask --model, or"),
        (("ask", "--min-p", "3", "x"), "--min-p 3: not a number from 0 to 1\n"),
        (("ask", "--limit", "0", "x"), "--limit 0: not a whole number, 1 or more\n"),
        (("ask", "x", "--stop"), "--stop needs a value\n"),
        (("docs", "servr"), "try: dynscale docs servers\n"),
        (("docs", "nothing"), "try: dynscale docs\n"),
        (("ask", "--policy", "rase", "x"), "try: --policy race\n"),
        (("ask", "--mode", "paralel", "x"), "try: --mode parallel\n"),
        (("ask", "--vote", "mayority", "x"), "try: --vote majority\n"),
        (("ask", "--layout", "qoted", "x"), "try: --layout quoted\n"),
        (("ask", "--answer-type", "nubmer", "x"), "--answer-type number"),
        (("ask", "-ctk", "q8", "x"), "try: --cache-type-k q8_0\n"),
        (("ask", "-fa", "atuo", "x"), "try: --flash-attn auto\n"),
        (("ask", "--profile", "carefull", "x"), "try: --profile careful\n"),
        (("completions", "zhs"), "try: dynscale completions zsh\n"),
        (("ask", "-5 + 3 = ?"), "try: dynscale ask -- QUESTION"),
        (("config", "set", "profile", "quick"), "try: export DYNSCALE_PROFILE="),
        (("models", "pull"), "OWNER/REPO[:QUANT] is missing\n"),
        (("ask", "--json=3", "x"), "--json takes no value\n"),
        (("docs", "files", "budget"), "too many arguments for dynscale docs: budget\n"),
        (("version",), "try: dynscale --version\n"),
        (("--help-all",), "try: dynscale --help\n"),
        (("help", "runs", "resum"), "try: dynscale runs resume\n"),
    ],
)
def test_a_mistyped_word_suggests_the_nearest(tmp_path, typed, meant):
    done = dynscale(*typed, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == b""
    assert meant in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_a_mistyped_model_suggests_a_command_that_takes_it(tmp_path):
    """`models show` has no -m."""
    done = dynscale("models", "show", "SmolLM3-135M-Instruct.Q4_1", cwd=tmp_path)
    assert done.returncode == 1
    assert "try: dynscale models show SmolLM2-135M-Instruct" in done.stderr.decode()


@pytest.mark.parametrize("command", TREE, ids=" ".join)
def test_help_is_a_command_too(command, capsys):
    from dynscale_cli.cli.help import show_help

    show_help(typer.Context(ROOT, info_name="dynscale"), list(command))
    assert capsys.readouterr().out.startswith(f"Usage: {' '.join(('dynscale', *command))} [OPTIONS]")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--n-predict", "--max-tokens"),
        ("--format", "--json"),
        ("--output", "> FILE"),
        ("-v", "--explain"),
        ("--mlock", "without it"),
        ("--temperature", "--temp"),
    ],
)
def test_what_other_programs_call_a_flag_is_known(typed, meant):
    ctx = typer.Context(TREE["ask",], info_name="ask", parent=typer.Context(ROOT, info_name="dynscale"))
    assert help_._option(typed, ctx, "dynscale ask").startswith(f"dynscale ask {meant}")


def test_no_command_shows_the_help(tmp_path):
    done = dynscale(cwd=tmp_path)
    assert done.returncode == 2
    assert b"Commands" in done.stdout
    assert done.stderr == b""
