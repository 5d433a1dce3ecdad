"""`dynscale ask` as a process: what is interrupted, refused or slow to load ends as it should, with no traceback."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from dynscale_cli.engine import llama
from dynscale_cli.engine.llama import LlamaBackend, LlamaModel
from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.engine.protocol import Aborted, Prompt, Request, Sampling
from dynscale_cli.engine.scheduler import Sequence as Slot
from tests.tiny_gguf import write_tiny_gguf

COMMAND = [sys.executable, "-c", "from dynscale_cli.cli import main; main()"]
LONG = 1 << 17  # tokens of a prompt that keeps the tiny model busy for minutes
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ask(*arguments: str) -> tuple[int, str, str]:
    process = start("ask", *arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture
def endless(tmp_path: Path) -> Sequence[str]:
    """Arguments of an `ask` whose prompt takes minutes to prefill."""
    model = write_tiny_gguf(tmp_path / "tiny.gguf", context_length=LONG + 4096)
    question = tmp_path / "question.txt"
    question.write_text("x" * LONG)
    return ["ask", "-m", str(model), "-f", str(question), "--whole", "-t", "1", "-n", "8", "-b", "1m", "-np", "1"]


def decoding(process: "subprocess.Popen[str]") -> None:
    """Wait until the process is at work for good: it has used three seconds of processor time."""
    ticks = os.sysconf("SC_CLK_TCK")
    for _ in range(1200):
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        if (int(fields[11]) + int(fields[12])) / ticks > 3:
            return
        time.sleep(0.05)
    raise AssertionError("the process does not get to work")


@posix
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_ctrl_c_in_a_long_prefill_ends_the_run_at_once(endless):
    process = start(*endless)
    decoding(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)  # the prefill would take minutes
    assert process.returncode == 130
    assert "Traceback" not in out + err


@posix
def test_a_second_ctrl_c_leaves_at_once_whatever_the_first_one_started():
    script = (
        "import os, signal, time\n"
        "from dynscale_cli.cli.session import watch\n"
        "with watch() as interrupts:\n"
        "    interrupts.on_first = lambda: print('first', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    while not interrupts: time.sleep(0.01)\n"
        "    time.sleep(0.5)\n"  # one that comes sooner is the first's echo
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (130, "first\n")


def test_abort_stops_a_decode_inside_the_library(tmp_path, monkeypatch):
    monkeypatch.setattr(llama, "CPU_CHUNK", 512)
    model = LlamaModel(write_tiny_gguf(tmp_path / "tiny.gguf"), LoadOptions(threads=1))
    backend = LlamaBackend(model, width=1, context=512)
    prompt = Prompt(tuple(range(10, 260)))
    share = Slot(Request(1, prompt, 1, Sampling(), 1), 0, 0, list(prompt.tokens)).share(len(prompt))
    backend.abort()
    with pytest.raises(Aborted):
        backend.evaluate([share])
    backend.close(), model.close()


def test_an_encoder_is_refused_with_one_line_and_exit_1(tmp_path):
    code, out, err = ask("-m", str(write_tiny_gguf(tmp_path / "bert.gguf", architecture="bert")), "Why?")
    assert (code, out) == (1, "")
    assert "bert" in err
    assert "Traceback" not in err


def test_what_llama_cpp_said_is_shown_when_loading_fails(tmp_path):
    # The header is sound, but a tensor that the architecture needs is not there.
    model = write_tiny_gguf(tmp_path / "tiny.gguf", architecture="llama")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(model.read_bytes().replace(b"blk.1.ffn_down.weight", b"blk.1.ffn_dowm.weight"))
    code, out, err = ask("-m", str(broken), "Why?")
    assert (code, out) == (1, "")
    assert "blk.1.ffn_down.weight" in err
    assert "Traceback" not in err


def test_an_unreachable_rpc_server_or_a_build_without_rpc_is_one_line_and_exit_1(tmp_path):
    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    code, out, err = ask("-m", str(model), "--rpc", "127.0.0.1:9", "Why?")
    assert (code, out) == (1, "")
    assert "GGML_RPC=on" in err or "no RPC server at 127.0.0.1:9" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_a_quantised_cache_answers_with_flash_attention_left_at_auto(bundled_model, kind):
    code, out, err = ask(
        "-m", str(bundled_model), "-ctk", kind, "-ctv", kind, "-n", "8", "-b", "200", "-np", "2", "-t", "1", "--json",
        "What is 2 + 2?",
    )  # fmt: skip
    assert code in (0, 3), err
    assert '"generated"' in out


def test_llama_cpp_s_threads_do_not_hold_the_cores_while_they_wait_unless_the_user_says_so():
    from dynscale_cli.engine.binding import PATIENCE, yield_soon

    for said, waits in (({}, PATIENCE), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)):
        environ = dict(said)
        yield_soon(environ)
        assert environ.get("GOMP_SPINCOUNT") == waits
        assert environ.items() >= said.items()
