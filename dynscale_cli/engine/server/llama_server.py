"""What a llama-server tells at paths of its own: its chat template, its slots, and how many tokens a text has.

Owns these paths and the checks of what comes back. Nothing depends on it: where a server does not tell, or not soon,
nothing is known. Knows nothing of samples or budgets.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout  # another one before Python 3.11
from functools import cached_property
from typing import Any
from urllib.parse import quote

from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.engine.protocol import Aborted, Message
from dynscale_cli.engine.reasoning import opening_by_name
from dynscale_cli.engine.template import ChatTemplate
from dynscale_cli.errors import ModelError

from .client import ChatClient

SOON = 1.0  # seconds that a count is waited for: else the text's bytes have to do
LATE = 10.0  # seconds in which it answers, or does not
MOST_SLOTS = 1 << 10
LONGEST_TEMPLATE = 1 << 20  # characters


class LlamaServer:
    """Asks the server of a client, or the first of several, which have the same model."""

    def __init__(self, client: ChatClient) -> None:
        self._client = client
        self._counts = True
        self._expected: dict[tuple[Message, ...], Future[int | None]] = {}

    @cached_property
    def _props(self) -> dict[str, Any]:
        found = self._client.run(self._hear(f"/props?model={quote(self._client.model, safe='')}"))
        return found if isinstance(found, dict) else {}

    @property
    def slots(self) -> int:
        """Completions that it and the others generate side by side; 0 where it does not tell."""
        slots = self._props.get("total_slots")
        return slots * self._client.endpoints if isinstance(slots, int) and 0 < slots <= MOST_SLOTS else 0

    def template(self, wished: LoadOptions) -> ChatTemplate | None:
        """The model's chat template, and what it tells of thoughts; None where there is none that can be used.

        `wished`: how the model is to think. Nothing is rendered afterwards: the server does that.
        """
        source, bos, eos = (self._props.get(name) for name in ("chat_template", "bos_token", "eos_token"))
        if not isinstance(source, str) or not 0 < len(source) <= LONGEST_TEMPLATE:
            return None
        bos, eos = (token if isinstance(token, str) else "" for token in (bos, eos))
        opening = opening_by_name(self._client.model, tokens=False)
        try:
            template = ChatTemplate(
                source, bos, eos, think=wished.think, variables=wished.template_kwargs, opening=opening
            )
        except (ModelError, Aborted):
            return None
        template.close()
        return template

    def expect(self, messages: tuple[Message, ...], fields: Mapping[str, Any]) -> None:
        """Count this conversation while other things happen: `count` will be asked for it."""
        if self._counts and messages not in self._expected:
            self._expected[messages] = self._client.start(self._count(messages, fields))

    def count(self, messages: tuple[Message, ...], fields: Mapping[str, Any]) -> int | None:
        """Prompt tokens of a conversation, as it is laid out there; None where that cannot be known quickly."""
        self.expect(messages, fields)
        return self._soon(self._expected.pop(messages, None))

    def count_text(self, text: str) -> int | None:
        """Tokens of a text."""
        return self._soon(self._client.start(self._tokenize(text, special=False)) if self._counts else None)

    def _soon(self, count: Future[int | None] | None) -> int | None:
        """What comes of a count. Where it does not come soon, or none does, the server is not asked again."""
        found = None
        if count is not None:
            with contextlib.suppress(TimeoutError, FutureTimeout):
                found = count.result(SOON)
        self._counts = self._counts and found is not None
        return found

    async def _count(self, messages: Iterable[Message], fields: Mapping[str, Any]) -> int | None:
        told = [{"role": m.role, "content": m.content} for m in messages]
        found = await self._hear("/apply-template", {**fields, "messages": told, "model": self._client.model})
        prompt = found.get("prompt") if isinstance(found, dict) else None
        return await self._tokenize(prompt, special=True) if isinstance(prompt, str) else None

    async def _tokenize(self, text: str, special: bool) -> int | None:
        """Tokens of a text, with the model's own beginning and control tokens where `special` says so."""
        body = {"content": text, "add_special": special, "parse_special": special, "model": self._client.model}
        found = await self._hear("/tokenize", body)
        tokens = found.get("tokens") if isinstance(found, dict) else None
        return len(tokens) if isinstance(tokens, list) else None

    async def _hear(self, path: str, body: Any = None) -> Any:
        """What it says at a path of its own; None where that is of no use, or does not come."""
        if (found := self._client.somewhere()) is None:
            return None
        url, client = found[0].removesuffix("/v1") + path, found[1]
        call = client.get(url, cast_to=object) if body is None else client.post(url, cast_to=object, body=body)
        try:
            return await asyncio.wait_for(call, LATE)
        except Exception:  # of whatever kind: nothing depends on it
            return None
