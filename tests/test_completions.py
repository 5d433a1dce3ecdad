"""A tab in bash, zsh and fish: the scripts are what the program prints, and complete what a user would want."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

import pytest
import typer

from dynscale_cli.cli.help import SCRIPTS as FILES
from dynscale_cli.cli.help import answers
from dynscale_cli.cli.main import app
from tests.cli_process import SCRIPT, dynscale, environment, lines

# What is typed, and what the line is after a tab.
TYPED = [
    ("dynscale repl", "dynscale replay "),
    ("dynscale conf", "dynscale config "),
    ("dynscale config uns", "dynscale config unset "),
    ("dynscale config set max-tok", "dynscale config set max-tokens "),
    ("dynscale config set journal.m", "dynscale config set journal.max-size "),
    ("dynscale completions f", "dynscale completions fish "),
    ("dynscale ask --bud", "dynscale ask --budget "),
    ("dynscale ask --no-exh", "dynscale ask --no-exhaust "),
    ("dynscale ask 'What is 1+1?' --abst", "dynscale ask 'What is 1+1?' --abstain-below "),
    ("dynscale ask --policy uni", "dynscale ask --policy uniform "),
    ("dynscale ask --policy=uni", "dynscale ask --policy=uniform "),
    ("dynscale ask --mode cha", "dynscale ask --mode chain "),
    ("dynscale ask --vote maj", "dynscale ask --vote majority "),
    ("dynscale ask --answer-type num", "dynscale ask --answer-type number "),
    ("dynscale ask -ctk q8", "dynscale ask -ctk q8_0 "),
    ("dynscale ask --budget 2k --cache-type-v bf", "dynscale ask --budget 2k --cache-type-v bf16 "),
    ("dynscale ask --profile min", "dynscale ask --profile mine "),
    ("dynscale ask --profile car", "dynscale ask --profile careful "),
    ("dynscale ask -f que", "dynscale ask -f questions.txt "),
    ("dynscale ask -m tin", "dynscale ask -m tiny.gguf "),
    ("dynscale ask --model=fold", "dynscale ask --model=folder/"),
    ("dynscale ask -m folder/in", "dynscale ask -m folder/inner.gguf "),
    ("dynscale replay que", "dynscale replay questions.txt "),
    ("dynscale models sh", "dynscale models show "),
    ("dynscale models show Smol", "dynscale models show SmolLM2-135M-Instruct.Q4_1 "),
    ("dynscale ask -m Smol", "dynscale ask -m SmolLM2-135M-Instruct.Q4_1 "),
    ("dynscale ask Wh", "dynscale ask Wh"),
    ("dynscale ask --budget 2", "dynscale ask --budget 2"),
    ("dynscale ask -- --bud", "dynscale ask -- --bud"),
]

needs = {shell: pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed") for shell in FILES}


@pytest.fixture
def home(tmp_path):
    """A folder with what a tab can find in it."""
    for name in ("questions.txt", "tiny.gguf", "folder/inner.gguf", "folder/notes.txt", "dynscale/config.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "dynscale" / "config.toml").write_text("[profile.mine]\ntemp = 0.5\n")
    return tmp_path


class Terminal:
    """A shell at a terminal. `tab` types a line and a tab, and says what the line is then."""

    def __init__(self, command, setup, home):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(home)
            os.execvpe(command[0], command, {**environment(home), "PS1": "$ ", "TERM": "dumb", "ZDOTDIR": str(home)})
        self.output = ""
        (home / "setup").write_text("\n".join(setup))
        os.write(self.fd, b"source ./setup; rm setup; echo re''ady\n")
        self.until("ready\r")

    def tab(self, line):
        os.write(self.fd, line.encode() + b"\t\x14")  # control T prints the line
        self.until(r"<<(.*?)>>")
        found = re.findall(r"<<(.*?)>>", self.output)[-1]
        os.write(self.fd, b"\x15")  # control U empties it
        self.output = ""
        return found

    def until(self, pattern):
        end = time.monotonic() + 30
        while not re.search(pattern, self.output):
            assert time.monotonic() < end, self.output
            if select.select([self.fd], [], [], 0.5)[0]:
                self.output += os.read(self.fd, 65536).decode(errors="replace")

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def bash(home):
    setup = [f"source {FILES['bash']}", r"""bind -x '"\C-t": printf "<<%s>>\n" "$READLINE_LINE"'"""]
    return Terminal(["bash", "--norc", "--noprofile", "-i"], setup, home)


def zsh(home):
    setup = [
        f"fpath=({FILES['zsh'].parent} $fpath); autoload -Uz compinit; compinit -u -D",
        "dump() { print -r -- \"<<$BUFFER>>\" }; zle -N dump; bindkey -e; bindkey '^T' dump",
        "setopt no_beep",
    ]
    return Terminal(["zsh", "-f", "-i"], setup, home)


@pytest.mark.parametrize("shell", [pytest.param(bash, marks=needs["bash"]), pytest.param(zsh, marks=needs["zsh"])])
def test_a_tab_completes_what_was_begun(home, shell):
    terminal = shell(home)
    try:
        lines = [terminal.tab(typed) for typed, _ in TYPED]
        # zsh puts = behind a flag, and takes it back where a space is typed.
        assert [line.removesuffix("=").strip() for line in lines] == [after.strip() for _, after in TYPED]
    finally:
        terminal.close()


@needs["fish"]
def test_a_tab_completes_what_was_begun_in_fish(home):
    asked = "\n".join(f"complete -C {fish_quoted(typed)}; echo ====" for typed, _ in TYPED)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {FILES['fish']}\n{asked}"],
        cwd=home,
        env=environment(home),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == b""
    offered = [block.splitlines() for block in done.stdout.decode().split("====\n")]
    for (typed, after), names in zip(TYPED, offered, strict=False):
        words = [name.split("\t")[0] for name in names]
        last = after.rstrip(" ").rpartition(" ")[2]
        assert words == ([] if typed == after else [last]), typed


def fish_quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@pytest.mark.parametrize("shell", [pytest.param(bash, marks=needs["bash"]), pytest.param(zsh, marks=needs["zsh"])])
def test_what_a_tab_inserts_is_quoted(home, shell):
    """A file's name is never a command."""
    (home / "m$(touch hacked).gguf").touch()
    terminal = shell(home)
    try:
        line = terminal.tab("dynscale ask -m m")
    finally:
        terminal.close()
    assert "$(" in line.replace("\\", "")
    done = subprocess.run(["bash", "-c", f"printf '%s\\n' {line.partition(' -m ')[2]}"], cwd=home, capture_output=True)
    assert done.stdout.decode().strip() == "m$(touch hacked).gguf"
    assert not (home / "hacked").exists()


def test_runs_are_completed_by_their_ids(monkeypatch):
    monkeypatch.setattr("dynscale_cli.run.store.Store.ids", lambda store: ["k3f9q2", "a1b2c3"])
    root = typer.main.get_command(app)
    assert list(answers(root, ["runs", "resume"], "k")) == ["k3f9q2"]
    assert list(answers(root, ["runs", "rm", "k3f9q2"], "")) == ["k3f9q2", "a1b2c3"]


def test_the_command_prints_a_script_and_refuses_other_shells(tmp_path):
    assert dynscale("completions", "bash", cwd=tmp_path).stdout == FILES["bash"].read_bytes()
    done = dynscale("completions", "bsh", cwd=tmp_path)
    assert done.returncode == 2
    assert b"try: dynscale completions bash" in done.stderr


def test_a_tab_waits_for_no_engine(home):
    code = (
        "import sys\n"
        "sys.argv = ['dynscale', '__complete', 'dynscale ask -m t']\n"
        "from dynscale_cli.cli.main import _run\n"
        "assert _run() == 0\n"
        "print(sorted({'rich', 'llama_cpp', 'numpy', 'huggingface_hub'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment(home), cwd=home, check=True
    )
    assert lines(done.stdout) == ["tiny.gguf", "[]"]


@pytest.mark.parametrize(
    "line", ["", "dynscale nothing ", "dynscale ask -m /nowhere/x", "dynscale ask -m ~n/", "dynscale 'zz"]
)
def test_a_tab_never_shows_an_error(tmp_path, line):
    (tmp_path / "dynscale").mkdir()
    (tmp_path / "dynscale" / "config.toml").write_text("not TOML")
    done = dynscale("__complete", line, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert SCRIPT
