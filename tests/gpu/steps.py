"""Where a decode step's time goes on a device, and what a fork costs: the figures that the engine's choices stand on.

Bare llama.cpp calls: decode alone, then with tokens drawn by llama.cpp row by row, as dynscale draws them, the same
in threads, and on the device; then forks of a prompt restored through host memory against copies on the device.

usage: python -m tests.gpu.steps MODEL [--widths 1,32,64,128] [--tokens 64]    the last line of stdout is JSON
"""

from __future__ import annotations

import argparse
import ctypes
import json
import time

import numpy as np

from dynscale_cli.engine.binding import binding
from dynscale_cli.engine.token_sampler import SamplerChain, TokenSampler

C = binding()

ON_DEVICE = 2  # LLAMA_STATE_SEQ_FLAGS_ON_DEVICE


class Context:
    """`width` sequences of `room` tokens each over a loaded model."""

    def __init__(self, model, width: int, room: int, ubatch: int = 0) -> None:
        params = C.llama_context_default_params()
        params.n_seq_max, params.n_ctx = width, width * room
        params.n_batch = params.n_ubatch = ubatch or width + 512
        params.n_outputs_max, params.n_outputs_max_per_seq = width, 1
        params.kv_unified = False
        params.no_perf = True
        self.handle = C.llama_init_from_model(model, params)
        assert self.handle, "no context"
        self.memory = C.llama_get_memory(self.handle)
        self.batch = C.llama_batch_init(params.n_batch, 0, 1)

    def decode(self, items) -> None:
        batch = self.batch
        batch.n_tokens = len(items)
        for i, (token, position, sequence, wanted) in enumerate(items):
            batch.token[i], batch.pos[i] = token, position
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
            batch.logits[i] = wanted
        code = C.llama_decode(self.handle, batch)
        assert code == 0, f"decode gives {code}"

    def prefill(self, sequence: int, count: int, vocabulary: int, chunk: int = 512) -> None:
        for start in range(0, count, chunk):
            end = min(count, start + chunk)
            self.decode([(300 + i % (vocabulary - 400), i, sequence, i == count - 1) for i in range(start, end)])
        C.llama_synchronize(self.handle)

    def close(self) -> None:
        C.llama_batch_free(self.batch)
        C.llama_free(self.handle)


def chain(seed: int):
    made = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
    C.llama_sampler_chain_add(made, C.llama_sampler_init_top_k(40))
    C.llama_sampler_chain_add(made, C.llama_sampler_init_top_p(0.95, 1))
    C.llama_sampler_chain_add(made, C.llama_sampler_init_temp(0.8))
    C.llama_sampler_chain_add(made, C.llama_sampler_init_dist(seed))
    return made


def steps(model, vocabulary: int, width: int, tokens: int) -> dict:
    """Milliseconds a step, by how the next tokens are drawn."""
    found = {"width": width}
    for way in ("none", "in turn", "cut", "cut in threads", "device"):
        context = Context(model, width, 64 + tokens * 2)
        samplers = [chain(seed) for seed in range(width)]
        drawing_ours = TokenSampler(C, context.handle, vocabulary, 4 if way == "cut in threads" else 1)
        ours = [SamplerChain(sampler, 40) for sampler in samplers]
        if way == "device":
            begun = time.perf_counter()
            kept = [C.llama_set_sampler(context.handle, seq, s) for seq, s in enumerate(samplers)]
            found["set_sampler_ms"] = 1e3 * (time.perf_counter() - begun) / width
            found["device_samplers"] = sum(map(bool, kept))
        for seq in range(width):
            context.prefill(seq, 32, vocabulary)
        current = [400 + seq for seq in range(width)]
        times, drawing = [], []
        for step in range(tokens):
            begun = time.perf_counter()
            context.decode([(current[s], 32 + step, s, True) for s in range(width)])
            C.llama_synchronize(context.handle)
            middle = time.perf_counter()
            if way == "in turn" or way == "device":
                current = [C.llama_sampler_sample(s, context.handle, i) for i, s in enumerate(samplers)]
            elif way.startswith("cut"):
                current = drawing_ours.draw(ours, range(width))
            if step >= tokens // 4:
                times.append(time.perf_counter() - begun)
                drawing.append(time.perf_counter() - middle)
        found[way] = round(1e3 * float(np.median(times)), 3)
        found[way + " drawing"] = round(1e3 * float(np.median(drawing)), 3)
        if way == "device":  # one sampler replaced, as when a sample ends and the next begins
            fresh, begun = chain(99), time.perf_counter()
            C.llama_set_sampler(context.handle, 0, fresh)
            context.decode([(current[s], 32 + tokens, s, True) for s in range(width)])
            C.llama_synchronize(context.handle)
            found["step after one was replaced"] = round(1e3 * (time.perf_counter() - begun), 3)
        context.close()
        print(json.dumps({way: found[way], "width": width}), flush=True)
    return found


def forks(model, vocabulary: int, prompt: int, count: int = 32) -> dict:
    """Milliseconds for `count` forks of a prompt, with the decode step behind them that applies pending copies."""
    context = Context(model, count + 1, prompt + 64, ubatch=512 + count)
    context.prefill(0, prompt, vocabulary)
    size = C.llama_state_seq_get_size(context.handle, 0)
    found = {"prompt": prompt, "forks": count, "state_mb": round(size / 1e6, 1)}

    def step(at: int) -> None:
        context.decode([(400, at, s, True) for s in range(1, count + 1)])
        C.llama_synchronize(context.handle)

    def clear() -> None:
        for s in range(1, count + 1):
            C.llama_memory_seq_rm(context.memory, s, -1, -1)

    begun = time.perf_counter()
    state = np.empty(size, np.uint8)
    pointer = state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
    C.llama_state_seq_get_data(context.handle, pointer, size, 0)
    found["save_ms"] = round(1e3 * (time.perf_counter() - begun), 2)
    rounds = {"copy": [], "restore": [], "device": []}
    small_size = C.llama_state_seq_get_size_ext(context.handle, 0, ON_DEVICE)
    small = np.empty(small_size, np.uint8)
    small_pointer = small.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
    begun = time.perf_counter()
    C.llama_state_seq_get_data_ext(context.handle, small_pointer, small_size, 0, ON_DEVICE)
    C.llama_synchronize(context.handle)
    found["save_on_device_ms"] = round(1e3 * (time.perf_counter() - begun), 2)
    for _ in range(3):
        clear()
        begun = time.perf_counter()
        for s in range(1, count + 1):
            C.llama_memory_seq_cp(context.memory, 0, s, -1, -1)
        step(prompt)
        rounds["copy"].append(time.perf_counter() - begun)
        clear()
        begun = time.perf_counter()
        for s in range(1, count + 1):
            C.llama_state_seq_set_data(context.handle, pointer, size, s)
        step(prompt)
        rounds["restore"].append(time.perf_counter() - begun)
        clear()
        begun = time.perf_counter()
        for s in range(1, count + 1):
            C.llama_state_seq_set_data_ext(context.handle, small_pointer, small_size, s, ON_DEVICE)
        step(prompt)
        rounds["device"].append(time.perf_counter() - begun)
    begun = time.perf_counter()
    step(prompt + 1)
    found["plain_step_ms"] = round(1e3 * (time.perf_counter() - begun), 2)
    for way, times in rounds.items():
        found[f"{way}_ms"] = round(1e3 * float(np.median(times)), 2)
    context.close()
    print(json.dumps(found), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--widths", default="1,32,64,128")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--prompts", default="100,1000,8000")
    parser.add_argument("--layers", type=int, default=-1)
    args = parser.parse_args()
    params = C.llama_model_default_params()
    params.n_gpu_layers = args.layers
    begun = time.perf_counter()
    model = C.llama_model_load_from_file(args.model.encode(), params)
    assert model, "the model does not load"
    result = {"load_s": round(time.perf_counter() - begun, 2), "steps": [], "forks": []}
    vocabulary = C.llama_vocab_n_tokens(C.llama_model_get_vocab(model))
    for width in filter(None, args.widths.split(",")):
        result["steps"].append(steps(model, vocabulary, int(width), args.tokens))
    for prompt in filter(None, args.prompts.split(",")):
        result["forks"].append(forks(model, vocabulary, int(prompt)))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
