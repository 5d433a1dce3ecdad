"""Load model files in llama.cpp for real and decode two tokens: run as a child process, since bad files abort it.

usage: python load_gguf.py            file names on stdin, one a line
Prints "begin NAME" before each file and "loaded NAME" or "refused NAME" after it: after a crash the last "begin"
names the culprit.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from llama_cpp import llama_cpp as low

TEXT = "17 + 25?\n¿日"
LARGE = 10_000_000  # bytes


def main() -> None:
    low.llama_backend_init()
    quiet = low.llama_log_callback(lambda level, text, data: None)
    low.llama_log_set(quiet, None)
    for line in sys.stdin:
        name = line.rstrip("\n")
        print(f"begin {name}", flush=True)
        print(f"{'loaded' if run(Path(name)) else 'refused'} {name}", flush=True)


def run(path: Path) -> bool:
    options = low.llama_model_default_params()
    options.use_extra_bufts = path.stat().st_size < LARGE  # do not repack weights that serve one step
    model = low.llama_model_load_from_file(str(path).encode(), options)
    if not model:
        return False
    params = low.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch, params.n_threads, params.n_threads_batch = 64, 64, 64, 1, 1
    context = low.llama_init_from_model(model, params)
    if context:
        decode(model, context)
        low.llama_free(context)
    low.llama_model_free(model)
    return bool(context)


def decode(model: Any, context: Any) -> None:
    vocab = low.llama_model_get_vocab(model)
    text, tokens = TEXT.encode(), (low.llama_token * 256)()
    count = low.llama_tokenize(vocab, text, len(text), tokens, 256, True, True)
    if not 2 <= count <= 60 or low.llama_decode(context, low.llama_batch_get_one(tokens, count)):
        return
    chain = low.llama_sampler_chain_init(low.llama_sampler_chain_default_params())
    for sampler in (low.llama_sampler_init_top_k(40), low.llama_sampler_init_top_p(0.95, 1)):
        low.llama_sampler_chain_add(chain, sampler)
    low.llama_sampler_chain_add(chain, low.llama_sampler_init_temp(0.8))
    low.llama_sampler_chain_add(chain, low.llama_sampler_init_dist(1))
    tokens[0] = low.llama_sampler_sample(chain, context, -1)
    low.llama_token_to_piece(vocab, tokens[0], (low.ctypes.c_char * 64)(), 64, 0, True)
    low.llama_vocab_is_eog(vocab, tokens[0])
    low.llama_decode(context, low.llama_batch_get_one(tokens, 1))
    low.llama_sampler_free(chain)


if __name__ == "__main__":
    main()
