"""The trial: llama.cpp is asked by a child that may die of it, once for each model, build, CPU and set of options."""

from __future__ import annotations

import json
import threading

import pytest

from dynscale_cli.engine import binding, trial
from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.engine.trial import Verdict, Verdicts, fingerprint, standing, tried
from dynscale_cli.errors import DynscaleError, ModelError, UsageError
from dynscale_cli.models.gguf import read_header
from tests.tiny_gguf import ARCHITECTURES, write_tiny_gguf

OPTIONS = LoadOptions(threads=1)
DIE = "os.kill(os.getpid(), signal.{})"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DYNSCALE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    return path


@pytest.fixture
def played(tmp_path, monkeypatch, home):
    """Play a library: `when` maps buffers to what the child does with them. Gives the list of children that ran."""
    monkeypatch.syspath_prepend(str(tmp_path))
    count = iter(range(1000))
    ran = tmp_path / "ran"

    def play(when, kinds="AMX CPU_REPACK", stage="running"):
        name = f"library_for_trial_{next(count)}"
        (tmp_path / f"{name}.py").write_text(
            "import os, signal, sys, time\n"
            "from dynscale_cli import child\n"
            "from dynscale_cli.errors import ModelError, EngineError\n"
            f"when, kinds, stage, ran = {when!r}, {kinds!r}, {stage!r}, {str(ran)!r}\n"
            "def decode(told):\n"
            "    open(ran, 'a').write(told['buffers'] + '\\n')\n"
            "    child.stage('library')\n"
            "    if stage != 'library':\n"
            "        child.stage(f\"running: {kinds if told['buffers'] == 'all' else ''}\")\n"
            "    print('llama.cpp: GGML_ASSERT(n > 0) failed', file=sys.stderr, flush=True)\n"
            "    exec(when.get(told['buffers'], 'pass'))\n"
            "    return told['width']\n"
        )
        monkeypatch.setattr(trial, "TARGET", f"{name}:decode")
        return lambda: ran.read_text().split("\n")[:-1] if ran.exists() else []

    return play


def test_what_works_is_said_once_and_not_tried_again(played, model):
    children, told = played({}), []
    assert tried([model], OPTIONS, notice=told.append) == Verdict("all", 16)
    assert tried([model], OPTIONS, notice=told.append) == Verdict("all", 16)
    assert children() == ["all"]
    assert told == ["checking m.gguf once, with this llama.cpp"]


def test_where_amx_alone_crashes_the_other_buffers_are_kept_and_the_user_is_told(played, model):
    children, told = played({"all": DIE.format("SIGSEGV")}), []
    assert tried([model], OPTIONS, notice=told.append).buffers == "without AMX"
    assert children() == ["all", "without AMX"]
    assert "AMX code crashes on this machine and is left out" in told[1]
    assert "pip install" in told[1]
    assert tried([model], OPTIONS, notice=told.append).buffers == "without AMX"
    assert len(told) == 2


@pytest.mark.parametrize(
    ("kinds", "tries"),
    [("AMX CPU_REPACK", ["all", "without AMX", "none"]), ("CPU_REPACK", ["all", "none"]), ("AMX", ["all", "none"])],
)
def test_without_any_extra_buffers_where_that_is_what_works(played, model, kinds, tries):
    children = played({"all": DIE.format("SIGILL"), "without AMX": DIE.format("SIGILL")}, kinds)
    assert tried([model], OPTIONS).buffers == "none"
    assert children() == tries


def test_where_the_gpus_part_in_drawing_crashes_it_has_none(played, model):
    children = played({"all": f"if told['on_device']: {DIE.format('SIGABRT')}"}, "CPU_REPACK device")
    told = []
    verdict = tried([model], OPTIONS, notice=told.append)
    assert (verdict.buffers, verdict.on_device, children()) == ("all", False, ["all", "all"])
    assert "drawing" in told[-1]
    assert not tried([model], OPTIONS).on_device
    assert len(children()) == 2


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGILL", "SIGABRT"])
def test_a_model_that_nothing_helps_is_one_line_with_how_it_died_and_the_last_words(played, model, name):
    children = played(dict.fromkeys(("all", "without AMX", "none"), DIE.format(name)))
    for _ in range(2):
        with pytest.raises(
            ModelError, match=rf"m\.gguf: llama\.cpp crashed \({name}\) with it: .*GGML_ASSERT"
        ) as raised:
            tried([model], OPTIONS)
        assert "\n" not in raised.value.message
        assert raised.value.hint
    assert children() == ["all", "without AMX", "none"]
    with pytest.raises(ModelError):
        tried([model], OPTIONS, again=True)
    assert len(children()) == 6


def test_a_library_that_the_cpu_cannot_run_ends_in_the_command_that_rebuilds_it(played, model):
    children = played({"all": DIE.format("SIGILL")}, stage="library")
    with pytest.raises(
        ModelError, match=r"llama\.cpp does not run on this machine: its library crashed \(SIGILL\)"
    ) as raised:
        tried([model], OPTIONS)
    assert raised.value.hint.startswith("pip install --force-reinstall")
    assert children() == ["all"]


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("time.sleep(60)", "did not answer within"),
        ("os._exit(0)", "said nothing"),
        ("raise ModelError('llama.cpp cannot load it', 'hint')", "cannot load it"),
        ("raise EngineError('computes nothing', 'hint')", "computes nothing"),
    ],
)
def test_what_may_end_otherwise_another_time_is_told_and_not_remembered(played, model, monkeypatch, act, said):
    monkeypatch.setattr(trial, "SECONDS", 0.5)
    children = played({"all": act})
    for _ in range(2):
        with pytest.raises(DynscaleError, match=said):
            tried([model], OPTIONS)
    assert children() == ["all", "all"]


def test_the_verdict_is_asked_for_again_when_what_it_depends_on_changes_and_not_otherwise(
    played, model, tmp_path, monkeypatch
):
    children = played({})

    def ran(options=OPTIONS, width=16):
        before = len(children())
        tried([model], options, width)
        return len(children()) > before

    assert ran()
    assert not ran(width=4)
    assert not ran(LoadOptions(threads=7))
    assert ran(width=32)
    assert not ran()
    assert ran(LoadOptions(cache_type_k="q8_0"))
    model.write_bytes(model.read_bytes() + b"x")
    assert ran()
    monkeypatch.setattr(trial, "_library", lambda: ["another"])
    assert ran()
    monkeypatch.setattr(trial, "cpu_features", lambda path: "flags: fewer")
    assert ran()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert ran()
    monkeypatch.delenv("GGML_NO_BACKTRACE", raising=False)
    assert not ran()
    monkeypatch.setenv("GGML_NO_BACKTRACE", "1")  # which loading the library does
    assert not ran()


def test_the_fingerprint_knows_every_part_of_a_split_model(model, tmp_path):
    part = tmp_path / "part"
    part.write_bytes(b"1")
    before = fingerprint([model, part], OPTIONS)
    part.write_bytes(b"22")
    assert fingerprint([model, part], OPTIONS) != before


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 5000, b'{"KEY": 5}', b'{"KEY": {"buffers": "some"}}',
     b'{"KEY": {"buffers": "all", "width": "wide"}}', b'{"KEY": {"colour": "red"}}', b'{"KEY": {"problem": 3}}'],
)  # fmt: skip
def test_a_damaged_file_of_verdicts_is_as_if_nothing_were_known(played, model, home, damage):
    children = played({})
    tried([model], OPTIONS)
    (home / trial.FILE).write_bytes(damage.replace(b"KEY", fingerprint([model], OPTIONS).encode()))
    assert tried([model], OPTIONS).buffers == "all"
    assert tried([model], OPTIONS).buffers == "all"
    assert len(children()) == 2


def test_where_nothing_can_be_kept_the_trial_runs_each_time(played, model, home):
    children = played({})
    home.write_text("not a folder")
    for _ in range(2):
        assert tried([model], OPTIONS).buffers == "all"
    assert children() == ["all", "all"]


def test_commands_at_the_same_time_leave_a_whole_file(played, model, home):
    played({})
    verdicts = Verdicts()
    threads = [
        threading.Thread(target=lambda n=n: [verdicts.keep(f"{n}-{i}", Verdict("all", 1)) for i in range(30)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if verdicts.path.exists():
            json.loads(verdicts.path.read_text())
    assert [path.name for path in home.iterdir()] == [trial.FILE]
    assert len(json.loads(verdicts.path.read_text())) <= trial.KEPT


# llama.cpp itself


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "bert"])
def test_tiny_models_of_every_kind_pass(tmp_path, home, architecture):
    window = 16 if architecture.startswith("gemma") else None
    path = write_tiny_gguf(tmp_path / "a.gguf", architecture=architecture, sliding_window=window)
    assert tried([path], OPTIONS, 4).problem == ""


def test_a_model_without_a_beginning_of_sequence_token_passes(tmp_path, home):
    path = write_tiny_gguf(tmp_path / "a.gguf", add_bos=False, tokenizer__ggml__bos_token_id=None)
    header = read_header(path)
    assert standing(header, OPTIONS).startswith("not tried yet")
    tried([path], OPTIONS, 2)
    assert standing(header, OPTIONS) == "works here"


def test_an_encoder_is_refused_in_words(tmp_path, home):
    with pytest.raises(ModelError, match="it cannot generate"):
        tried([write_tiny_gguf(tmp_path / "bert.gguf", architecture="bert")], OPTIONS, 2)


def test_amx_is_taken_out_of_the_table_that_llama_cpp_reads(monkeypatch):
    names = {11: "AMX", 12: "KLEIDIAI", 13: "CPU_REPACK", 14: "AMX"}
    table = [14, 12, 11, 13, None]
    monkeypatch.setattr(binding, "_extra_buffers", lambda: table)
    monkeypatch.setattr(binding, "buffer_name", names.__getitem__)
    assert binding.extra_buffer_types() == ["AMX", "KLEIDIAI", "AMX", "CPU_REPACK"]
    binding.leave_out_amx()
    assert table[:3] == [12, 13, None]


def test_a_usage_error_of_the_options_is_told_as_one(tmp_path, home):
    path = write_tiny_gguf(tmp_path / "a.gguf")
    with pytest.raises(UsageError, match="--tensor-split"):
        tried([path], LoadOptions(threads=1, tensor_split=(1.0,) * 1000), 1)
