"""Damaged GGUF files by the thousand: a file is taken apart, one or two things are changed, it is put together again.

Some mutants are changed as raw bytes (flips, cuts, insertions), others by field (a type, a count, a name, a value, a
shape) with everything around still consistent: those get far into llama.cpp before they hurt.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9
WORDS = (0, 1, 2, 3, 5, 7, 31, 32, 33, 64, 65, 255, 256, 511, 513, 1 << 15, 1 << 16, (1 << 31) - 1, 1 << 31,
         (1 << 32) - 1)  # fmt: skip
LONGS = (*WORDS, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 32)
FLOATS = (0.0, -1.0, 1.0, 2.5, 1e-30, 1e30, -1e30, float("inf"), float("-inf"), float("nan"))
TEXTS = (b"", b"llama", b"gpt2", b"bert", b"t5", b"rwkv", b"none", b"default", b"qwen2", b"yarn", b"\xff\xfe", b"\0",
         b"x" * 300)  # fmt: skip
TYPES = (0, 1, 2, 3, 4, 8, 9, 12, 15, 16, 24, 25, 26, 27, 28, 30, 31, 34, 39, 40, 41, 42, 43, 255, 1 << 31)
BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 8: (32, 34), 9: (32, 36), 24: (1, 1), 25: (1, 2), 26: (1, 4),
          27: (1, 8), 28: (1, 8), 30: (1, 2), 39: (32, 17), 42: (64, 18)}  # fmt: skip


@dataclass(frozen=True)
class Key:
    name: bytes
    kind: int
    payload: bytes  # as in the file, after the type


@dataclass(frozen=True)
class Info:
    name: bytes
    dims: tuple[int, ...]
    kind: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Pieces:
    version: int
    keys: tuple[Key, ...]
    infos: tuple[Info, ...]
    tail: int = 0  # bytes of data that are not kept in `infos`: a sparse file's
    counts: tuple[int, int] | None = None

    def header(self) -> bytes:
        n_tensors, n_keys = self.counts or (len(self.infos), len(self.keys))
        out = [b"GGUF", struct.pack("<IQQ", self.version, n_tensors, n_keys)]
        for key in self.keys:
            out += [_text(key.name), struct.pack("<I", key.kind), key.payload]
        for info in self.infos:
            dims = struct.pack(f"<I{len(info.dims)}Q", len(info.dims), *info.dims)
            out += [_text(info.name), dims, struct.pack("<IQ", info.kind, info.offset)]
        return _padded(b"".join(out))

    def file(self) -> bytes:
        return self.header() + b"".join(_padded(info.data) for info in self.infos)


def _text(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 32)


def take_apart(blob: bytes, *, keep_data: bool = True) -> Pieces:
    """The pieces of a healthy file; without its data for a file that is too large to copy hundreds of times."""
    version, n_tensors, n_keys = struct.unpack_from("<IQQ", blob, 4)
    at, keys, infos = 24, [], []
    for _ in range(n_keys):
        name, at = _read_text(blob, at)
        (kind,) = struct.unpack_from("<I", blob, at)
        end = _value_end(blob, at + 4, kind)
        keys.append(Key(name, kind, blob[at + 4 : end]))
        at = end
    for _ in range(n_tensors):
        name, at = _read_text(blob, at)
        (n_dims,) = struct.unpack_from("<I", blob, at)
        dims = struct.unpack_from(f"<{n_dims}Q", blob, at + 4)
        kind, offset = struct.unpack_from("<IQ", blob, at + 4 + 8 * n_dims)
        infos.append(Info(name, dims, kind, offset, b""))
        at += 16 + 8 * n_dims
    start = at + -at % 32
    if keep_data:
        ends = [info.offset for info in infos[1:]] + [len(blob) - start]
        infos = [
            replace(info, data=blob[start + info.offset : start + end]) for info, end in zip(infos, ends, strict=True)
        ]
    return Pieces(version, tuple(keys), tuple(infos), tail=0 if keep_data else len(blob) - start)


def _read_text(blob: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from("<Q", blob, at)
    return blob[at + 8 : at + 8 + length], at + 8 + length


def _value_end(blob: bytes, at: int, kind: int) -> int:
    if kind == STRING:
        return _read_text(blob, at)[1]
    if kind != ARRAY:
        return at + WIDTHS[kind]
    inner, count = struct.unpack_from("<IQ", blob, at)
    at += 12
    if inner != STRING:
        return at + count * WIDTHS[inner]
    for _ in range(count):
        at = _read_text(blob, at)[1]
    return at


# Mutations by field.


def _swap(items: tuple, place: int, item: object) -> tuple:
    return (*items[:place], item, *items[place + 1 :])


def change_value(pieces: Pieces, dice: random.Random) -> Pieces:
    place = dice.randrange(len(pieces.keys))
    key = pieces.keys[place]
    if key.kind == ARRAY or (key.kind != STRING and key.kind not in WIDTHS):
        return change_array(pieces, dice)
    if key.kind == STRING:
        payload = _text(dice.choice(TEXTS))
    elif key.kind == 6:
        payload = struct.pack("<f", dice.choice(FLOATS))
    elif key.kind == 4 and len(key.payload) == 4 and dice.random() < 0.5:
        (old,) = struct.unpack("<I", key.payload)
        near = (old + 1, old - 1, old * 2, old // 2, old * 3, old ^ (1 << dice.randrange(32)))
        payload = struct.pack("<I", dice.choice(near) % (1 << 32))
    else:
        payload = (dice.choice(LONGS) % (1 << 8 * WIDTHS[key.kind])).to_bytes(WIDTHS[key.kind], "little")
    return replace(pieces, keys=_swap(pieces.keys, place, replace(key, payload=payload)))


def change_kind(pieces: Pieces, dice: random.Random) -> Pieces:
    place = dice.randrange(len(pieces.keys))
    key = pieces.keys[place]
    kind = dice.choice((*range(14), 99, 1 << 31))
    if kind in WIDTHS and dice.random() < 0.8:
        payload = (key.payload + bytes(8))[: WIDTHS[kind]]
    elif kind == STRING:
        payload = _text(b"llama")
    elif kind == ARRAY:
        payload = struct.pack("<IQ", key.kind if key.kind in WIDTHS else 4, 1) + (key.payload + bytes(8))[:8]
    else:
        payload = key.payload
    return replace(pieces, keys=_swap(pieces.keys, place, replace(key, kind=kind, payload=payload)))


def drop_key(pieces: Pieces, dice: random.Random) -> Pieces:
    place = dice.randrange(len(pieces.keys))
    return replace(pieces, keys=pieces.keys[:place] + pieces.keys[place + 1 :])


def repeat_key(pieces: Pieces, dice: random.Random) -> Pieces:
    return replace(pieces, keys=(*pieces.keys, dice.choice(pieces.keys)))


def rename_key(pieces: Pieces, dice: random.Random) -> Pieces:
    place = dice.randrange(len(pieces.keys))
    key = pieces.keys[place]
    name = bytearray(key.name)
    name[dice.randrange(len(name))] ^= 1 << dice.randrange(8)
    return replace(pieces, keys=_swap(pieces.keys, place, replace(key, name=bytes(name))))


NEW_KEYS = (
    "%s.attention.key_length", "%s.attention.value_length", "%s.rope.dimension_count", "%s.expert_count",
    "%s.expert_used_count", "%s.expert_group_count", "%s.attention.sliding_window", "%s.pooling_type",
    "%s.nextn_predict_layers", "%s.leading_dense_block_count", "%s.embedding_length_out", "split.count", "split.no",
    "tokenizer.ggml.eot_token_id", "tokenizer.ggml.padding_token_id", "tokenizer.ggml.unknown_token_id",
    "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "%s.attention.head_count_kv", "general.alignment",
    "%s.context_length", "%s.rope.scaling.original_context_length", "%s.attention.temperature_length",
    "%s.attention.key_length_swa", "%s.rope.dimension_count_swa", "%s.expert_gating_func",
)  # fmt: skip
NEW_FLAGS = ("tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_bos_token", "%s.attention.causal")
NEW_FLOATS = (
    "%s.rope.scaling.factor", "%s.rope.freq_base", "%s.rope.scaling.attn_factor", "%s.attention.scale",
    "%s.attention.max_alibi_bias", "%s.attention.clamp_kqv", "%s.logit_scale", "%s.final_logit_softcapping",
    "%s.rope.freq_base_swa", "%s.attn_logit_softcapping",
)  # fmt: skip
NEW_TEXTS = ("%s.rope.scaling.type", "tokenizer.ggml.pre", "tokenizer.ggml.model", "general.architecture")


def add_key(pieces: Pieces, dice: random.Random) -> Pieces:
    """A key that the file did not have (or another value for one that it has), as llama.cpp would look for it."""
    architecture = _architecture(pieces)
    kinds = ((NEW_KEYS, 4), (NEW_FLAGS, 7), (NEW_FLOATS, 6), (NEW_TEXTS, STRING))
    names, kind = dice.choices(kinds, (6, 1, 2, 2))[0]
    name = dice.choice(names).replace("%s", architecture).encode()
    if name.startswith(b"split"):
        kind = 2
    if kind == 6:
        payload = struct.pack("<f", dice.choice(FLOATS))
    elif kind == STRING:
        payload = _text(dice.choice((*TEXTS, b"linear", b"longrope", b"llama-bpe", b"mamba", b"gemma3", b"qwen2")))
    else:
        payload = (dice.choice(WORDS) % (1 << 8 * WIDTHS[kind])).to_bytes(WIDTHS[kind], "little")
    kept = tuple(key for key in pieces.keys if key.name != name)
    return replace(pieces, keys=(*kept, Key(name, kind, payload)))


def _architecture(pieces: Pieces) -> str:
    for key in pieces.keys:
        if key.name == b"general.architecture":
            return key.payload[8:].decode(errors="replace")
    return "llama"


def change_array(pieces: Pieces, dice: random.Random) -> Pieces:
    arrays = [place for place, key in enumerate(pieces.keys) if key.kind == ARRAY and len(key.payload) >= 12]
    if not arrays:
        return drop_key(pieces, dice)
    place = dice.choice(arrays)
    key = pieces.keys[place]
    inner, count = struct.unpack_from("<IQ", key.payload)
    body = bytearray(key.payload[12:])
    action = dice.randrange(5)
    if action == 0:
        inner = dice.choice((*range(14), 99))
    elif action == 1:
        count = dice.choice((*LONGS, max(0, count - 1), count + 1))
    elif action == 2 and body:  # consistently shorter
        count, body = _shortened(inner, count, bytes(body), dice.randrange(count + 1))
    elif action == 3:
        for _ in range(dice.randint(1, 40)):
            if body:
                body[dice.randrange(len(body))] = dice.choice((0, 1, 255, dice.randrange(256)))
    else:
        count, body = count * 2, bytearray(bytes(body) * 2)  # every token twice
    return replace(
        pieces, keys=_swap(pieces.keys, place, replace(key, payload=struct.pack("<IQ", inner, count) + bytes(body)))
    )


def _shortened(inner: int, count: int, body: bytes, keep: int) -> tuple[int, bytearray]:
    if inner in WIDTHS:
        return keep, bytearray(body[: keep * WIDTHS[inner]])
    at = 0
    for _ in range(min(keep, count)):
        at = _read_text(body, at)[1]
    return min(keep, count), bytearray(body[:at])


def change_tensor(pieces: Pieces, dice: random.Random) -> Pieces:
    """One tensor's name, shape, type or offset; the others keep their places."""
    place = dice.randrange(len(pieces.infos))
    info = pieces.infos[place]
    action = dice.randrange(6)
    if action == 0:
        info = replace(info, kind=dice.choice(TYPES))
    elif action == 1:
        info = replace(info, offset=dice.choice((*LONGS, info.offset + 32, info.offset + (1 << 30))) % (1 << 64))
    elif action == 2:
        info = replace(info, name=dice.choice((b"", b"x" * 63, b"x" * 64, b"x" * 4000, pieces.infos[0].name, b"a\0b")))
    elif action == 3:
        dims = tuple(dice.choice(LONGS) if dice.random() < 0.5 else n for n in info.dims)
        info = replace(info, dims=dims)
    elif action == 4:
        shapes = (info.dims[::-1], (*info.dims, 1), (*info.dims, 1, 1, 1), (), info.dims[:1])
        info = replace(info, dims=dice.choice(shapes))
    else:
        info = replace(info, dims=info.dims * 2)
    return replace(pieces, infos=_swap(pieces.infos, place, info))


def retype_tensor(pieces: Pieces, dice: random.Random) -> Pieces:
    """Another type or shape, with data of the right length and every offset moved: consistent, and still wrong."""
    place = dice.randrange(len(pieces.infos))
    info = pieces.infos[place]
    kind = dice.choice([k for k, (block, _) in BLOCKS.items() if info.dims and info.dims[0] % block == 0] or [0])
    dims = dice.choice((info.dims, info.dims, info.dims, (info.dims[0] * 2, *info.dims[1:]), info.dims[::-1]))
    if dims[0] % BLOCKS[kind][0]:
        dims = info.dims
    elements = 1
    for n in dims:
        elements *= n
    size = elements // BLOCKS[kind][0] * BLOCKS[kind][1]
    if not 0 < size < 1 << 24:
        return pieces
    data = (info.data * (size // max(1, len(info.data)) + 1) or bytes(size))[:size]
    return moved(replace(pieces, infos=_swap(pieces.infos, place, replace(info, kind=kind, dims=dims, data=data))))


def drop_tensor(pieces: Pieces, dice: random.Random) -> Pieces:
    place = dice.randrange(len(pieces.infos))
    return moved(replace(pieces, infos=pieces.infos[:place] + pieces.infos[place + 1 :]))


def moved(pieces: Pieces) -> Pieces:
    if pieces.tail:
        return pieces
    infos, offset = [], 0
    for info in pieces.infos:
        infos.append(replace(info, offset=offset))
        offset += len(_padded(info.data))
    return replace(pieces, infos=tuple(infos))


def split(whole: Pieces, folder: Path, name: str = "x") -> list[Path]:
    """Two parts, as llama.cpp's gguf-split writes them."""
    half = len(whole.infos) // 2
    paths = [folder / f"{name}-0000{number}-of-00002.gguf" for number in (1, 2)]
    for number, (path, infos) in enumerate(zip(paths, (whole.infos[:half], whole.infos[half:]), strict=True)):
        keys = (
            Key(b"split.no", 2, number.to_bytes(2, "little")),
            Key(b"split.count", 2, (2).to_bytes(2, "little")),
            Key(b"split.tensors.count", 5, len(whole.infos).to_bytes(4, "little")),
        )
        part = Pieces(3, (*(whole.keys if number == 0 else ()), *keys), infos)
        path.write_bytes(moved(part).file())
    return paths


def change_head(pieces: Pieces, dice: random.Random) -> Pieces:
    counts = [len(pieces.infos), len(pieces.keys)]
    if dice.random() < 0.2:
        return replace(pieces, version=dice.choice((0, 1, 2, 4, 99, 3 << 24, (1 << 32) - 1)))
    place = dice.randrange(2)
    counts[place] = dice.choice((*LONGS, counts[place] - 1, counts[place] + 1))
    return replace(pieces, counts=(counts[0], counts[1]))


FIELDS: tuple[tuple[Callable[[Pieces, random.Random], Pieces], int], ...] = (
    (change_value, 8), (add_key, 8), (change_array, 5), (change_tensor, 4), (retype_tensor, 4), (change_kind, 3),
    (drop_key, 2), (drop_tensor, 2), (rename_key, 2), (repeat_key, 1), (change_head, 2),
)  # fmt: skip


# Mutations of raw bytes.


def damage(header: bytes, dice: random.Random) -> bytes:
    """Flips, overwritten words, missing or extra bytes somewhere in the header."""
    raw = bytearray(header)
    action = dice.randrange(5)
    at = dice.randrange(len(raw) - 8)
    if action == 0:
        for _ in range(dice.choice((1, 1, 2, 8, 100))):
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
    elif action == 1:
        raw[at : at + 4] = struct.pack("<I", dice.choice(WORDS))
    elif action == 2:
        raw[at : at + 8] = struct.pack("<Q", dice.choice(LONGS))
    elif action == 3:
        del raw[at : at + dice.randint(1, 64)]
    else:
        raw[at:at] = dice.randbytes(dice.randint(1, 64))
    return bytes(raw)


def mutant(pieces: Pieces, seed: int) -> bytes:
    """One damaged file (of a file without its data: one damaged header), determined by the seed."""
    dice = random.Random(seed)
    style = dice.random()
    if style < 0.72:
        changes, weights = zip(*FIELDS, strict=True)
        for change in dice.choices(changes, weights, k=dice.choice((1, 1, 1, 2))):
            # The second change may meet what the first has broken; one is then enough.
            with suppress(struct.error, IndexError, ValueError):
                pieces = change(pieces, dice)
        return pieces.header() if pieces.tail else pieces.file()
    header = pieces.header()
    rest = b"" if pieces.tail else pieces.file()[len(header) :]
    if style < 0.92:
        # Half of the damage goes to the beginning, which holds everything but the vocabulary.
        part = len(header) if dice.random() < 0.5 else min(len(header), 1200)
        return damage(header[:part], dice) + header[part:] + rest
    whole = header + rest
    return whole[: dice.randrange(len(whole))]
