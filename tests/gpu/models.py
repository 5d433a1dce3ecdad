"""GGUF files of real shapes with random weights: what speed depends on, without a download.

Owns the shapes and how random blocks are made. The text such a model writes means nothing; what it costs to write is
that of a model of its size.

usage: python -m tests.gpu.models SHAPE TYPE FILE    shapes: tiny, 1b, 8b; types: q4_0, q8_0
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CONTROL = ("<|im_start|>", "<|im_end|>")
TYPES = {"q4_0": gguf.GGMLQuantizationType.Q4_0, "q8_0": gguf.GGMLQuantizationType.Q8_0}
BLOCK = 32  # weights
POOL = 1 << 19  # random blocks that all tensors are cut from


@dataclass(frozen=True, slots=True)
class Shape:
    """A llama's sizes: layers, embedding, heads, heads of the KV cache, feed-forward, vocabulary."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    feed_forward: int
    vocabulary: int


SHAPES = {
    "tiny": Shape(2, 256, 4, 2, 512, 1024),
    "1b": Shape(16, 2048, 32, 8, 8192, 128256),
    "8b": Shape(32, 4096, 32, 8, 14336, 128256),
}


def write(path: Path, shape: Shape, kind: str, *, context: int = 32768, seed: int = 0) -> Path:
    """Write a model and return its path."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"random-{shape.layers}x{shape.width}-{kind}")
    _add_tokenizer(writer, shape.vocabulary)
    sizes = {
        "context_length": context,
        "embedding_length": shape.width,
        "block_count": shape.layers,
        "feed_forward_length": shape.feed_forward,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "vocab_size": shape.vocabulary,
        "rope.dimension_count": shape.width // shape.heads,
    }
    for key, value in sizes.items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_float32("llama.rope.freq_base", 500000.0)
    random = np.random.default_rng(seed)
    pool = _blocks(random, kind)
    for name, rows, columns in _tensors(shape):
        if rows == 0:
            writer.add_tensor(name, np.ones(columns, np.float32))
        else:
            blocks = rows * columns // BLOCK
            start = int(random.integers(0, POOL // 2))
            data = np.resize(pool[start:], (blocks, pool.shape[1])).reshape(rows, -1)
            writer.add_tensor(name, data, raw_dtype=TYPES[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _blocks(random: np.random.Generator, kind: str) -> np.ndarray:
    """Random quantised blocks whose weights have a spread of about 0.02, so that activations stay finite."""
    bytes_each = 16 if kind == "q4_0" else 32
    blocks = random.integers(0, 256, (POOL, 2 + bytes_each), np.uint8)
    scale = np.float16(0.02 / 4.6 if kind == "q4_0" else 0.02 / 74)
    blocks[:, :2] = np.frombuffer(scale.tobytes(), np.uint8)
    return blocks


def _tensors(shape: Shape) -> list[tuple[str, int, int]]:
    """(name, rows, columns); 0 rows for a norm."""
    head = shape.width // shape.heads
    found = [
        ("token_embd.weight", shape.vocabulary, shape.width),
        ("output_norm.weight", 0, shape.width),
        ("output.weight", shape.vocabulary, shape.width),
    ]
    for layer in range(shape.layers):
        found += [
            (f"blk.{layer}.attn_norm.weight", 0, shape.width),
            (f"blk.{layer}.attn_q.weight", shape.width, shape.width),
            (f"blk.{layer}.attn_k.weight", head * shape.kv_heads, shape.width),
            (f"blk.{layer}.attn_v.weight", head * shape.kv_heads, shape.width),
            (f"blk.{layer}.attn_output.weight", shape.width, shape.width),
            (f"blk.{layer}.ffn_norm.weight", 0, shape.width),
            (f"blk.{layer}.ffn_gate.weight", shape.feed_forward, shape.width),
            (f"blk.{layer}.ffn_up.weight", shape.feed_forward, shape.width),
            (f"blk.{layer}.ffn_down.weight", shape.width, shape.feed_forward),
        ]
    return found


def _add_tokenizer(writer: gguf.GGUFWriter, size: int) -> None:
    """Byte-level BPE: the bytes, two control tokens, and words that make up the number."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    letters = [chr(byte) if byte in kept else chr(next(others)) for byte in range(256)]
    tokens = [*CONTROL, *letters]
    tokens += [f"w{number}" for number in range(size - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(CONTROL) + [1] * (size - len(CONTROL)))
    writer.add_token_merges(["Ġ t"])
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)


if __name__ == "__main__":
    write(Path(sys.argv[3]), SHAPES[sys.argv[1]], sys.argv[2])
