"""The command as a process: what a shell would start, in a home directory of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dynscale_cli.engine.trial import FILE

SCRIPT = Path(sys.executable).with_name("dynscale")
COMMAND = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "dynscale_cli"]
# One thread: with more, llama.cpp's threads wait for each other whenever another process takes a core.
QUICK = ("-t", "1", "-np", "4", "--max-tokens", "16", "--budget", "300")
MINUTES = 300  # seconds that no test needs: a hang is a failure and not a stop


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """A plain shell's environment, and nothing of the one that runs the tests; the bundled model has been tried."""
    tried = home / "dynscale" / FILE
    if not tried.exists() and not tried.parent.is_file():  # where a test has put one in the way
        tried.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy(verdicts(), tried)
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "DYNSCALE_HOME": str(home / "dynscale"),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "OMP_WAIT_POLICY": "passive",  # where the test that takes the default of threads meets a busy machine
        **(more or {}),
    }


@cache
def verdicts() -> Path:
    """The file of verdicts, with the bundled model's: a trial in every test would take longer than the tests."""
    folder = Path(tempfile.mkdtemp(prefix="dynscale-tests-"))
    env = {**os.environ, "DYNSCALE_HOME": str(folder)}
    code = "from dynscale_cli.engine.loading import load_model; from dynscale_cli.models.gguf import read_header; "
    code += "from dynscale_cli.models.resolve import bundled; from dynscale_cli.engine.options import LoadOptions; "
    code += "load_model(read_header(bundled()), LoadOptions())"
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    return folder / FILE


def dynscale(
    *arguments: str, cwd: Path, stdin: bytes | None = None, env: Mapping[str, str] | None = None, **options: Any
) -> "subprocess.CompletedProcess[bytes]":
    """Run `dynscale` to its end. Without `stdin`, standard input is empty; both outputs are pipes."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": MINUTES} | options
    if stdin is None:
        options.setdefault("stdin", subprocess.DEVNULL)
    else:
        options["input"] = stdin
    return subprocess.run([*COMMAND, *arguments], cwd=cwd, env=environment(cwd, env), check=False, **options)


def ask(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """`dynscale ask` with small defaults, which `arguments` may replace."""
    return dynscale("ask", *QUICK, *arguments, **options)


def start(
    *arguments: str, cwd: Path, more: Mapping[str, str] | None = None, **options: Any
) -> "subprocess.Popen[bytes]":
    """Start `dynscale` and leave it running."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen([*COMMAND, *arguments], cwd=cwd, env=environment(cwd, more), **options)


def lines(output: bytes) -> list[str]:
    return output.decode().splitlines()
