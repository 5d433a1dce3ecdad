"""The doctor: what is found, what mends it, and that nothing that is broken keeps it from telling the rest."""

import json
import shutil
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from dynscale_cli import child, doctor
from dynscale_cli.child import ChildError
from dynscale_cli.cli.main import app
from dynscale_cli.cli.parser import keys
from dynscale_cli.doctor import Patient, examine
from tests.cli_process import dynscale, lines

KEYS = keys(typer.main.get_command(app))
BUILT = {
    "features": ["AVX", "AVX2", "FMA", "F16C", "BMI2"],
    "backends": ["CPU"],
    "devices": [{"name": "CPU", "description": "x", "kind": "CPU", "free": 1, "total": 2}],
}
GPU = {"name": "CUDA0", "description": "GPU", "kind": "GPU", "free": 1, "total": 2}


def states(findings):
    return {finding.state for finding in findings}


@pytest.fixture
def machine(tmp_path):
    """A machine's /proc and /dev, as files."""

    def make(flags="avx avx2 fma f16c bmi2", files=()):
        for name, text in (("proc/cpuinfo", f"processor : 0\nflags\t\t: {flags}\n"), *((name, "") for name in files)):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return make


def test_a_machine_and_a_build_that_fit_are_fine(machine):
    assert states(doctor._built(BUILT, machine())) == {"fine"}


def test_what_the_cpu_has_and_the_build_lacks(machine):
    findings = list(doctor._built(BUILT, machine("avx avx2 fma f16c bmi2 avx512f avx512_vnni")))
    found = next(finding for finding in findings if finding.state == "warning")
    assert "AVX512, AVX512_VNNI" in found.text
    assert "pip install" in found.fix
    assert "--no-binary" in found.fix


@pytest.mark.parametrize(
    ("files", "option"),
    [
        (["proc/driver/nvidia/version"], "GGML_CUDA"),
        (["dev/kfd"], "GGML_HIP"),
        (["dev/dri/renderD128", "usr/lib/x86_64-linux-gnu/libvulkan.so.1"], "GGML_VULKAN"),
    ],
)
def test_a_gpu_that_the_build_cannot_use(machine, files, option):
    findings = list(doctor._built(BUILT, machine(files=files)))
    found = next(finding for finding in findings if finding.state == "warning")
    assert found.fix.startswith(f'CMAKE_ARGS="-D{option}=on" pip install')


def test_a_gpu_that_is_used_and_one_that_its_driver_hides(machine):
    root = machine(files=["proc/driver/nvidia/version"])
    cuda = {**BUILT, "backends": ["CUDA", "CPU"]}
    assert states(doctor._built({**cuda, "devices": [GPU]}, root)) == {"fine"}
    hidden = next(finding for finding in doctor._built(cuda, root) if finding.state == "warning")
    assert hidden.fix == "nvidia-smi"


def test_the_library_is_asked_for_how_it_was_built():
    built = child.ask("dynscale_cli.engine.binding:described", None, 60)
    assert "CPU" in built["backends"]
    assert built["features"]
    assert any(device["kind"] == "CPU" for device in built["devices"])


def test_a_library_that_crashes_is_a_finding_with_the_command_that_rebuilds_it(monkeypatch):
    def crash(target, request, seconds):
        raise ChildError("crashed", "crashed (SIGILL)", words="illegal instruction")

    monkeypatch.setattr(child, "ask", crash)
    loads, findings = doctor.installed(Path("/"))
    assert not loads
    assert (findings[0].state, findings[0].text) == ("wrong", "the library crashed (SIGILL): illegal instruction")
    assert findings[0].fix.startswith("pip install")


def test_a_missing_model_ends_in_a_command():
    header, findings = doctor.model("/nowhere/at/all.gguf", {})
    assert header is None
    assert findings[0].state == "wrong"
    assert findings[0].fix.startswith("dynscale ")


def test_a_model_that_does_not_fit_in_memory(monkeypatch, bundled_model):
    monkeypatch.setattr(doctor, "available", lambda: 400_000_000)
    _, findings = doctor.model(str(bundled_model), {})
    found = next(finding for finding in findings if finding.state == "warning")
    assert found.fix.startswith("dynscale config set parallel ")


def test_bad_settings_and_a_mistyped_variable(tmp_path):
    environ = {"DYNSCALE_HOME": str(tmp_path), "DYNSCALE_POLYCY": "race"}
    values, findings = doctor.written(KEYS, environ)
    assert values["policy"].value == "race"
    assert [(each.state, each.fix) for each in findings[1:]] == [("warning", "unset DYNSCALE_POLYCY")]
    (tmp_path / "config.toml").write_text("\ntmep = 1\n")
    values, findings = doctor.written(KEYS, environ)
    assert values == {}
    assert findings[0].state == "wrong"
    assert "config.toml, line 2" in findings[0].text


def test_a_server_that_is_asked_instead_of_a_file():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        assert states(doctor.servers([address])) == {"fine"}
    assert states(doctor.servers([address, "http://127.0.0.1:port"])) == {"wrong"}


@pytest.mark.parametrize(
    ("written", "environ", "said", "fix"),
    [
        ("model = 'x'\nendpoint = ['URL']", {}, "model (config.toml) is not used", "dynscale config unset model"),
        (
            "model = 'x'",
            {"DYNSCALE_ENDPOINT": "URL"},
            "endpoint (environment) goes before",
            "dynscale config unset model",
        ),
        ("endpoint = ['URL']", {"DYNSCALE_MODEL": "x"}, "endpoint (config.toml) is not used", "unset DYNSCALE_MODEL"),
        (
            "endpoint = ['URL']\n[profile.p]\nmodel = 'x'",
            {"DYNSCALE_PROFILE": "p"},
            "model (profile p) goes before it",
            "dynscale config unset profile.p.model",
        ),
        ("endpoint = ['URL']", {}, None, None),
    ],
)
def test_of_a_model_and_a_server_the_one_that_is_passed_over_is_told(tmp_path, written, environ, said, fix):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        (tmp_path / "config.toml").write_text(written.replace("URL", url))
        environ = {name: text.replace("URL", url) for name, text in environ.items()}
        settings, _ = doctor.written(KEYS, {"DYNSCALE_HOME": str(tmp_path), **environ})
        found = list(doctor.asked(settings))
    warned = [(said in finding.text, finding.fix) for finding in found if finding.state == "warning"]
    assert warned == ([(True, fix)] if said else [])
    asked = [finding for finding in found if finding.state == "fine"]
    assert bool(asked) == (environ.get("DYNSCALE_MODEL") is None and "DYNSCALE_PROFILE" not in environ)


def test_a_model_that_is_missing_where_a_server_is_asked_is_not_wrong(tmp_path, machine):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        (tmp_path / "config.toml").write_text(f"model = '/nowhere.gguf'\nendpoint = ['{url}']\n")
        patient = Patient(KEYS, {"DYNSCALE_HOME": str(tmp_path)}, speed=False, root=machine())
        about = [finding.state for finding in examine(patient) if finding.area in ("model", "server")]
        assert about == ["note", "warning", "fine"]
        about = [f.state for f in examine(replace(patient, model="/nowhere.gguf")) if f.area == "model"]
        assert about == ["wrong"]


def test_folders_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    assert states(doctor.folders({"DYNSCALE_HOME": str(tmp_path / "new" / "home")})) == {"fine"}
    gone = str(tmp_path / "file" / "home")
    assert states(doctor.folders({"DYNSCALE_HOME": gone})) == {"wrong"}
    for home, fix in ((tmp_path, "$HOME/.dynscale"), (gone, "FOLDER")):
        fixes = {finding.fix for finding in doctor.folders({"DYNSCALE_HOME": gone, "HOME": str(home)})}
        assert fixes == {f"export DYNSCALE_HOME={fix}"}


def test_an_extra_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    assert {finding.state for finding in doctor.extras()} == {"note"}
    assert all(finding.fix.startswith("pip install") for finding in doctor.extras())


def test_all_that_is_not_fine_ends_in_a_command(tmp_path, machine):
    (tmp_path / "file").touch()
    environ = {"DYNSCALE_HOME": str(tmp_path / "file" / "x"), "DYNSCALE_TMEP": "1", "DYNSCALE_MODEL": "/nowhere"}
    root = machine("avx512f", ["proc/driver/nvidia/version"])
    found = list(examine(Patient(KEYS, environ, model="/nowhere", speed=False, root=root)))
    bad = [finding for finding in found if finding.state != "fine"]
    assert len(bad) >= 5
    for finding in bad:
        program = finding.fix.split("pip install")[0].split()
        assert "pip install" in finding.fix or program[0] in ("dynscale", "unset", "export"), finding


def test_the_place_of_runs_is_the_one_that_runs_path_prints(tmp_path):
    printed = lines(dynscale("runs", "path", cwd=tmp_path).stdout)[0]
    found = list(doctor.folders({"DYNSCALE_HOME": str(tmp_path / "dynscale")}))
    assert f"runs: {printed}" in [each.text for each in found]


def test_the_report_as_a_user_sees_it(tmp_path):
    done = dynscale("doctor", "-t", "1", cwd=tmp_path)
    told = lines(done.stdout)
    assert done.returncode == 0, told
    assert done.stderr == b""
    assert "tokens/s" in next(line for line in told if " speed " in line)
    assert told[-1].startswith("Everything works")


def test_a_broken_setting_or_model_is_wrong_and_the_rest_is_told(tmp_path):
    (tmp_path / "dynscale").mkdir()
    (tmp_path / "dynscale" / "config.toml").write_text("temp = 11\n")
    done = dynscale("doctor", "--no-speed", "--json", cwd=tmp_path, env={"DYNSCALE_MODEL": "/nowhere"})
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["ok"] is False
    wrong = {finding["area"] for finding in told["findings"] if finding["state"] == "wrong"}
    assert wrong == {"settings", "model"}
    assert {finding["area"] for finding in told["findings"]} >= {"versions", "llama.cpp", "paths", "terminal", "extras"}
    assert not any(finding["area"] == "speed" for finding in told["findings"])


def test_the_doctor_itself_loads_no_library(tmp_path):
    import subprocess

    code = (
        "import sys\n"
        "sys.argv = ['dynscale', 'doctor', '--no-speed']\n"
        "from dynscale_cli.cli.main import _run\n"
        "_run()\n"
        "assert not {'llama_cpp', 'numpy', 'matplotlib'} & set(sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path).returncode == 0
    assert shutil.which("python3")
