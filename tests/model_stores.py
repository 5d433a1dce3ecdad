"""A home directory as other programs fill it: the caches of Hugging Face and llama.cpp, Ollama's store, LM Studio."""

import hashlib
import json
import os
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Stores:
    """Puts the bytes of models where each program would. `environ` is that of a user with this home directory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {"HOME": str(home), "DYNSCALE_HOME": str(home / "dynscale")}
        self.hub = home / ".cache/huggingface/hub"
        self.llamacpp = home / ".cache/llama.cpp"
        self.ollama = home / ".ollama/models"
        self.lmstudio = home / ".lmstudio/models"

    def hf(self, repo: str, file: str, content: bytes, commit: str = COMMIT, main: bool = True) -> Path:
        """A blob, and a link to it in a snapshot."""
        folder = self.hub / f"models--{repo.replace('/', '--')}"
        blob = put(folder / "blobs" / hashlib.sha256(content).hexdigest(), content)
        if main:
            put(folder / "refs/main", commit.encode())
        link = folder / "snapshots" / commit / file
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
        return link

    def pulled(self, name: str, content: bytes, host: str = "registry.ollama.ai/library") -> Path:
        """A model as `ollama pull` leaves it."""
        digest = hashlib.sha256(content).hexdigest()
        model, tag = name.split(":")
        layers = [
            {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:00", "size": 1},
            {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": len(content)},
        ]
        put(self.ollama / "manifests" / host / model / tag, json.dumps({"schemaVersion": 2, "layers": layers}).encode())
        return put(self.ollama / "blobs" / f"sha256-{digest}", content)


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
