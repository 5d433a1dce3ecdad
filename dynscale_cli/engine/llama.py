"""llama.cpp as a `Backend`: one model, one context, one stream of KV cache for every slot.

Owns every call into the library that touches a model or a context, and the memory handed to it.
Knows nothing of requests, prefixes or questions.
"""

from __future__ import annotations

import ctypes
import re
from array import array
from collections.abc import Iterator
from collections.abc import Sequence as Seq
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dynscale_cli.errors import EngineError, ModelError, UsageError

from .binding import Abort, add_rpc_servers, binding, gpu_memory, has_gpu, leave_out_amx, log_clear, log_tail
from .device_top import MOST, DeviceTop, Kept
from .kv_state import KVState, KVStates
from .options import (
    CACHE_TYPES,
    EXPECTED,
    EXPECTED_THINKING,
    FLASH_ATTENTION,
    MEMORY_SHARE,
    Buffers,
    LoadOptions,
    available,
    physical_cores,
)
from .protocol import Aborted, EngineInfo, Message, Prompt, Sampling
from .reasoning import ReasoningFormat
from .scheduler import Share
from .template import BASE_STOP, ChatTemplate, render_plain
from .token_sampler import Candidates, TokenSampler

# Prompt tokens a step: what takes the time of a few decode steps. On a CPU chunks of 32 to 512 prefill at one rate.
CPU_CHUNK, GPU_CHUNK = 64, 512
SAMPLING_THREADS = 4
MOST_TOKENS = 1 << 31  # of all sequences together
BPE = 2  # llama.cpp's number for vocabularies whose texts are split by regular expressions
# Characters of a text that is split at once: std::regex recurses once or more for each character of what matches, and
# a run of some ten thousand without a break overflows the stack.
STRETCH = 2000
KEPT_PARTS = 2048  # of texts that every prompt about them has again; some 10 MB
LINE_START, WORD_START = re.compile(r"(?<=\n)(?=\S)"), re.compile(r"(?<=\S)(?= \S)")
AROUND = 64  # characters within which a control token is looked for where a text is cut


class LlamaModel:
    """A loaded GGUF: vocabulary, chat template and weights; no KV cache yet.

    Raises ModelError for whatever llama.cpp refuses; a damaged file can take the process down, so see `trial` first,
    which also tells the `buffers` to use. `token_bytes`: what the KV cache holds for one token at most; 0: unknown.
    `opening`: see `ChatTemplate`.
    """

    def __init__(
        self,
        path: Path,
        options: LoadOptions,
        name: str = "",
        *,
        buffers: Buffers = "all",
        token_bytes: int = 0,
        opening: str = "",
    ) -> None:
        self.lib = binding()
        self.options, self.buffers, self.token_bytes = options, buffers, token_bytes
        self._opening, self.threads = opening, options.threads or physical_cores()
        self.name = name or path.stem
        self.draws_on_device = True  # the device may find the largest logits
        self._pieces: dict[int, bytes] = {}
        self._ends: dict[int, bool] = {}
        self._part_ids = lru_cache(KEPT_PARTS)(lambda text, parse: array("i", self._ids(text, parse)))
        log_clear()
        add_rpc_servers(options.rpc)
        file = str(path).encode("utf-8", "surrogateescape")
        self.handle = self.lib.llama_model_load_from_file(file, self._params(options, buffers))
        if not self.handle:
            raise ModelError(f"llama.cpp cannot load {path}: {log_tail()}", "check the file, or try another model")
        self._refuse_unusable()
        self.vocab = self.lib.llama_model_get_vocab(self.handle)
        self.n_vocab: int = self.lib.llama_vocab_n_tokens(self.vocab)
        self.n_ctx_train: int = self.lib.llama_model_n_ctx_train(self.handle)
        self.parameters: int = self.lib.llama_model_n_params(self.handle)
        bos = self.lib.llama_vocab_bos(self.vocab)
        self.bos = self._special(bos)
        self._recursive = self.lib.llama_vocab_type(self.vocab) == BPE
        self._begin = [bos] if bos >= 0 and self.lib.llama_vocab_get_add_bos(self.vocab) else []

    @property
    def offloads(self) -> bool:
        """Whether layers are put on another device than the CPU."""
        return self.options.n_gpu_layers != 0 and has_gpu()

    @cached_property
    def template(self) -> ChatTemplate | None:
        """The chat template, compiled when it is first asked for: a model may be loaded for other ends."""
        variants = (self.lib.llama_model_chat_template(self.handle, name) for name in (None, b"tool_use", b"rag"))
        own, options = next(filter(None, variants), b""), self.options
        source = options.chat_template or own.decode("utf-8", "replace")
        if not source:
            return None
        now = datetime.fromisoformat(options.day) if options.day else None
        eos = self._special(self.lib.llama_vocab_eos(self.vocab))
        variables, opening = options.template_kwargs, self._opening
        return ChatTemplate(source, self.bos, eos, think=options.think, variables=variables, now=now, opening=opening)

    @property
    def thinks(self) -> bool:
        """Whether it is expected to think before it answers."""
        return self.template is not None and self.template.thinking.on

    @property
    def reasoning(self) -> ReasoningFormat:
        return self.template.reasoning if self.template else ReasoningFormat()

    def prompt(self, messages: Seq[Message]) -> Prompt:
        if self.template is None:
            return Prompt(tuple(self.tokenize(render_plain(messages), special=True)), stop=BASE_STOP)
        text = self.template.render(messages)
        tokens = self._tokenize_turns(self.template, text, messages)
        return Prompt(tuple(tokens), open_thought=self.template.state(text, messages) == "open")

    def tokenize(self, text: str, special: bool = False, parse: bool = True) -> list[int]:
        """Token ids of `text`. `special`: with the model's own BOS where it wants one, never with an EOS."""
        tokens = [*self._begin] if special else []
        whole = not self._recursive or len(text) <= STRETCH
        for part in (text,) if whole else self._portions(text, parse):
            tokens += self._ids(part, parse) if whole else self._part_ids(part, parse)
        return tokens

    def _portions(self, text: str, parse: bool) -> Iterator[str]:
        """`text` in parts of at most `STRETCH` characters, none of which ends inside a control token."""
        start = 0
        while len(text) - start > STRETCH:
            end = cut(text, start, start + STRETCH)
            while parse and end - start > 2 * AROUND:
                around = text[end - AROUND : end + AROUND]
                if self._part_ids(around, True) == self._part_ids(around, False):
                    break
                end -= AROUND
            yield text[start:end]
            start = end
        yield text[start:]

    def _ids(self, text: str, parse: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        size = len(data) + 8
        while True:
            buffer = (ctypes.c_int32 * size)()
            count: int = self.lib.llama_tokenize(self.vocab, data, len(data), buffer, size, False, parse)
            if count >= 0:
                return buffer[:count]
            if -count <= size:
                raise EngineError("llama.cpp cannot split a text into tokens", "report the question and the model")
            size = -count  # some tokenizers make a text longer before they split it

    def piece(self, token: int) -> bytes:
        if token not in self._pieces:
            self._pieces[token] = self._spell(token) or self._marker(token)
        return self._pieces[token]

    def is_end(self, token: int) -> bool:
        if token not in self._ends:
            self._ends[token] = bool(self.lib.llama_vocab_is_eog(self.vocab, token))
        return self._ends[token]

    def stop(self) -> None:
        """End a template that is being rendered, from another thread."""
        if template := self.__dict__.get("template"):
            template.stop()

    def close(self) -> None:
        if template := self.__dict__.get("template"):
            template.close()
        if self.handle:
            self.lib.llama_model_free(self.handle)
            self.handle = None

    def _params(self, options: LoadOptions, buffers: Buffers) -> Any:
        params = self.lib.llama_model_default_params()
        params.use_extra_bufts = buffers != "none"
        if buffers == "without AMX":
            leave_out_amx()
        params.n_gpu_layers = options.n_gpu_layers
        params.main_gpu = options.main_gpu
        if options.tensor_split:
            most = self.lib.llama_max_devices()
            if len(options.tensor_split) > most:
                raise UsageError(f"--tensor-split for {len(options.tensor_split)} devices", f"name {most} at most")
            self._split = (ctypes.c_float * most)(*options.tensor_split)
            params.tensor_split = self._split
        return params

    def _refuse_unusable(self) -> None:
        lib, problem = self.lib, ""
        if lib.llama_model_has_encoder(self.handle):
            problem = "it is an encoder model, which dynscale cannot sample from"
        elif lib.llama_model_is_diffusion(self.handle):
            problem = "it is a diffusion model, which does not generate token by token"
        if problem:
            self.close()
            raise ModelError(f"{self.name} cannot be used: {problem}", "choose a text-generating (decoder) model")

    def _spell(self, token: int) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count: int = self.lib.llama_token_to_piece(self.vocab, token, buffer, size, 0, False)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _marker(self, token: int) -> bytes:
        """A control token has no text of its own; one that fences thoughts is spelt out nevertheless."""
        name = self._special(token)
        return name.encode() if self.reasoning.spells(name) else b""

    def _special(self, token: int) -> str:
        text = self.lib.llama_vocab_get_text(self.vocab, token) if token >= 0 else None
        return text.decode("utf-8", "replace") if text else ""

    def _tokenize_turns(self, template: ChatTemplate, text: str, messages: Seq[Message]) -> list[int]:
        """Tokens of a rendered conversation; a turn that spells a control token stays plain text."""
        begin = not (self.bos and text.startswith(self.bos))
        if all(self.tokenize(m.content) == self.tokenize(m.content, parse=False) for m in messages):
            return self.tokenize(text, special=begin)
        tokens = [*self._begin] if begin else []
        for part, said in template.parts(text, messages):
            tokens += self.tokenize(part, parse=not said)
        return tokens


def cut(text: str, start: int, end: int) -> int:
    """Where to cut a text before `end`: in its later half behind a line's end, else before a word, else at `end`.

    There the tokenizers cut as well, so that the tokens are those of the whole text.
    """
    for pattern in (LINE_START, WORD_START):
        found = [match.start() for match in pattern.finditer(text, (start + end) // 2, end)]
        if found:
            return found[-1]
    return end


class LlamaBackend:
    """A context over a model: `width` streams of `context` tokens each.

    Tries `width` first and halves it until the memory suffices (`info.width` tells). Raises EngineError when not even
    one stream can be had. `top`: samplers will look at no more than so many of the largest logits, and nobody asks for
    log probabilities; 0: whole rows are wanted.
    """

    def __init__(self, model: LlamaModel, *, width: int, context: int, top: int = 0) -> None:
        self.lib = model.lib
        self.model = model
        self.prompt, self.tokenize, self.piece, self.is_end = model.prompt, model.tokenize, model.piece, model.is_end
        self.chunk = GPU_CHUNK if model.offloads else CPU_CHUNK
        self.threads, self.asynchronous = model.threads, model.offloads
        self._abort = Abort()
        on_device = model.offloads and model.draws_on_device and 0 < top <= MOST
        self._top = DeviceTop.of(self.lib, model.n_vocab) if on_device else None
        self.context, width = self._open(width, context)
        if self._top and not self._top.works(self.context):
            self._top = None
        self._abort.install(self.context)
        threads = min(self.threads, SAMPLING_THREADS) if model.offloads else 1  # else they decode
        self._sampler = TokenSampler(self.lib, self.context, model.n_vocab, threads)
        memory = self.lib.llama_get_memory(self.context)
        if not memory:
            self.close()
            raise ModelError(f"{model.name} has no memory of a text: it cannot generate", "choose a decoder model")
        self._states = KVStates(self.lib, self.context, memory, gpu_memory if model.offloads else None)
        capacity = min(context, int(self.lib.llama_n_ctx_seq(self.context)))  # llama.cpp rounds it up
        expected = EXPECTED_THINKING if model.thinks else EXPECTED
        self.info = EngineInfo(model.name, width, capacity, expected=expected, parameters=model.parameters)
        self.reasoning = model.reasoning
        self._batch = Batch(self.lib, width + self.chunk)

    def abort(self) -> None:
        """Stop the decode that is running, from another thread; the context is of no use afterwards."""
        self._abort.set()
        self.model.stop()

    def save(self, slot: int) -> KVState:
        return self._states.save(slot)

    def restore(self, slot: int, state: KVState) -> None:
        self._states.restore(slot, state)

    def move(self, source: int, target: int) -> None:
        self._states.move(source, target)

    def clear(self, slot: int) -> None:
        self._states.clear(slot)

    def evaluate(self, shares: Seq[Share]) -> None:
        code = self.lib.llama_decode(self.context, self._batch.fill(shares))
        if code == 2:
            raise Aborted
        if code != 0:
            raise EngineError(f"llama.cpp could not decode (code {code}): {log_tail()}", "try a smaller --parallel")

    def logits(self, share: int) -> Any:
        last, row = self._batch.last[share], self._batch.rows[share]
        logits = self._top.kept(last) if self._top else self._sampler.kept(row)
        if logits is None:
            raise self._damaged()
        return logits

    def sampler(self, sampling: Sampling, seed: int) -> Any:
        chain = self._sampler.chain(sampling, seed)
        assert self._top is None or 0 < chain.top <= MOST, "whole rows are wanted: see `top`"
        return chain

    def sample(self, samplers: Seq[Any], shares: Seq[int]) -> list[int]:
        if self._top is None or not shares:
            return self._sampler.draw(samplers, [self._batch.rows[share] for share in shares])
        top = max(chain.top for chain in samplers)
        candidates, bounds = self._top.candidates([self._batch.last[share] for share in shares], top)
        if (np.diff(bounds) < top).any():
            raise self._damaged()
        return self._sampler.choose(samplers, candidates, bounds)

    def sample_from(self, sampler: Any, logits: Any) -> int:
        if isinstance(logits, Kept):
            bounds = np.array([0, len(logits.ids)])
            return self._sampler.choose([sampler], Candidates(logits.ids, logits.logits), bounds)[0]
        return self._sampler.draw_from(sampler, logits)

    def logprobs(self, rows: Seq[tuple[Any, int]]) -> list[float]:
        found = []
        for source, token in rows:
            logits = self._sampler.row(self._batch.rows[source]) if isinstance(source, int) else source
            top = float(logits.max())
            found.append(float(logits[token]) - top - float(np.log(np.exp(logits - top).sum())))
        return found

    def free(self, sampler: Any) -> None:
        self._sampler.free(sampler)

    def close(self) -> None:
        if self.context:
            self._sampler.close()
            if self._top:
                self._top.close()
            self.lib.llama_free(self.context)
            self.context = None

    def _damaged(self) -> EngineError:
        hint = "check the file, or leave --cache-type-k, -v and --flash-attn at their defaults"
        return EngineError(f"{self.info.model} computes nothing that is a number: its weights are damaged", hint)

    def _open(self, width: int, context: int) -> tuple[Any, int]:
        """A context of the largest width that memory allows: (handle, width)."""
        while True:
            problem = self._too_large(width, context)
            if not problem:
                log_clear()
                params = self._params(width, context)
                if self._top:
                    self._top.attach(params, width)
                if handle := self.lib.llama_init_from_model(self.model.handle, params):
                    return handle, width
                problem = log_tail()
            if width == 1:
                hint = "try a smaller --ctx-size, or other types with --cache-type-k and -v"
                raise EngineError(f"a context of {context} tokens cannot be had: {problem}", hint)
            width //= 2

    def _too_large(self, width: int, context: int) -> str:
        """Why a KV cache cannot be had, as far as that is known beforehand; empty where it may be tried."""
        if width * context > MOST_TOKENS:
            return "llama.cpp counts no further"
        swa = self.lib.llama_model_n_swa(self.model.handle) > 0  # then the bytes may be far too high
        free = None if self.model.offloads or (swa and width == 1) else available()
        needed = width * context * self.model.token_bytes
        if free is None or needed <= MEMORY_SHARE * free:
            return ""
        return f"it takes {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"

    def _params(self, width: int, context: int) -> Any:
        options, params = self.model.options, self.lib.llama_context_default_params()
        params.n_seq_max = width
        params.n_ctx = width * context
        params.n_batch = params.n_ubatch = width + self.chunk
        params.n_outputs_max = width
        params.kv_unified = False  # as fast or faster at every width, and forks never touch each other
        params.swa_full = False  # suffixes are never cut off, so the window is all that is needed
        params.no_perf = True
        params.n_threads = params.n_threads_batch = self.threads
        params.flash_attn_type = FLASH_ATTENTION[options.flash_attn]
        params.type_k = CACHE_TYPES[options.cache_type_k]
        params.type_v = CACHE_TYPES[options.cache_type_v]
        return params


class Batch:
    """`llama_batch` over arrays of our own, filled by slices instead of token by token."""

    def __init__(self, lib: Any, capacity: int) -> None:
        self.last: list[int] = []  # share number -> its last token's place in the batch
        self.rows: list[int] = []  # share number -> the number of its logits, if they are wanted
        self._tokens: Any = (ctypes.c_int32 * capacity)()
        self._positions: Any = (ctypes.c_int32 * capacity)()
        self._counts = (ctypes.c_int32 * capacity)(*[1] * capacity)
        self._slots: Any = (ctypes.c_int32 * capacity)()
        self._wanted: Any = (ctypes.c_int8 * capacity)()
        pointer, size = ctypes.POINTER(ctypes.c_int32), ctypes.sizeof(ctypes.c_int32)
        start = ctypes.addressof(self._slots)
        self._slot_pointers = (pointer * capacity)(
            *[ctypes.cast(start + row * size, pointer) for row in range(capacity)]
        )
        self._struct = lib.llama_batch(
            0, self._tokens, None, self._positions, self._counts, self._slot_pointers, self._wanted
        )

    def fill(self, shares: Seq[Share]) -> Any:
        tokens, positions, slots, wanted = list[int](), list[int](), list[int](), list[int]()
        self.last, self.rows = [], []
        outputs = 0
        for share in shares:
            sequence, count = share.sequence, share.count
            if count == 1:
                tokens.append(sequence.pending_tokens[0])
                positions.append(sequence.past)
                slots.append(sequence.slot)
                wanted.append(share.last)
            else:
                tokens += sequence.pending_tokens[:count]
                positions += range(sequence.past, sequence.past + count)
                slots += [sequence.slot] * count
                wanted += [0] * (count - 1) + [share.last]
            self.last.append(len(tokens) - 1)
            self.rows.append(outputs)
            outputs += share.last
        rows = len(tokens)
        self._tokens[:rows], self._positions[:rows] = tokens, positions
        self._slots[:rows], self._wanted[:rows] = slots, wanted
        self._struct.n_tokens = rows
        return self._struct
