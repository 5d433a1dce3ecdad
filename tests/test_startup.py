"""What a user waits for before anything happens: help and usage errors do not pay for the engine."""

import subprocess
import sys

import pytest

HEAVY = {"llama_cpp", "numpy", "jinja2", "matplotlib", "sympy", "math_verify", "huggingface_hub", "openai"}
SCRIPT = """
import sys
sys.argv = ["dynscale", *{arguments}]
from dynscale_cli.cli.main import _run
code = _run()
print("\\nloaded:", code, *sorted({heavy} & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["ask", "--help"], 0),
        (["bench", "--help"], 0),
        (["models", "--help"], 0),
        (["models", "list"], 0),
        (["models", "show"], 0),
        (["models", "pull", "nonsense"], 1),
        (["runs", "list"], 0),
        (["runs", "resume", "nothing"], 1),
        (["bench", "--methods", "best"], 1),
        (["ask", "--cache-type-k", "q9", "Why?"], 1),
        (["ask", "--endpoint", "http://127.0.0.1:9", "-m", "x.gguf", "Why?"], 1),
        (["ask", "-m", "/nowhere/at/all.gguf", "Why?"], 1),
    ],
)
def test_help_and_errors_import_neither_llama_cpp_nor_numpy(arguments, code):
    script = SCRIPT.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    told = done.stderr.splitlines()[-1].split()
    assert told[0] == "loaded:", done.stderr
    assert told[2:] == []
    assert (int(told[1]) != 0) == (code != 0)
