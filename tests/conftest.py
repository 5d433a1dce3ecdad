"""What every test may rely on: a directory of its own for the user's things, and the bundled model."""

import os
from pathlib import Path

import pytest

from dynscale_cli.engine.options import Buffers


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test meets the settings or the model of whoever runs it."""
    own = [name for name in os.environ if name.startswith("DYNSCALE_")]
    for name in (*own, "OPENAI_API_KEY", "NO_COLOR", "FORCE_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DYNSCALE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def buffers(bundled_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Buffers:
    """Which buffers llama.cpp can hold the bundled model's weights in, on this machine: AMX crashes on some."""
    from dynscale_cli.engine.options import LoadOptions
    from dynscale_cli.engine.trial import tried

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNSCALE_HOME", str(tmp_path_factory.mktemp("trial")))
        return tried([bundled_model], LoadOptions(), 1).buffers


@pytest.fixture(scope="session")
def bundled_model() -> Path:
    from dynscale_cli.models.stores import bundled

    path = bundled()
    assert path is not None, "the test extra installs the bundled model"
    return path
