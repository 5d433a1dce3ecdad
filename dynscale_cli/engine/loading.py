"""From a GGUF file to an engine: check the header, load the weights, size the KV cache, fill it.

Owns the sizes: how many sequences, how many tokens each. Knows nothing of questions beyond how long
they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .batched import BatchedEngine
from .llama import LlamaBackend, LlamaModel
from .options import CPU_WIDTH, GPU_WIDTH, LoadOptions
from .protocol import Message

ROUND = 256  # llama.cpp rounds a stream's capacity up to this many tokens
SLACK = 96  # for asking a sample for its answer
CACHE_BYTES = 1 << 30  # memory for kept prefixes


def context_for(model: LlamaModel, longest: Sequence[Sequence[Message]], max_tokens: int) -> int:
    """Tokens a sequence needs for the longest prompts that the model can take at all, and one sample.

    Chains fit in what a sample rarely uses. Never beyond the context the model was trained with.
    """
    limit = model.n_ctx_train or 4096
    sizes = [len(model.prompt(messages)) for messages in longest]
    fitting = [size for size in sizes if size + SLACK < limit]
    return min(limit, -(-(max(fitting, default=0) + max_tokens + SLACK) // ROUND) * ROUND)


def open_engine(
    model: LlamaModel,
    *,
    context: int,
    width: int | None = None,
    notice: Callable[[str], None] = lambda text: None,
) -> tuple[BatchedEngine, LlamaBackend]:
    """An engine over a loaded model. `notice` is told where memory made it smaller than asked for."""
    wanted = width or (GPU_WIDTH if model.offloads else CPU_WIDTH)
    backend = LlamaBackend(model, width=wanted, context=context)
    if backend.info.width < wanted:
        notice(f"not enough memory for {wanted} samples side by side: running {backend.info.width}")
    return BatchedEngine(backend, chunk=backend.chunk, cache_bytes=CACHE_BYTES), backend


def load_model(path: Path, options: LoadOptions, name: str = "") -> LlamaModel:
    """Load a GGUF whose header has been read and found sound."""
    return LlamaModel(path, options, name)
