"""What a llama-server tells at paths of its own: its chat template, its slots, and how many tokens a text has.

Owns these paths and the checks of what comes back. Nothing depends on it: where a server does not tell, or not soon,
nothing is known. Knows nothing of samples or budgets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote

from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.engine.protocol import Aborted, Message
from dynscale_cli.engine.reasoning import opening_by_name
from dynscale_cli.engine.template import ChatTemplate
from dynscale_cli.errors import ModelError

from .client import ChatClient

SOON = 1.0  # seconds that counting a text may take: else its bytes have to do
MOST_SLOTS = 1 << 10
LONGEST_TEMPLATE = 1 << 20  # characters


class LlamaServer:
    """Asks the server of a client, or the first of several, which have the same model."""

    def __init__(self, client: ChatClient) -> None:
        self._client = client
        self._counts = True

    @cached_property
    def _props(self) -> dict[str, Any]:
        found = self._said(f"/props?model={quote(self._client.model, safe='')}")
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

    def count(self, messages: Iterable[Message], fields: Mapping[str, Any]) -> int | None:
        """Prompt tokens of a conversation, as it is laid out there; None where that cannot be known quickly."""
        told = [{"role": m.role, "content": m.content} for m in messages]
        prompt = self._asked("/apply-template", {**fields, "messages": told}).get("prompt")
        return self.count_text(prompt, special=True) if isinstance(prompt, str) else None

    def count_text(self, text: str, special: bool = False) -> int | None:
        """Tokens of a text, with the model's own beginning and control tokens where `special` says so."""
        tokens = self._asked("/tokenize", {"content": text, "add_special": special, "parse_special": special}).get(
            "tokens"
        )
        return len(tokens) if isinstance(tokens, list) else None

    def _asked(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What it says, unless it did not answer soon before."""
        if not self._counts:
            return {}
        begun = time.monotonic()
        found = self._said(path, {**body, "model": self._client.model}, SOON)
        self._counts = isinstance(found, dict) and time.monotonic() - begun < SOON
        return found if isinstance(found, dict) else {}

    def _said(self, path: str, body: Any = None, seconds: float = 10.0) -> Any:
        """What it says at a path of its own; None where it says nothing of use in so many seconds."""
        if (found := self._client.somewhere()) is None:
            return None
        url, client = found[0].removesuffix("/v1") + path, found[1]

        async def said() -> Any:
            call = client.get(url, cast_to=object) if body is None else client.post(url, cast_to=object, body=body)
            return await asyncio.wait_for(call, seconds)

        try:
            return self._client.run(said())
        except Exception:  # of whatever kind: nothing depends on it
            return None
