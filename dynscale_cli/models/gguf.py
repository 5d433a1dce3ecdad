"""The GGUF container: bytes on disk -> keys, arrays and tensor extents, every read bounds-checked.

Owns the file format (magic, version, key-value pairs, tensor infos, alignment) and nothing of what
the keys mean: `header` gives them meaning, `gate` judges them. Pure Python, no numpy: it runs before
llama.cpp is even imported, because a damaged file makes llama.cpp abort the process.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from struct import Struct
from struct import error as StructError
from typing import Any, Final, TypeAlias

from dynscale_cli.errors import ModelError

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
DEFAULT_ALIGNMENT: Final = 32

# Limits far above any real file, so that a damaged count ends in a sentence and not in minutes of reading.
MAX_KEYS: Final = 1 << 16
MAX_TENSORS: Final = 1 << 18
MAX_KEY_BYTES: Final = 1 << 16
MAX_ARRAY: Final = 1 << 24
MAX_NAME_BYTES: Final = 63  # ggml keeps tensor names in 64 bytes
MAX_DIMS: Final = 4
MAX_ELEMENTS: Final = (1 << 63) - 1

# llama.cpp maps tensors where they lie, and its CPU backend aborts on buffers that are not 32-byte aligned.
MIN_ALIGNMENT: Final = 32
MAX_ALIGNMENT: Final = 1 << 20

U32: Final = 4
STRING: Final = 8
ARRAY: Final = 9
_U32: Final = Struct("<I")
_U64: Final = Struct("<Q")
_PREFIX: Final = Struct("<QQ")
_DIMS: Final = tuple(Struct(f"<{n}Q") for n in range(MAX_DIMS + 1))
_TYPE_AND_OFFSET: Final = Struct("<IQ")
_ARRAY_HEAD: Final = Struct("<IQ")

VALUE_NAMES: Final = ("u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "array", "u64", "i64", "f64")
_SCALARS: Final = {t: Struct("<" + c) for t, c in zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True)}

# ggml type id -> (name, elements in a block, bytes of a block): ggml.h and ggml-common.h.
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

Scalar: TypeAlias = int | float | str
Entry: TypeAlias = tuple[str, tuple[int, ...], int, int]  # name, dims, type, offset within the data

HINT: Final = "The file is damaged or was not downloaded completely: fetch it again, or name another with -m FILE."


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
    """One tensor's extent. `offset` counts from the start of the file; `dims` are as stored, fastest first."""

    name: str
    dims: tuple[int, ...]
    kind: int
    offset: int
    nbytes: int

    @property
    def elements(self) -> int:
        return prod(self.dims)


@dataclass(frozen=True, slots=True)
class Container:
    """An open GGUF file: its keys in order of appearance, and its tensors. Valid while `reading` is."""

    buffer: mmap.mmap
    size: int
    version: int
    alignment: int
    values: dict[str, Scalar | Array]
    kinds: dict[str, int]  # value type of each key; ARRAY for arrays
    tensors: tuple[Tensor, ...]

    def strings(self, key: str) -> list[bytes]:
        """The elements of a string array as llama.cpp sees them: C strings, which end at the first NUL."""
        array = self.values[key]
        if not isinstance(array, Array) or array.kind != STRING:
            raise Damaged(f"key {key} must be an array of strings")
        raw, unpack, end, found = self.buffer[array.start : array.end], _U64.unpack_from, 0, []
        for _ in range(array.count):
            start = end + 8
            end = start + unpack(raw, end)[0]
            found.append(raw[start:end])
        return [text.split(b"\0", 1)[0] for text in found] if b"\0" in b"".join(found) else found

    def numbers(self, key: str) -> tuple[int | float, ...]:
        """The elements of an array of numbers."""
        array = self.values[key]
        if not isinstance(array, Array) or array.kind == STRING:
            raise Damaged(f"key {key} must be an array of numbers")
        layout = Struct(f"<{array.count}{_SCALARS[array.kind].format[1:]}")
        return layout.unpack_from(self.buffer, array.start)


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
        kinds: dict[str, int] = {}
        for number in range(n_keys):
            self.place = f"key {number + 1} of {n_keys}"
            key = self._key()
            if key in values:
                raise Damaged(f"key {key} appears twice")
            self.place = f"the value of {key}"
            kinds[key], values[key] = self._value(key)
        alignment = _alignment(values, kinds)
        tensors = self._tensors(n_tensors, alignment)
        return Container(self.buffer, self.size, version, alignment, values, kinds, tensors)

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

    def _key(self) -> str:
        raw = self._bytes(MAX_KEY_BYTES)
        try:
            key = raw.decode()
        except UnicodeDecodeError:
            raise Damaged(f"{self.place} is not UTF-8") from None
        if not key or "\0" in key:
            raise Damaged(f"{self.place} is empty or holds a NUL byte")
        return key

    def _value(self, key: str) -> tuple[int, Scalar | Array]:
        (kind,) = self._take(_U32)
        if kind == ARRAY:
            return kind, self._array(key)
        if kind == STRING:
            # llama.cpp reads values as C strings.
            return kind, self._bytes(self.size).split(b"\0", 1)[0].decode(errors="replace")
        if kind not in _SCALARS:
            raise Damaged(f"key {key} has value type {kind}, which does not exist")
        return kind, self._take(_SCALARS[kind])[0]

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

    def _tensors(self, count: int, alignment: int) -> tuple[Tensor, ...]:
        entries = []
        for number in range(count):
            self.place = f"tensor info {number + 1} of {count}"
            entries.append(self._tensor())
        names = {name for name, _, _, _ in entries}
        if len(names) < count:
            raise Damaged("two tensors have the same name")
        data = -(-self.position // alignment) * alignment
        return self._extents(entries, data, alignment)

    def _tensor(self) -> Entry:
        raw = self._bytes(MAX_NAME_BYTES)
        name = raw.decode(errors="replace")
        if not name or "\0" in name:
            raise Damaged(f"{self.place} has no name")
        (n_dims,) = self._take(_U32)
        if n_dims > MAX_DIMS:
            raise Damaged(f"tensor {name} has {n_dims} dimensions")
        dims = self._take(_DIMS[n_dims]) or (1,)
        kind, offset = self._take(_TYPE_AND_OFFSET)
        if kind not in TENSOR_TYPES:
            raise Damaged(f"tensor {name} has type {kind}, which is unknown here")
        label, block, _ = TENSOR_TYPES[kind]
        if 0 in dims or prod(dims) > MAX_ELEMENTS or dims[0] % block:
            raise Damaged(f"tensor {name} cannot have the shape {shape(dims)} in type {label}")
        return name, dims, kind, offset

    def _extents(self, entries: list[Entry], data: int, alignment: int) -> tuple[Tensor, ...]:
        tensors, expected = [], 0
        for name, dims, kind, offset in entries:
            if offset != expected:
                raise Damaged(f"tensor {name} is said to lie at offset {offset:,}, but belongs at {expected:,}")
            _, block, width = TENSOR_TYPES[kind]
            nbytes = prod(dims) // block * width
            if data + offset + nbytes > self.size:
                raise Damaged(f"cut short: {self.size:,} bytes, but tensor {name} ends at {data + offset + nbytes:,}")
            tensors.append(Tensor(name, dims, kind, data + offset, nbytes))
            expected += -(-nbytes // alignment) * alignment
        return tuple(tensors)


def shape(dims: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in dims)


def _skip_strings(buffer: mmap.mmap, position: int, count: int) -> int:
    """Where an array of strings ends. The hot loop of the header: real vocabularies have 10^5 entries."""
    unpack = _U64.unpack_from
    for _ in range(count):
        position += 8 + unpack(buffer, position)[0]
    return position


def _alignment(values: dict[str, Scalar | Array], kinds: dict[str, int]) -> int:
    alignment = values.get("general.alignment", DEFAULT_ALIGNMENT)
    if ("general.alignment" in kinds and kinds["general.alignment"] != U32) or not isinstance(alignment, int):
        raise Damaged("general.alignment is not a u32")
    if not MIN_ALIGNMENT <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise Damaged(f"general.alignment is {alignment}, not a power of two from {MIN_ALIGNMENT} to {MAX_ALIGNMENT}")
    return alignment
