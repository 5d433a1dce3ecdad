"""What llama.cpp must never be given: the rules that a GGUF file passes before it is loaded.

llama.cpp checks much itself and returns an error, but on other damage it aborts the process (GGML_ASSERT),
throws through its C API or reads out of bounds. Each rule here stands for one of those, found by reading its
loader and by fuzzing; where llama.cpp reports a clean error of its own, the gate may stay silent.
Judges a `Container`; raises `Damaged` and knows nothing of paths, users or the engine.
"""

from __future__ import annotations

import re
from math import isnan
from typing import Final

from dynscale_cli.models.architectures import ENCODERS, EQUAL_HEADS, HYBRID, UNUSUAL, WHOLE_ROTATIONS
from dynscale_cli.models.gguf import (
    ARRAY,
    STRING,
    TENSOR_TYPES,
    U32,
    VALUE_NAMES,
    Array,
    Container,
    Damaged,
    Tensor,
    shape,
)

U16: Final = 2
F32: Final = 6
I32: Final = 5
BOOL: Final = 7

MAX_LAYERS: Final = 512  # of llama.cpp: LLAMA_MAX_LAYERS, LLAMA_MAX_EXPERTS
MAX_EXPERTS: Final = 1024
MAX_WIDTH: Final = 1 << 20  # heads, head sizes, embedding
MAX_CONTEXT: Final = (1 << 31) - 1
MAX_WORD: Final = (1 << 32) - 1
MISSING: Final = (1 << 32) - 1  # -1 in a u32: "there is no such token"

ROPE_SCALINGS: Final = ("none", "linear", "yarn", "longrope")

WITHOUT_ROPE: Final = frozenset({"jamba", "nemotron_h", "nemotron_h_moe", "granitehybrid", "kimi-linear"})

# Weights are read by matrix products and row look-ups, which have no kernel for plain integers, doubles and the
# two formats that only ever hold activations.
UNUSABLE_WEIGHTS: Final = frozenset({"Q8_1", "Q8_K", "I8", "I16", "I64", "F64"})

_ROPE_FLOATS: Final = re.compile(r"\.rope\.(freq_base|freq_base_swa|scaling\.factor|scale_linear)$")

# Added or convolved as they are: there is no kernel for any other type than F32.
_FLOATS: Final = re.compile(r"_norm\.weight$|\.bias$|\b(ssm_a|ssm_d|ssm_conv1d|shortconv\.conv)\b")

_PROJECTION: Final = re.compile(r"blk\.(\d+)\.attn_[kv]\.weight")

# Tokenizer -> (BOS, EOS, BOS added, EOS added) where the file does not say.
TOKENIZERS: Final[dict[str, tuple[int, int, bool, bool]]] = {
    "llama": (1, 2, True, False),
    "gpt2": (11, 11, False, False),
    "gemma4": (MISSING, MISSING, True, False),
    "bert": (101, MISSING, True, False),
    "t5": (MISSING, 1, False, True),
    "rwkv": (MISSING, MISSING, False, False),
    "plamo2": (1, 2, False, False),
    "hybriddna": (11, 11, False, False),
    "whitespace": (11, 11, False, False),
}
BYTE_TOKENIZERS: Final = frozenset({"llama", "plamo2"})  # those that fall back to a token per byte
BOS_PRETOKENIZERS: Final = frozenset({
    "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "tekken",
    "chameleon", "gemma4",
})  # fmt: skip


def check(container: Container, vocabulary: bool = True) -> None:
    """Raise Damaged for anything that would take the process down when llama.cpp loads or runs this file.

    Without the `vocabulary`, which is what takes time, it is for lists and not for loading.
    """
    architecture = text(container, "general.architecture")
    if not architecture:
        raise Damaged("general.architecture is missing or empty")
    if not flag(container, f"{architecture}.attention.causal", True) and architecture not in ENCODERS | UNUSUAL:
        raise Damaged(f"{architecture}.attention.causal is false: it does not write from left to right")
    check_floats(container)
    check_sizes(container, architecture)
    check_heads(container, architecture)
    check_experts(container, architecture)
    check_rope(container, architecture)
    check_sections(container, architecture)
    check_tokenizer(container, vocabulary)
    for tensor in container.tensors:
        check_tensor(tensor)


def typed(container: Container, key: str, kind: int) -> int | float | str | None:
    """A scalar of exactly this value type, or None; llama.cpp never converts between them."""
    value = container.values.get(key)
    if value is None:
        return None
    if isinstance(value, Array) or container.kinds[key] != kind:
        raise Damaged(f"key {key} must be of type {VALUE_NAMES[kind]}")
    return value


def text(container: Container, key: str) -> str | None:
    value = typed(container, key, STRING)
    return value if isinstance(value, str) else None


def natural(container: Container, key: str, lowest: int, highest: int, default: int | None = None) -> int:
    """A u32 between the bounds; without a default it must be there."""
    value = typed(container, key, U32)
    if value is None:
        if default is None:
            raise Damaged(f"key {key} is missing")
        return default
    assert isinstance(value, int)
    if not lowest <= value <= highest:
        raise Damaged(f"{key} is {value:,}, which cannot be")
    return value


def flag(container: Container, key: str, default: bool) -> bool:
    value = typed(container, key, BOOL)
    return default if value is None else bool(value)


def per_layer(container: Container, key: str, layers: int, default: tuple[int, ...]) -> tuple[int, ...]:
    """A number for each layer: one u32 for all of them, or an array of one each."""
    value = container.values.get(key)
    if value is None:
        return default
    if not isinstance(value, Array):
        return (natural(container, key, 0, MAX_WIDTH),) * layers
    if value.count != layers or value.kind not in (U32, I32, BOOL):
        raise Damaged(f"key {key} must hold one number for each of {layers} layers")
    numbers = tuple(int(number) for number in container.numbers(key))
    if not all(0 <= number <= MAX_WIDTH for number in numbers):
        raise Damaged(f"key {key} holds a number that cannot be")
    return numbers


def elements(container: Container, key: str) -> int:
    """How many elements the array has; 0 where there is none."""
    array = container.values.get(key)
    return array.count if isinstance(array, Array) else 0


def check_floats(container: Container) -> None:
    for key, kind in container.kinds.items():
        value = container.values[key]
        if kind != F32 or not isinstance(value, float):
            continue
        if isnan(value):
            raise Damaged(f"{key} is not a number")
        if key.endswith("epsilon") and not 0 <= value <= 1:
            raise Damaged(f"{key} is {value:g}, which cannot be")
        if _ROPE_FLOATS.search(key) and not 0 <= value <= 1e12:
            raise Damaged(f"{key} is {value:g}, which cannot be")


def check_sizes(container: Container, architecture: str) -> None:
    embedding = natural(container, f"{architecture}.embedding_length", 1, MAX_WIDTH)
    natural(container, f"{architecture}.context_length", 1, MAX_CONTEXT)
    layers = natural(container, f"{architecture}.block_count", 1, MAX_LAYERS)
    natural(container, f"{architecture}.nextn_predict_layers", 0, layers - 1, 0)
    inner = natural(container, f"{architecture}.ssm.inner_size", 1, MAX_WIDTH, 2 * embedding)
    if architecture == "jamba" and inner != 2 * embedding:
        raise Damaged(f"jamba.ssm.inner_size is {inner}, not twice the embedding of {embedding}")
    for tensor in container.tensors:
        if tensor.name == "token_embd.weight" and tensor.dims[0] != embedding:
            raise Damaged(f"{architecture}.embedding_length is {embedding}, but token_embd.weight has {tensor.dims[0]}")
    heads = per_layer(container, f"{architecture}.attention.head_count", layers, (0,) * layers)
    groups = per_layer(container, f"{architecture}.attention.head_count_kv", layers, heads)
    for count, kv in zip(heads, groups, strict=True):
        if kv and count % kv:
            raise Damaged(f"{count} attention heads cannot share {kv} key-value heads")
    if heads[0]:
        if heads[0] > embedding:
            raise Damaged(f"{heads[0]} attention heads do not fit an embedding of {embedding}")
        for name in ("key_length", "value_length", "key_length_swa", "value_length_swa"):
            natural(container, f"{architecture}.attention.{name}", 1, MAX_WIDTH, 1)


def check_heads(container: Container, architecture: str) -> None:
    """Keys and values of one size, and as wide as the projections that make them, where the graph counts on it."""
    if architecture not in EQUAL_HEADS:
        return
    layers = natural(container, f"{architecture}.block_count", 1, MAX_LAYERS)
    heads = per_layer(container, f"{architecture}.attention.head_count", layers, (0,) * layers)
    groups = per_layer(container, f"{architecture}.attention.head_count_kv", layers, heads)
    default = natural(container, f"{architecture}.embedding_length", 1, MAX_WIDTH) // max(1, heads[0])
    size = natural(container, f"{architecture}.attention.key_length", 1, MAX_WIDTH, default)
    if natural(container, f"{architecture}.attention.value_length", 1, MAX_WIDTH, default) != size:
        raise Damaged(f"{architecture}.attention.value_length differs from the key length of {size}, which cannot be")
    for tensor in container.tensors if architecture not in HYBRID - {"jamba"} else ():
        match = _PROJECTION.fullmatch(tensor.name)
        expected = groups[int(match[1])] * size if match and int(match[1]) < layers else 0
        if expected and tensor.dims[1:] != (expected,):
            raise Damaged(f"tensor {tensor.name} has the shape {shape(tensor.dims)}, which its heads do not fill")


def check_experts(container: Container, architecture: str) -> None:
    layers = natural(container, f"{architecture}.block_count", 1, MAX_LAYERS)
    experts = natural(container, f"{architecture}.expert_count", 0, MAX_EXPERTS, 0)
    used = max(per_layer(container, f"{architecture}.expert_used_count", layers, (0,) * layers))
    if architecture == "smallthinker" and not experts:
        raise Damaged("smallthinker.expert_count is missing")
    groups = natural(container, f"{architecture}.expert_group_count", 0, MAX_EXPERTS, 0)
    taken = natural(container, f"{architecture}.expert_group_used_count", 0, MAX_EXPERTS, 0)
    if used > experts or (experts and not used):
        raise Damaged(f"{used} of {experts} experts are said to be used, which cannot be")
    if groups and groups >= experts:
        raise Damaged(f"{experts} experts cannot form {groups} groups")
    if groups > 1 and (experts % groups or not 0 < taken < groups):
        raise Damaged(f"{taken} of {groups} groups of {experts} experts cannot be")


def check_rope(container: Container, architecture: str) -> None:
    scaling = text(container, f"{architecture}.rope.scaling.type")
    if scaling is not None and scaling not in ROPE_SCALINGS:
        raise Damaged(f"{architecture}.rope.scaling.type is {scaling!r}, none of {', '.join(ROPE_SCALINGS)}")
    base = typed(container, f"{architecture}.rope.freq_base", F32)
    if base is not None and base == 0:
        raise Damaged(f"{architecture}.rope.freq_base is 0, which cannot be")
    layers = natural(container, f"{architecture}.block_count", 1, MAX_LAYERS)
    heads = per_layer(container, f"{architecture}.attention.head_count", layers, (0,))[0]
    if not heads:
        return
    embedding = natural(container, f"{architecture}.embedding_length", 1, MAX_WIDTH)
    size = natural(container, f"{architecture}.attention.key_length", 1, MAX_WIDTH, embedding // heads)
    fewest = 0 if architecture in WITHOUT_ROPE else 1  # rotating no dimension never ends
    rotated = natural(container, f"{architecture}.rope.dimension_count", fewest, MAX_WIDTH, size)
    local = natural(container, f"{architecture}.attention.key_length_swa", 1, MAX_WIDTH, size)
    turned = natural(container, f"{architecture}.rope.dimension_count_swa", fewest, MAX_WIDTH, min(rotated, local))
    if architecture in WHOLE_ROTATIONS and rotated != size:
        raise Damaged(f"{architecture}.rope.dimension_count is {rotated}, but its heads have {size} dimensions")
    if rotated > size or rotated % 2 or turned > local or turned % 2:
        raise Damaged(f"{architecture}.rope.dimension_count is {rotated} for heads of {size}, which cannot be")


def check_sections(container: Container, architecture: str) -> None:
    """Rotations split over time, height and width: not all of them may be empty."""
    key = f"{architecture}.rope.dimension_sections"
    array = container.values.get(key)
    if array is None and architecture != "paddleocr":
        return
    sections = container.numbers(key) if isinstance(array, Array) else ()
    if not any(sections[:3]) or min(sections) < 0:
        raise Damaged(f"{key} holds no sections")


def check_tensor(tensor: Tensor) -> None:
    kind = TENSOR_TYPES[tensor.kind][0]
    vector = len(tensor.dims) == 1 or _FLOATS.search(tensor.name) is not None
    table = "tid2eid" in tensor.name  # token -> expert, the only integers among the weights
    if kind in UNUSABLE_WEIGHTS or (vector and kind != "F32") or (kind == "I32" and not table):
        raise Damaged(f"tensor {tensor.name} has type {kind}, with which nothing can be computed")


def check_tokenizer(container: Container, vocabulary: bool = True) -> None:
    model = text(container, "tokenizer.ggml.model")
    if model is None:
        raise Damaged("no tokenizer: tokenizer.ggml.model is missing")
    if model not in TOKENIZERS:
        raise Damaged(f"tokenizer {model!r} is unknown, or no tokenizer at all")
    if "tokenizer.ggml.tokens" not in container.values:
        raise Damaged("no vocabulary: tokenizer.ggml.tokens is missing")
    if vocabulary:
        _check_vocabulary(container, model)
    tokens = elements(container, "tokenizer.ggml.tokens")
    _check_parallel_arrays(container, tokens)
    _check_special_tokens(container, model, tokens)


def _check_vocabulary(container: Container, model: str) -> None:
    tokens = container.strings("tokenizer.ggml.tokens")
    known = set(tokens)
    if not tokens:
        raise Damaged("the vocabulary is empty")
    if len(known) < len(tokens):
        known = _with_placeholders(tokens)
    if model in BYTE_TOKENIZERS:
        _check_byte_tokens(known, model)


def _with_placeholders(tokens: list[bytes]) -> set[bytes]:
    """llama.cpp names empty tokens by their place, and aborts when two tokens are then still the same."""
    named = {token or b"[EMPTY_%d]" % place for place, token in enumerate(tokens)}
    if len(named) < len(tokens):
        raise Damaged("the vocabulary has the same token twice")
    return named


def _check_byte_tokens(known: set[bytes], model: str) -> None:
    """These tokenizers spell what they do not know byte by byte, and throw when a byte has no token."""
    for byte in range(256):
        if b"<0x%02X>" % byte not in known and (model == "plamo2" or bytes((byte,)) not in known):
            raise Damaged(f"the vocabulary has no token for the byte 0x{byte:02X}")


def _check_parallel_arrays(container: Container, tokens: int) -> None:
    for name, kinds in (("scores", (F32, I32)), ("token_type", (I32,))):
        key = f"tokenizer.ggml.{name}"
        array = container.values.get(key)
        if array is None:
            continue
        if not isinstance(array, Array) or array.kind not in kinds or array.count < tokens:
            raise Damaged(f"{key} must hold one number for each of {tokens:,} tokens")
    if container.kinds.get("tokenizer.ggml.merges", ARRAY) != ARRAY:
        raise Damaged("key tokenizer.ggml.merges must be an array")


def special_tokens(container: Container, model: str, tokens: int) -> tuple[int | None, int | None, bool, bool]:
    """(BOS, EOS, whether BOS is added, whether EOS is), as llama.cpp settles them."""
    bos, eos, add_bos, add_eos = TOKENIZERS[model]
    add_bos = add_bos or (text(container, "tokenizer.ggml.pre") in BOS_PRETOKENIZERS and model == "gpt2")
    bos = natural(container, "tokenizer.ggml.bos_token_id", 0, MISSING, bos)
    eos = natural(container, "tokenizer.ggml.eos_token_id", 0, MISSING, eos)
    add_bos = flag(container, "tokenizer.ggml.add_bos_token", add_bos)
    add_eos = flag(container, "tokenizer.ggml.add_eos_token", add_eos)
    return bos if bos < tokens else None, eos if eos < tokens else None, add_bos, add_eos


def _check_special_tokens(container: Container, model: str, tokens: int) -> None:
    for name in ("bos", "eos"):
        value = typed(container, f"tokenizer.ggml.{name}_token_id", U32)
        if isinstance(value, int) and tokens <= value < MISSING:
            raise Damaged(f"tokenizer.ggml.{name}_token_id is {value:,}, but there are {tokens:,} tokens")
    bos, eos, add_bos, add_eos = special_tokens(container, model, tokens)
    if (add_bos and bos is None) or (add_eos and eos is None):
        raise Damaged("the tokenizer is to add a token that it does not have (BOS or EOS)")
