"""From a GGUF file to an engine: try it, load the weights, size the KV cache, fill it.

The one place where a model file becomes an engine. Owns the sizes: how many sequences, how many tokens each. Knows
nothing of questions beyond how long they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dynscale_cli.errors import EngineError

from . import jinja, trial
from .options import CACHE_BYTES, CPU_WIDTH, GPU_WIDTH, LoadOptions
from .protocol import Message
from .reasoning import opening_by_name

if TYPE_CHECKING:
    from dynscale_cli.models.gguf import GGUFHeader

    from .batched import BatchedEngine
    from .llama import LlamaBackend, LlamaModel

ROUND = 256  # llama.cpp rounds a stream's capacity up to this many tokens
SLACK = 96  # for asking a sample for its answer
LEAST_CONTEXT = 2048  # tokens that a sample gets at least where memory is short
# Memory for kept prefixes, where a tenth of what is free is not less. An 8B model's take 131 kB a token.
PREFIX_BYTES, GPU_PREFIX_BYTES = 1 << 30, 16 << 30


def load_model(
    header: GGUFHeader,
    options: LoadOptions,
    *,
    width: int | None = None,
    notice: Callable[[str], None] = lambda text: None,
) -> LlamaModel:
    """Load a model that is known to work here, or is found to: see `trial`. Raises ModelError.

    `width`: how many sequences will be asked for, where that is known already.
    """
    verdict = trial.tried(header.parts, options, width or CPU_WIDTH, notice=notice)
    if header.chat_template or options.chat_template:
        jinja.prepare()
    from .llama import LlamaModel

    size, opening = token_bytes(header, options), opening_by_name(header.names, header.thought_tokens)
    model = LlamaModel(header.path, options, buffers=verdict.buffers, token_bytes=size, opening=opening)
    model.draws_on_device = verdict.on_device
    return model


def open_engine(
    model: LlamaModel,
    longest: Sequence[Sequence[Message]],
    max_tokens: int,
    *,
    least: int = 0,
    context: int | None = None,
    width: int | None = None,
    samples: int | None = None,
    top: int = 0,
    notice: Callable[[str], None] = lambda text: None,
) -> BatchedEngine:
    """An engine over a loaded model. Raises EngineError when none can be had.

    Without a `context`, as long as the `longest` conversations need (see `context_for`). Without a `width`, as wide as
    the device decodes well, but no wider than the `samples` that the run is expected to draw: clearing an idle slot's
    share of the cache takes time. `top`: see `LlamaBackend`. `notice` is told where the engine is smaller than asked
    for.
    """
    from .batched import BatchedEngine
    from .options import available

    chosen, context = context, context or context_for(model, longest, max_tokens, least)
    if 0 < model.n_ctx_train < context:
        notice(f"{model.name} was trained with {model.n_ctx_train} tokens of context: using these, not {context}")
        context = model.n_ctx_train
    wanted = width or default_width(model, samples)
    backend = _fitting(model, wanted, context, LEAST_CONTEXT if chosen is None else context, top, notice)
    if backend.info.width < wanted:
        notice(f"not enough memory for {wanted} samples side by side: running {backend.info.width}")
    return BatchedEngine(backend, chunk=backend.chunk, cache_bytes=prefix_bytes(available(), model.offloads))


def _fitting(
    model: LlamaModel, width: int, context: int, least: int, top: int, notice: Callable[[str], None]
) -> LlamaBackend:
    """A context of `width` sequences; where memory holds not even one of them, of half as many tokens, and so on.

    Never below `least` tokens: raises EngineError then.
    """
    from .llama import LlamaBackend

    tokens = context
    while True:
        try:
            backend = LlamaBackend(model, width=width, context=tokens, top=top)
        except EngineError:
            if tokens // 2 < least:
                raise
            tokens //= 2
        else:
            if tokens < context:
                notice(f"not enough memory for samples of {context:,} tokens: they get {tokens:,}")
            return backend


def context_for(model: LlamaModel, longest: Sequence[Sequence[Message]], max_tokens: int, least: int = 0) -> int:
    """Tokens a sequence needs for the longest prompts that the model can take at all, and one sample.

    Chains fit in what a sample rarely uses, given `least` tokens. Never beyond the context the model was trained with.
    """
    limit = model.n_ctx_train or 4096
    sizes = [len(model.prompt(messages)) for messages in longest]
    fitting = [size for size in sizes if size + SLACK < limit]
    needed = max(least, max(fitting, default=0) + max_tokens + SLACK)
    return min(limit, -(-needed // ROUND) * ROUND)


def default_width(model: LlamaModel, samples: int | None) -> int:
    """How many samples to decode side by side where the user does not say."""
    widest = GPU_WIDTH if model.offloads else CPU_WIDTH
    return widest if samples is None else max(1, min(widest, samples))


def token_bytes(header: GGUFHeader, options: LoadOptions) -> int:
    """What one token takes in the KV cache, at most; 0 where the header does not tell."""
    return header.kv_bytes(CACHE_BYTES[options.cache_type_k], CACHE_BYTES[options.cache_type_v])


def prefix_bytes(free: int | None, offloads: bool = False) -> int:
    """Memory for kept prefixes, given the bytes that are free: larger models, as GPUs run them, have larger states."""
    most = GPU_PREFIX_BYTES if offloads else PREFIX_BYTES
    return PREFIX_BYTES if free is None else min(most, free // 10)
