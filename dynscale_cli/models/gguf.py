"""GGUF files: what a model's header says, read without trusting a byte of it.

Owns the container (keys, arrays and tensor extents, every read bounds-checked) and `GGUFHeader`, the one record of a
model that the other rooms read. Whether llama.cpp can run a file is llama.cpp's to say (`engine.trial`): what is
missing or new here is left open, and only a file that cannot be read through is an error. Never imports llama_cpp.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from struct import Struct
from struct import error as StructError
from typing import Any, Final, TypeAlias

from dynscale_cli.errors import ModelError
from dynscale_cli.models.names import siblings

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
DEFAULT_ALIGNMENT: Final = 32

# Limits far above any real file, so that a damaged count ends in a sentence and not in minutes of reading.
MAX_KEYS: Final = 1 << 16
MAX_TENSORS: Final = 1 << 18
MAX_KEY_BYTES: Final = 1 << 16
MAX_ARRAY: Final = 1 << 24
MAX_LAYERS: Final = 1 << 12
MAX_WIDTH: Final = 1 << 24  # heads, head sizes, embedding
MAX_WORD: Final = (1 << 32) - 1
MAX_DIMS: Final = 4
MAX_ALIGNMENT: Final = 1 << 20

STRING: Final = 8
ARRAY: Final = 9
INTEGERS: Final = (0, 1, 2, 3, 4, 5, 10, 11)
_U32: Final = Struct("<I")
_U64: Final = Struct("<Q")
_PREFIX: Final = Struct("<QQ")
_DIMS: Final = tuple(Struct(f"<{n}Q") for n in range(MAX_DIMS + 1))
_TYPE_AND_OFFSET: Final = Struct("<IQ")
_ARRAY_HEAD: Final = Struct("<IQ")
_SCALARS: Final = {t: Struct("<" + c) for t, c in zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True)}

# ggml type id -> (name, elements in a block, bytes of a block): ggml.h and ggml-common.h. Newer ones have no extent.
TENSOR_TYPES: Final[dict[int, tuple[str, int, int]]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18), 42: ("Q2_0", 64, 18),
}  # fmt: skip

# general.file_type -> the name people know (llama.h: enum llama_ftype).
FILE_TYPES: Final[dict[int, str]] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS",
    20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M",
    28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip

# Architectures that read a text but do not continue one; an architecture in no list writes from left to right.
ENCODERS: Final = frozenset({
    "bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "eurobert",
    "t5encoder", "gemma-embedding", "llama-embed",
})  # fmt: skip
# They write, but not from left to right from the prompt alone: encoder-decoders, diffusion, speech, drafts, vision.
UNUSUAL: Final = frozenset({
    "t5", "clip", "dream", "llada", "llada-moe", "rnd1", "wavtokenizer-dec", "qwen3tts", "pockettts", "eagle3",
    "dflash", "gemma4-assistant",
})  # fmt: skip
# They keep a state that cannot be cut back, in every layer or in some.
RECURRENT: Final = frozenset({
    "mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7", "jamba", "falcon-h1", "plamo2", "granitehybrid",
    "lfm2", "lfm2moe", "nemotron_h", "nemotron_h_moe", "qwen3next", "kimi-linear", "bailingmoe3", "kimi-k3",
    "glm5-next", "qwen35", "qwen35moe", "qwen4exp", "deepseek4", "minimax-01",
})  # fmt: skip

Scalar: TypeAlias = int | float | str

HINT: Final = "the file is damaged or incomplete: fetch it again, or name another: -m FILE"


class Damaged(Exception):
    """What is wrong with the file being read, without its name: `reading` turns it into a ModelError."""


@dataclass(frozen=True, slots=True)
class Array:
    """An array value as it lies in the file: `count` elements of value type `kind` in bytes [start, end)."""

    kind: int
    count: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor. `dims` are as stored, fastest first; `kind` is a ggml type, perhaps a newer one."""

    name: str
    dims: tuple[int, ...]
    kind: int

    @property
    def elements(self) -> int:
        return prod(self.dims)


@dataclass(frozen=True, slots=True)
class Container:
    """An open GGUF file: its keys in order of appearance, and its tensors. Valid while `reading` is."""

    buffer: mmap.mmap
    size: int
    version: int
    values: dict[str, Scalar | Array]
    tensors: tuple[Tensor, ...]

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        return value if isinstance(value, str) else None

    def natural(self, key: str, default: int = 0, highest: int = MAX_WIDTH) -> int:
        """A number from 0 to `highest`; the default where there is none."""
        value = self.values.get(key)
        return value if isinstance(value, int) and 0 <= value <= highest else default

    def number(self, key: str) -> float | None:
        value = self.values.get(key)
        return None if value is None or isinstance(value, (str, Array)) else float(value)

    def per_layer(self, key: str, layers: int, default: tuple[int, ...]) -> tuple[int, ...]:
        """A number for each layer: one for all of them, or an array of one each."""
        value = self.values.get(key)
        if not isinstance(value, Array):
            return (self.natural(key),) * layers if isinstance(value, int) else default
        if value.count != layers or value.kind not in INTEGERS:
            return default
        layout = Struct(f"<{value.count}{_SCALARS[value.kind].format[1:]}")
        return tuple(min(max(0, n), MAX_WIDTH) for n in layout.unpack_from(self.buffer, value.start))

    def elements(self, key: str) -> int:
        """How many elements the array has; 0 where there is none."""
        array = self.values.get(key)
        return array.count if isinstance(array, Array) else 0


@contextmanager
def reading(path: Path) -> Iterator[Container]:
    """Open and parse a GGUF file; what is damaged in it, found now or inside the block, becomes a ModelError."""
    with _mapped(path) as buffer:
        try:
            yield _Parser(buffer).container()
        except Damaged as error:
            raise ModelError(f"{path}: {error}", HINT) from None


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:  # mmap of 0 bytes
        raise ModelError(f"{path}: the file is empty", HINT) from None
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}", "Name a GGUF file that you may read: -m FILE.") from None


class _Parser:
    """One pass over the header. Every read is bounds-checked; a wrong count ends at the end of the file."""

    def __init__(self, buffer: mmap.mmap) -> None:
        self.buffer = buffer
        self.size = len(buffer)
        self.position = 0
        self.place = "its first bytes"

    def container(self) -> Container:
        try:
            return self._container()
        except (StructError, OverflowError):
            raise Damaged(f"cut short or damaged: it ends inside {self.place}") from None

    def _container(self) -> Container:
        version, n_tensors, n_keys = self._head()
        values: dict[str, Scalar | Array] = {}
        for number in range(n_keys):
            self.place = f"key {number + 1} of {n_keys}"
            key = self._bytes(MAX_KEY_BYTES).decode(errors="replace")
            self.place = f"the value of {key}"
            values[key] = self._value(key)
        return Container(self.buffer, self.size, version, values, tuple(self._tensors(n_tensors, _alignment(values))))

    def _take(self, layout: Struct) -> tuple[Any, ...]:
        values = layout.unpack_from(self.buffer, self.position)
        self.position += layout.size
        return values

    def _head(self) -> tuple[int, int, int]:
        if self.buffer[: len(MAGIC)] != MAGIC:
            raise Damaged("not a GGUF file (it does not begin with 'GGUF')")
        self.position = len(MAGIC)
        (version,) = self._take(_U32)
        if version not in VERSIONS:
            raise Damaged(f"GGUF version {version}, but only versions 2 and 3 of this byte order can be read")
        n_tensors, n_keys = self._take(_PREFIX)
        if n_tensors > MAX_TENSORS:  # none at all is right for the first part of some split models
            raise Damaged(f"{n_tensors} tensors, which no model has")
        if not 0 < n_keys <= MAX_KEYS:
            raise Damaged(f"{n_keys} keys, which no model has")
        return version, n_tensors, n_keys

    def _bytes(self, limit: int) -> bytes:
        (length,) = self._take(_U64)
        if length > limit or self.position + length > self.size:
            raise Damaged(f"a text of {length:,} bytes in {self.place}, more than can be there")
        text = self.buffer[self.position : self.position + length]
        self.position += length
        return text

    def _value(self, key: str) -> Scalar | Array:
        (kind,) = self._take(_U32)
        if kind == ARRAY:
            return self._array(key)
        if kind == STRING:
            # llama.cpp reads values as C strings.
            return self._bytes(self.size).split(b"\0", 1)[0].decode(errors="replace")
        if kind not in _SCALARS:
            raise Damaged(f"key {key} has value type {kind}, which does not exist")
        value: Scalar = self._take(_SCALARS[kind])[0]
        return value

    def _array(self, key: str) -> Array:
        kind, count = self._take(_ARRAY_HEAD)
        if count > MAX_ARRAY:
            raise Damaged(f"key {key} has {count:,} elements, more than can be there")
        start = self.position
        if kind == STRING:
            end = _skip_strings(self.buffer, start, count)
        elif kind in _SCALARS:
            end = start + count * _SCALARS[kind].size
        else:
            raise Damaged(f"key {key} is an array of value type {kind}, which cannot be")
        if end > self.size:
            raise Damaged(f"cut short or damaged: it ends inside {self.place}")
        self.position = end
        return Array(kind, count, start, end)

    def _tensors(self, count: int, alignment: int) -> Iterator[Tensor]:
        """The tensors, once it is certain that the file is long enough for all whose size is known."""
        tensors, ends = [], []
        for number in range(count):
            self.place = f"tensor info {number + 1} of {count}"
            name = self._bytes(MAX_KEY_BYTES).decode(errors="replace")
            (n_dims,) = self._take(_U32)
            if n_dims > MAX_DIMS:
                raise Damaged(f"tensor {name} has {n_dims} dimensions")
            dims = self._take(_DIMS[n_dims]) or (1,)
            kind, offset = self._take(_TYPE_AND_OFFSET)
            _, block, width = TENSOR_TYPES.get(kind, ("", 1, 0))
            tensors.append(Tensor(name, dims, kind))
            ends.append(offset + prod(dims) // block * width)
        data = -(-self.position // alignment) * alignment
        for tensor, end in zip(tensors, ends, strict=True):
            if data + end > self.size:
                raise Damaged(f"cut short: {self.size:,} bytes, but tensor {tensor.name} ends at {data + end:,}")
            yield tensor


def _skip_strings(buffer: mmap.mmap, position: int, count: int) -> int:
    """Where an array of strings ends. The hot loop of the header: real vocabularies have 10^5 entries."""
    unpack = _U64.unpack_from
    for _ in range(count):
        position += 8 + unpack(buffer, position)[0]
    return position


def _alignment(values: dict[str, Scalar | Array]) -> int:
    alignment = values.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or not 0 < alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise Damaged(f"general.alignment is {alignment}, which is no power of two")
    return alignment


ASIDE: Final = frozenset({"adapter", "mmproj", "imatrix", "controlvector"})  # general.type, where it is no model


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """A model as its file describes it; what it does not say is 0, empty or None. Lengths are in tokens."""

    path: Path
    version: int
    size: int  # bytes, all parts
    parameters: int
    architecture: str
    name: str
    quantisation: str
    context_length: int
    block_count: int
    embedding_length: int
    heads: tuple[int, ...]  # of each layer; 0 in layers without attention
    kv_heads: tuple[int, ...]
    key_length: int  # of one head
    value_length: int
    sliding_window: int | None
    experts: int
    experts_used: int
    vocabulary: int
    tokenizer: str
    chat_template: str | None
    split_count: int
    tensors: int
    sampling: Mapping[str, float] = field(default_factory=dict)  # what it recommends: temp, top_p, top_k, min_p
    kind: str = ""  # general.type
    thought_tokens: bool = False  # its vocabulary has <think> and </think>, and its template does not say why

    @property
    def names(self) -> str:
        """All that its makers, and whoever keeps it here, call it."""
        return f"{self.name} {self.path.stem}"

    @property
    def recurrent(self) -> bool:
        """Keeps a state that cannot be cut back, in all layers or in some."""
        return self.architecture in RECURRENT

    @property
    def generates(self) -> bool:
        """Whether it continues a text from left to right; encoders, adapters and diffusion models do not."""
        return self.architecture not in ENCODERS | UNUSUAL and self.kind not in ASIDE

    @property
    def parts(self) -> list[Path]:
        """All files of the model, in order."""
        return siblings(self.path)

    def kv_bytes(self, key_bytes: float = 2.0, value_bytes: float = 2.0) -> int:
        """KV cache bytes of one token over all layers, for cache elements of these sizes (f16: 2, q8_0: 34/32).

        An upper bound where layers share their cache or keep a sliding window only.
        """
        return round(sum(self.kv_heads) * (self.key_length * key_bytes + self.value_length * value_bytes))


def read_header(path: Path) -> GGUFHeader:
    """Read the header of a GGUF file, all its parts if it is split; raises ModelError with what is wrong."""
    parts = siblings(path)
    with reading(path) as container:
        if not container.tensors and len(parts) == 1:
            raise Damaged("it holds no tensors")
        if not container.text("general.architecture"):
            raise Damaged("general.architecture is missing or empty")
        header = _describe(path, container, len(parts))
    for part in parts[1:]:
        with reading(part) as container:
            header = replace(
                header,
                size=header.size + container.size,
                parameters=header.parameters + sum(tensor.elements for tensor in container.tensors),
                tensors=header.tensors + len(container.tensors),
            )
    return header


def require_generator(header: GGUFHeader) -> None:
    """Raise ModelError for models that cannot answer: `header.generates` as an error for the user."""
    if not header.generates:
        what = f"{header.architecture} is not a model that writes text from left to right"
        if header.architecture in ENCODERS:
            what = f"{header.architecture} is an encoder"
        elif header.kind in ASIDE:
            what = f"no model by itself, but of the type {header.kind}"
        raise ModelError(f"{header.path}: {what}", "Name a chat or base model: -m FILE.")


def _describe(path: Path, container: Container, parts: int) -> GGUFHeader:
    prefix = container.text("general.architecture") or ""
    layers = container.natural(f"{prefix}.block_count", highest=MAX_LAYERS)
    embedding = container.natural(f"{prefix}.embedding_length")
    heads = container.per_layer(f"{prefix}.attention.head_count", layers, (0,) * layers)
    head_size = embedding // max(1, *heads, 1)
    return GGUFHeader(
        path=path,
        version=container.version,
        size=container.size,
        parameters=sum(tensor.elements for tensor in container.tensors),
        architecture=prefix,
        name=container.text("general.name") or path.stem,
        quantisation=_quantisation(container),
        context_length=container.natural(f"{prefix}.context_length", highest=MAX_WORD),
        block_count=layers,
        embedding_length=embedding,
        heads=heads,
        kv_heads=container.per_layer(f"{prefix}.attention.head_count_kv", layers, heads),
        key_length=container.natural(f"{prefix}.attention.key_length", head_size),
        value_length=container.natural(f"{prefix}.attention.value_length", head_size),
        sliding_window=container.natural(f"{prefix}.attention.sliding_window", highest=MAX_WORD) or None,
        experts=container.natural(f"{prefix}.expert_count"),
        experts_used=max(container.per_layer(f"{prefix}.expert_used_count", layers, (0,)), default=0),
        vocabulary=container.elements("tokenizer.ggml.tokens"),
        tokenizer=container.text("tokenizer.ggml.model") or "",
        chat_template=container.text("tokenizer.chat_template") or None,
        split_count=parts,
        tensors=len(container.tensors),
        sampling=_sampling(container),
        kind=container.text("general.type") or "",
        thought_tokens=_thought_tokens(container),
    )


def _sampling(container: Container) -> dict[str, float]:
    """What `general.sampling.*` recommends, as far as it makes sense."""
    found = {}
    for name, highest in (("temp", 5.0), ("top_p", 1.0), ("top_k", 1e6), ("min_p", 1.0)):
        value = container.number(f"general.sampling.{name}")
        if value is not None and 0 <= value <= highest:
            found[name] = round(value, 6)
    return found


def _thought_tokens(container: Container) -> bool:
    """Whether the vocabulary has the usual markers of thoughts; not looked at where a template speaks of them."""
    tokens, template = container.values.get("tokenizer.ggml.tokens"), container.text("tokenizer.chat_template")
    if not isinstance(tokens, Array) or tokens.kind != STRING or not template or "think" in template:
        return False
    raw = container.buffer[tokens.start : tokens.end]
    return all(_U64.pack(len(token)) + token in raw for token in (b"<think>", b"</think>"))


def _quantisation(container: Container) -> str:
    """By `general.file_type`, which knows mixtures; else the type that most of the weights have."""
    named = container.values.get("general.file_type")
    if isinstance(named, int) and named in FILE_TYPES:
        return FILE_TYPES[named]
    weights = Counter[str]()
    for tensor in container.tensors:
        weights[TENSOR_TYPES.get(tensor.kind, ("?", 1, 0))[0]] += tensor.elements
    return weights.most_common(1)[0][0] if weights else "?"
