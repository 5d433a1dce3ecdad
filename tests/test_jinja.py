"""Chat templates are programs from elsewhere: whatever one does ends in time, in bounded memory, and in one line."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest

from dynscale_cli.engine import jinja
from dynscale_cli.engine.jinja import Isolated, Refused
from dynscale_cli.engine.protocol import Aborted, Message
from dynscale_cli.engine.template import ChatTemplate
from dynscale_cli.errors import ModelError
from tests.tiny_gguf import write_tiny_gguf

ASKED = [Message("user", "Why?")]
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs limits of Linux")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(jinja, "SECONDS", 1.5)


def template(source):
    return ChatTemplate(source, "<s>", "</s>")


def complaint(source):
    with pytest.raises(ModelError) as error:
        template(source).render(ASKED)
    assert "\n" not in error.value.message
    assert error.value.hint
    return error.value.message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ 1 / 0 }}", "ZeroDivisionError division by zero"),
        ("{{ '{}'.format() }}", "IndexError"),
        ("{{ 'a'.ljust(10 ** 18) }}", "MemoryError"),
        ("{{ 'a' * 10 ** 14 }}", "the result of * is too large"),
        ("{{ 9 ** (9 ** 9) }}", "the result of ** is too large"),
        ("{% for n in range(10 ** 9) %}{% endfor %}", "OverflowError Range too big"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "RecursionError"),
        ("{{ raise_exception('one\ntwo') }}", "one two"),
        ("{{ messages.__class__.__mro__ }}", "access to attribute"),
        ("{{ ''|attr('format')|attr('__globals__') }}", "it drops the user turn"),
    ],
)
def test_whatever_a_template_does_is_an_error_of_one_line(source, words):
    said = complaint(source)
    assert "template fails" in said
    assert words.partition(" ")[0] in said


@pytest.mark.parametrize(
    "source", ["{{ " + "(" * 999 + "1" + ")" * 999 + " }}", "{% break %}", "{{ 10**5000 }}{% x %}", "{% for m in x %}"]
)
def test_what_does_not_compile_is_an_error_of_one_line(source):
    assert "does not compile" in complaint(source)


@linux
@pytest.mark.parametrize(
    "source",
    [
        "{% set ns = namespace(t='aaaaaaaa') %}{% for n in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
        "{% set ns = namespace(t=[1]) %}{% for n in range(60) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
        "{% set t = 'a' * 99999 %}{{ t|replace('a', t)|replace('a', t) }}",
        "{{ 'a'|center(3000000000) }}",
    ],
)
def test_a_template_that_would_fill_the_memory_is_stopped(source, monkeypatch):
    monkeypatch.setattr(jinja, "SECONDS", 60.0)
    monkeypatch.setattr(jinja, "MEMORY", 1 << 28)
    assert "MemoryError" in complaint(source)


@linux
@pytest.mark.parametrize("source", ["{{ ('a' * 99999) * 99999 }}", "{{ ([0] * 99999) * 99999 }}"])
def test_constants_that_are_folded_when_a_template_is_compiled_are_bounded_as_well(source):
    complaint(source)


@pytest.mark.parametrize("source", [ENDLESS, "{% if false %}" + ENDLESS + "{% endif %}" + ENDLESS])
def test_a_template_that_does_not_come_to_an_end_is_given_up(source, quick):
    assert "does not come to an end" in complaint(source)


def test_one_that_loops_from_the_third_turn_costs_that_conversation_and_no_other(quick):
    source = "{% for m in messages %}{{ m.content }}{% endfor %}{% if messages|length > 2 %}" + ENDLESS + "{% endif %}"
    program = Isolated(source, "", "", datetime.now())
    short, long = [{"role": "user", "content": "Why?"}], [{"role": "user", "content": "x"}] * 3
    assert program.render(short, True, {}) == "Why?"
    with pytest.raises(ModelError, match="does not come to an end"):
        program.render(long, True, {})
    assert program.render(short, True, {}) == "Why?"
    for _ in range(jinja.CHANCES):
        with pytest.raises(ModelError):
            program.render(long, True, {})
    with pytest.raises(ModelError):  # it is not given more than its chances
        program.render(short, True, {})
    program.close()


def test_a_refusal_is_no_end(quick):
    program = Isolated("{% if messages %}{{ raise_exception('no') }}{% endif %}fine", "", "", datetime.now())
    for _ in range(2 * jinja.CHANCES):
        with pytest.raises(Refused, match="no"):
            program.render([{"role": "user", "content": "x"}], True, {})
    assert program.render([], True, {}) == "fine"
    program.close()


def test_stop_ends_a_rendering_from_another_thread():
    program = Isolated(ENDLESS, "", "", datetime.now())
    threading.Timer(0.3, program.stop).start()
    with pytest.raises(Aborted):
        program.render([], True, {})
    with pytest.raises(Aborted):
        program.render([], True, {})


def test_a_template_reads_nothing_of_the_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET_OF_TEST", "told")
    for source in (
        "{{ messages|attr('__class__') }}",
        "{{ ''|attr('format')|attr('__self__') }}",
        "{{ cycler.__init__.__globals__.os.environ }}",
        "{% set f = ['{0.__class__.__init__.__globals__}']|map('format', joiner)|list %}{{ f }}",
        "{% include '/etc/passwd' %}",
    ):
        program = Isolated(source, "", "", datetime.now())
        try:
            text = program.render([], True, {})
        except Refused:
            continue
        finally:
            program.close()
        assert "told" not in text
        assert "root:" not in text


@linux
def test_the_first_ctrl_c_ends_a_template_that_hangs(tmp_path):
    import signal

    model = write_tiny_gguf(tmp_path / "m.gguf", chat_template=ENDLESS)
    command = [sys.executable, "-m", "dynscale_cli", "ask", "-m", str(model), "-t", "1", "Why?"]
    environ = {**os.environ, "DYNSCALE_HOME": str(tmp_path)}
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while "jinja2" not in _children(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=8)
    assert process.returncode == 130
    assert "Traceback" not in out + err


def _children(pid: int) -> str:
    """What the child processes were started with."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if stat.read_text().rpartition(")")[2].split()[1] == str(pid):
                found.append(stat.with_name("cmdline").read_text())
        except OSError:
            continue
    return " ".join(found)


def test_a_constant_that_takes_for_ever_to_fold_ends_in_time():
    now = datetime.now().isoformat()
    told = {"source": "{{ 'abc'|slice(999999999)|list|length }}", "bos": "", "eos": "", "now": now, "seconds": 0.2}
    code = f"from dynscale_cli.engine.jinja import answer; print(answer({told!r})['error'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == jinja.ENDLESS
