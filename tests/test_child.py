"""Child processes: isolated from the folder one stands in, bounded in time and memory, gone with their parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dynscale_cli import child
from dynscale_cli.child import Child, ChildError
from dynscale_cli.errors import ModelError

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


@pytest.fixture
def target(tmp_path, monkeypatch):
    """Write a function of a child's and return its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(body, name="work"):
        (tmp_path / f"{name}_for_test.py").write_text("import os, signal, sys, time\n" + body)
        return f"{name}_for_test:run"

    return write


def fate(target, seconds=1.0, request=None, **limits):
    with pytest.raises(ChildError) as raised:
        child.ask(target, request, seconds, **limits)
    return raised.value


def test_one_child_answers_many_requests(target):
    worker = Child(target("def run(told):\n    print('noise'); return told * 2"))
    assert [worker.ask(number, 10) for number in range(3)] == [0, 2, 4]
    worker.close()


@posix
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGILL", "SIGABRT"])
def test_a_crash_is_told_with_its_signal_stage_and_last_words(target, name):
    body = (
        "from dynscale_cli import child\n"
        "def run(told):\n"
        "    child.stage('half way')\n"
        "    print('loading', 'error: it is damaged', sep='\\n', file=sys.stderr, flush=True)\n"
        f"    os.kill(os.getpid(), signal.{name})\n"
    )
    error = fate(target(body), 10)
    assert (error.fate, str(error), error.stage) == ("crashed", f"crashed ({name})", "half way")
    assert error.words == "error: it is damaged"


def test_a_child_that_hangs_is_ended(target):
    error = fate(target("def run(told):\n    time.sleep(60)"), 0.5)
    assert (error.fate, str(error)) == ("slow", "did not answer within 0 seconds")


def test_a_child_that_ends_without_a_word_or_with_an_error(target):
    assert fate(target("def run(told):\n    os._exit(0)"), 10).fate == "silent"
    assert "exit code 3" in str(fate(target("def run(told):\n    os._exit(3)", "b"), 10))
    assert "ValueError: no" in str(fate(target("def run(told):\n    raise ValueError('no')", "c"), 10))
    assert fate("no_such_module:run", 10).fate == "failed"


def test_an_error_for_the_user_comes_through_as_itself(target):
    body = "from dynscale_cli.errors import ModelError\ndef run(told):\n    raise ModelError('bad', 'do this')"
    with pytest.raises(ModelError, match="bad") as raised:
        child.ask(target(body), None, 10)
    assert raised.value.hint == "do this"


@linux
def test_memory_is_bounded_in_both_ways(target):
    body = "def run(told):\n    held = bytearray(600_000_000)\n    held[::4096] = b'x' * len(held[::4096])\n"
    body += "    time.sleep(30)"
    error = fate(target(body), 20, resident=300_000_000)
    assert (error.fate, "0.3 GB" in str(error)) == ("large", True)
    assert "MemoryError" in str(fate(target(body, "b"), 20, memory=400_000_000))


@posix
def test_nothing_is_imported_from_the_folder_that_one_stands_in(tmp_path, monkeypatch, target):
    name = target("import json\ndef run(told):\n    return json.__file__")
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "json.py").write_text(f"open({str(trap / 'sprung')!r}, 'w')")
    (trap / "sitecustomize.py").write_text(f"open({str(trap / 'sprung')!r}, 'w')")
    monkeypatch.chdir(trap)
    monkeypatch.setattr(sys, "path", ["", str(trap), *sys.path])
    monkeypatch.setenv("PYTHONPATH", ":")
    assert child.ask(name, None, 10) == json.__file__
    assert not (trap / "sprung").exists()


@posix
def test_stop_ends_a_request_from_another_thread(target):
    import threading

    worker = Child(target("def run(told):\n    time.sleep(60)"))
    threading.Timer(0.5, worker.stop).start()
    with pytest.raises(ChildError) as raised:
        worker.ask(None, 30)
    assert raised.value.fate == "stopped"


@linux
def test_a_child_ends_with_its_parent_even_while_it_works(target, tmp_path):
    name = target("def run(told):\n    open(told, 'w').write(str(os.getpid()))\n    while True: pass")
    told = tmp_path / "pid"
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from dynscale_cli import child; "
    code += f"child.ask({name!r}, {str(told)!r}, 60)"
    parent = subprocess.Popen([sys.executable, "-c", code])
    while not (told.exists() and told.read_text()):
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    pid = int(told.read_text())
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]:
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("the child outlived its parent")


def test_a_pool_of_processes_imports_nothing_from_the_folder_that_one_stands_in(tmp_path):
    (tmp_path / "pickle.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')")
    code = (
        "import sys; sys.path.remove(''); from concurrent.futures import ProcessPoolExecutor\n"
        "from multiprocessing import get_context\n"
        "from dynscale_cli.child import isolated_processes\n"
        "with isolated_processes():\n"
        "    pool = ProcessPoolExecutor(1, get_context('spawn'))\n"
        "    said = pool.submit(abs, -3)\n"
        "with pool:\n"
        "    print(said.result())"
    )
    environ = {**os.environ, "PYTHONPATH": str(child.PACKAGES)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.stdout == "3\n", done.stderr
    assert not (tmp_path / "sprung").exists()
