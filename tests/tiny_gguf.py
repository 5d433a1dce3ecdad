"""Real GGUF files of a few hundred kilobytes, with random weights, that llama.cpp loads and decodes with.

For tests of what no weights are at hand for: templates, tokenizers, sliding windows, recurrent models, encoders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import gguf
import numpy as np

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")
MERGED = ("Ġt", "Ġa", "he", "in", "er", "on", "Ġthe", "Answer")
ARCHITECTURES = ("llama", "qwen2", "qwen3", "gemma2", "gemma3", "mamba", "jamba", "lfm2", "bert")

EMBEDDING, HEADS, KV_HEADS, LAYERS, FEED_FORWARD, CONTEXT = 64, 4, 2, 2, 96, 512
CONV, STATE, RANK = 4, 8, 4  # of the recurrent layers

NORMAL, CONTROL = 1, 3


def byte_alphabet() -> list[str]:
    """The 256 characters that byte-level BPE writes bytes as, in byte order."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in kept else chr(next(others)) for byte in range(256)]


def write_tiny_gguf(
    path: Path,
    *,
    architecture: str = "llama",
    chat_template: str | None = CHATML,
    add_bos: bool = True,
    sliding_window: int | None = None,
    vocab: tuple[str, ...] = (),
    seed: int = 0,
    **overrides: Any,
) -> Path:
    """Write a model and return `path`. `vocab` adds tokens; `overrides` set keys, with `__` for each dot.

    The tokenizer is byte-level BPE (bert: the same tokens under its own architecture), so any text can be encoded.
    An override of None leaves the key out. Integers are written as u32, floats as f32.
    """
    writer = gguf.GGUFWriter(path, architecture)
    tokens = _add_tokenizer(writer, vocab, chat_template, add_bos)
    for key, value in (_hyperparameters(architecture, sliding_window, len(tokens)) | _dotted(overrides)).items():
        if value is not None:
            _add(writer, key if key.startswith(("general.", "tokenizer.")) else f"{architecture}.{key}", value)
    random = np.random.default_rng(seed)
    for name, shape in _tensors(architecture, len(tokens)):
        # Norms near one, weights small: activations stay finite over any number of layers.
        mean, spread = (1.0, 0.02) if name.endswith("norm.weight") else (0.0, 0.3 / shape[-1] ** 0.5)
        values = random.normal(mean, spread, shape)
        writer.add_tensor(name, (-np.abs(values) - 0.5 if name.endswith("ssm_a") else values).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _dotted(overrides: dict[str, Any]) -> dict[str, Any]:
    return {key.replace("__", "."): value for key, value in overrides.items()}


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def _add_tokenizer(
    writer: gguf.GGUFWriter, vocab: tuple[str, ...], chat_template: str | None, add_bos: bool
) -> list[str]:
    tokens = [*SPECIAL, *byte_alphabet(), *MERGED, *vocab]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([CONTROL if token in SPECIAL else NORMAL for token in tokens])
    writer.add_token_merges(["Ġ t", "Ġ a", "h e", "i n", "e r", "o n", "Ġt he"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(3)
    writer.add_add_bos_token(add_bos)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    return tokens


def _hyperparameters(architecture: str, sliding_window: int | None, vocabulary: int) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "context_length": CONTEXT,
        "embedding_length": EMBEDDING,
        "block_count": LAYERS,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": 10000.0,
        "attention.sliding_window": sliding_window,
        "vocab_size": vocabulary,
    }
    if architecture in ("gemma2", "gemma3"):
        keys |= {"attention.key_length": EMBEDDING // HEADS, "attention.value_length": EMBEDDING // HEADS}
    if architecture in ("mamba", "jamba"):
        keys |= {"ssm.conv_kernel": CONV, "ssm.inner_size": 2 * EMBEDDING, "ssm.state_size": STATE}
        keys |= {"ssm.time_step_rank": RANK}
    if architecture == "mamba":
        keys |= {"attention.head_count": 0, "attention.head_count_kv": 0, "feed_forward_length": 0}
    if architecture in ("jamba", "lfm2"):
        keys |= {"attention.head_count_kv": [0, KV_HEADS]}
    if architecture == "lfm2":
        keys |= {"shortconv.l_cache": 3}
    if architecture == "bert":
        keys |= {"attention.layer_norm_epsilon": 1e-5, "attention.causal": False, "attention.head_count_kv": HEADS}
        keys |= {"pooling_type": 1, "tokenizer.ggml.token_type_count": 2}
    return keys


Tensors = Iterator[tuple[str, tuple[int, ...]]]


def _tensors(architecture: str, vocabulary: int) -> Tensors:
    """Names and shapes, numpy's way round (slowest dimension first)."""
    yield "token_embd.weight", (vocabulary, EMBEDDING)
    if architecture == "bert":
        yield from _bert_head()
    else:
        yield ("token_embd_norm.weight" if architecture == "lfm2" else "output_norm.weight"), (EMBEDDING,)
    for layer in range(LAYERS):
        for name, shape in _layer(architecture, layer):
            yield f"blk.{layer}.{name}", shape


def _layer(architecture: str, layer: int) -> Tensors:
    if architecture == "bert":
        yield from _bert_layer()
        return
    yield "attn_norm.weight", (EMBEDDING,)
    if architecture == "mamba" or (architecture == "jamba" and layer == 0):
        yield from _mamba_layer(normed=architecture == "jamba")
    elif architecture == "lfm2" and layer == 0:
        yield "shortconv.conv.weight", (EMBEDDING, 3)
        yield "shortconv.in_proj.weight", (3 * EMBEDDING, EMBEDDING)
        yield "shortconv.out_proj.weight", (EMBEDDING, EMBEDDING)
    else:
        yield from _attention(architecture)
    if architecture != "mamba":
        yield from _feed_forward()
    if architecture in ("gemma2", "gemma3"):
        yield "post_attention_norm.weight", (EMBEDDING,)
        yield "post_ffw_norm.weight", (EMBEDDING,)


def _attention(architecture: str) -> Tensors:
    shared = EMBEDDING // HEADS * KV_HEADS
    for name, width in (("q", EMBEDDING), ("k", shared), ("v", shared)):
        yield f"attn_{name}.weight", (width, EMBEDDING)
        if architecture == "qwen2":
            yield f"attn_{name}.bias", (width,)
    yield "attn_output.weight", (EMBEDDING, EMBEDDING)
    if architecture in ("qwen3", "gemma3", "lfm2"):
        yield "attn_q_norm.weight", (EMBEDDING // HEADS,)
        yield "attn_k_norm.weight", (EMBEDDING // HEADS,)


def _feed_forward() -> Tensors:
    yield "ffn_norm.weight", (EMBEDDING,)
    yield "ffn_gate.weight", (FEED_FORWARD, EMBEDDING)
    yield "ffn_up.weight", (FEED_FORWARD, EMBEDDING)
    yield "ffn_down.weight", (EMBEDDING, FEED_FORWARD)


def _mamba_layer(*, normed: bool) -> Tensors:
    inner = 2 * EMBEDDING
    yield "ssm_in.weight", (2 * inner, EMBEDDING)
    yield "ssm_conv1d.weight", (inner, CONV)
    yield "ssm_conv1d.bias", (inner,)
    yield "ssm_x.weight", (RANK + 2 * STATE, inner)
    yield "ssm_dt.weight", (inner, RANK)
    yield "ssm_dt.bias", (inner,)
    yield "ssm_a", (inner, STATE)
    yield "ssm_d", (inner,)
    yield "ssm_out.weight", (EMBEDDING, inner)
    if normed:
        yield from (("ssm_dt_norm.weight", (RANK,)), ("ssm_b_norm.weight", (STATE,)), ("ssm_c_norm.weight", (STATE,)))


def _bert_head() -> Tensors:
    yield "token_types.weight", (2, EMBEDDING)
    yield "position_embd.weight", (CONTEXT, EMBEDDING)
    yield "token_embd_norm.weight", (EMBEDDING,)
    yield "token_embd_norm.bias", (EMBEDDING,)


def _bert_layer() -> Tensors:
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        yield f"{name}.weight", (EMBEDDING, EMBEDDING)
        yield f"{name}.bias", (EMBEDDING,)
    for name in ("attn_output_norm", "layer_output_norm"):
        yield f"{name}.weight", (EMBEDDING,)
        yield f"{name}.bias", (EMBEDDING,)
    yield "ffn_up.weight", (FEED_FORWARD, EMBEDDING)
    yield "ffn_up.bias", (FEED_FORWARD,)
    yield "ffn_down.weight", (EMBEDDING, FEED_FORWARD)
    yield "ffn_down.bias", (EMBEDDING,)


def write_scripted_gguf(path: Path, template: str, script: Sequence[str], *, control: Sequence[str] = ()) -> Path:
    """Write a model that always says the same, and return `path`: token by token `script`, behind a line's end.

    One layer that adds nothing, so that a token's embedding alone decides which one follows: each token of the script
    stands in it once. What has no place in it is followed by the end. `control` tokens have no text of their own.
    """
    tokens = [*SPECIAL, *byte_alphabet()]
    tokens += [token for token in dict.fromkeys((*control, *map(_as_token, script))) if token not in tokens]
    place = {token: index for index, token in enumerate(tokens)}
    size = -(-len(tokens) // EMBEDDING) * EMBEDDING
    follows = np.full(len(tokens), place["<|im_end|>"])
    chain = ["\u010a", *map(_as_token, script)]  # a line's end
    for token, after in pairwise(chain):
        follows[place[token]] = place[after]
    embedding, output = np.zeros((2, len(tokens), size), np.float32)
    embedding[np.arange(len(tokens)), np.arange(len(tokens))] = 1
    output[follows, np.arange(len(tokens))] = 50 / size**0.5
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([CONTROL if token in (*SPECIAL, *control) else NORMAL for token in tokens])
    writer.add_token_merges(["Ġ t"])
    writer.add_eos_token_id(place["<|im_end|>"])
    writer.add_add_bos_token(False)
    writer.add_chat_template(template)
    sizes = {"context_length": 16384, "embedding_length": size, "block_count": 1}
    for key, value in {**_hyperparameters("llama", None, len(tokens)), **sizes}.items():
        if value is not None:
            _add(writer, f"llama.{key}", value)
    half = size * KV_HEADS // HEADS
    shapes = {"attn_q": (size, size), "attn_k": (half, size), "attn_v": (half, size), "attn_output": (size, size)}
    shapes |= {"ffn_gate": (FEED_FORWARD, size), "ffn_up": (FEED_FORWARD, size), "ffn_down": (size, FEED_FORWARD)}
    weights = {f"blk.0.{name}.weight": np.zeros(shape, np.float32) for name, shape in shapes.items()}
    weights |= {name: np.ones(size, np.float32) for name in ("output_norm.weight", "blk.0.attn_norm.weight")}
    weights |= {"blk.0.ffn_norm.weight": np.ones(size, np.float32)}
    for name, values in {**weights, "token_embd.weight": embedding, "output.weight": output}.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _as_token(text: str) -> str:
    """A text as byte-level BPE writes it, but for a marker, which is a token under its own name."""
    if text.startswith(("<", "[")):
        return text
    return "".join(byte_alphabet()[byte] for byte in text.encode())
