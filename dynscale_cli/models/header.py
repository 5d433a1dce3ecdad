"""What a GGUF file says about its model: the one record of it that the other rooms read.

Owns `GGUFHeader` and `read_header`. Raises ModelError for a damaged file; a header that it returns belongs to
a file that llama.cpp can be handed without taking the process down. Never imports llama_cpp.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dynscale_cli.errors import ModelError
from dynscale_cli.models import gate
from dynscale_cli.models.architectures import ENCODERS, HYBRID, RECURRENT, UNUSUAL
from dynscale_cli.models.files import siblings
from dynscale_cli.models.gguf import TENSOR_TYPES, Container, Damaged, reading

# general.file_type -> the name people know (llama.h: enum llama_ftype).
FILE_TYPES: Final[dict[int, str]] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS",
    20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M",
    28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """A model as its file describes it. Per-layer tuples have `block_count` entries; lengths are in tokens."""

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
    feed_forward_length: tuple[int, ...]
    heads: tuple[int, ...]  # 0 in layers without attention
    kv_heads: tuple[int, ...]
    key_length: int  # of one head
    value_length: int
    sliding_window: int | None
    experts: int
    experts_used: int
    vocabulary: int
    tokenizer: str
    pretokenizer: str | None
    bos: int | None
    eos: int | None
    add_bos: bool
    add_eos: bool
    chat_template: str | None
    split_count: int
    tensors: int

    @property
    def recurrent(self) -> bool:
        """Keeps a state that cannot be cut back, in all layers or in some."""
        return self.architecture in RECURRENT or self.hybrid

    @property
    def hybrid(self) -> bool:
        return self.architecture in HYBRID

    @property
    def generates(self) -> bool:
        """Whether it continues a text from left to right; encoders, vision towers and diffusion models do not."""
        return self.architecture not in ENCODERS and self.architecture not in UNUSUAL

    def kv_bytes(self, key_bytes: float = 2.0, value_bytes: float = 2.0) -> int:
        """KV cache bytes of one token over all layers, for cache elements of these sizes (f16: 2, q8_0: 34/32).

        An upper bound where layers share their cache or keep a sliding window only.
        """
        return round(sum(self.kv_heads) * (self.key_length * key_bytes + self.value_length * value_bytes))


def read_header(path: Path, vocabulary: bool = True) -> GGUFHeader:
    """Read and judge a GGUF file, all its parts if it is split; raises ModelError with what is wrong.

    Passing means that llama.cpp may be handed the file: whatever is still wrong with it ends in an error, not in
    an abort. Without the `vocabulary` it is read in a fraction of the time, and only good enough to be listed.
    """
    parts = siblings(path)
    with reading(path) as container:
        gate.check(container, vocabulary)
        _check_split(container, 0, len(parts))
        header = _describe(path, container, len(parts))
    return header if len(parts) == 1 else _with_parts(header, parts)


def require_generator(header: GGUFHeader) -> None:
    """Raise ModelError for models that cannot answer: `header.generates` as an error for the user."""
    if not header.generates:
        what = "an encoder" if header.architecture in ENCODERS else "not a model that writes text from left to right"
        raise ModelError(f"{header.path}: {header.architecture} is {what}", "Name a chat or base model: -m FILE.")


def _describe(path: Path, container: Container, parts: int) -> GGUFHeader:
    prefix = gate.text(container, "general.architecture") or ""
    layers = gate.natural(container, f"{prefix}.block_count", 1, gate.MAX_LAYERS)
    embedding = gate.natural(container, f"{prefix}.embedding_length", 1, gate.MAX_WIDTH)
    none = (0,) * layers
    heads = gate.per_layer(container, f"{prefix}.attention.head_count", layers, none)
    head_size = embedding // heads[0] if heads[0] else embedding // max(1, *heads)
    model = gate.text(container, "tokenizer.ggml.model") or ""
    vocabulary = gate.elements(container, "tokenizer.ggml.tokens")
    special = gate.special_tokens(container, model, vocabulary)
    window = gate.natural(container, f"{prefix}.attention.sliding_window", 0, gate.MAX_WORD, 0)
    return GGUFHeader(
        path=path,
        version=container.version,
        size=container.size,
        parameters=sum(tensor.elements for tensor in container.tensors),
        architecture=prefix,
        name=gate.text(container, "general.name") or path.stem,
        quantisation=_quantisation(container),
        context_length=gate.natural(container, f"{prefix}.context_length", 1, gate.MAX_CONTEXT),
        block_count=layers,
        embedding_length=embedding,
        feed_forward_length=gate.per_layer(container, f"{prefix}.feed_forward_length", layers, none),
        heads=heads,
        kv_heads=gate.per_layer(container, f"{prefix}.attention.head_count_kv", layers, heads),
        key_length=gate.natural(container, f"{prefix}.attention.key_length", 1, gate.MAX_WIDTH, head_size),
        value_length=gate.natural(container, f"{prefix}.attention.value_length", 1, gate.MAX_WIDTH, head_size),
        sliding_window=window or None,
        experts=gate.natural(container, f"{prefix}.expert_count", 0, gate.MAX_EXPERTS, 0),
        experts_used=max(gate.per_layer(container, f"{prefix}.expert_used_count", layers, none)),
        vocabulary=vocabulary,
        tokenizer=model,
        pretokenizer=gate.text(container, "tokenizer.ggml.pre"),
        bos=special[0],
        eos=special[1],
        add_bos=special[2],
        add_eos=special[3],
        chat_template=gate.text(container, "tokenizer.chat_template") or None,
        split_count=parts,
        tensors=len(container.tensors),
    )


def _quantisation(container: Container) -> str:
    """By `general.file_type`, which knows mixtures; else the type that most of the weights have."""
    named = container.values.get("general.file_type")
    if isinstance(named, int) and named in FILE_TYPES:
        return FILE_TYPES[named]
    weights = Counter[str]()
    for tensor in container.tensors:
        weights[TENSOR_TYPES[tensor.kind][0]] += tensor.elements
    return weights.most_common(1)[0][0] if weights else "?"


def _check_split(container: Container, place: int, parts: int) -> None:
    """llama.cpp reads `split.no` of later parts without looking at its type, which aborts on another."""
    count = gate.typed(container, "split.count", gate.U16)
    number = gate.typed(container, "split.no", gate.U16)
    if (count or 1) != parts or (number or 0) != place:
        where = f"part {(number or 0)} of {count or 1}"
        raise Damaged(f"by its header it is {where} (counted from 0), by its name part {place} of {parts}")
    if parts == 1 and not container.tensors:
        raise Damaged("it holds no tensors")


def _with_parts(header: GGUFHeader, parts: list[Path]) -> GGUFHeader:
    sizes, elements, names = header.size, header.parameters, header.tensors
    for place, part in enumerate(parts[1:], 1):
        with reading(part) as container:
            _check_split(container, place, len(parts))
            for tensor in container.tensors:
                gate.check_tensor(tensor)
            sizes += container.size
            elements += sum(tensor.elements for tensor in container.tensors)
            names += len(container.tensors)
    return replace(header, size=sizes, parameters=elements, tensors=names)
