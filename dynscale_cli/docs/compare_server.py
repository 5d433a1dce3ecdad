"""Compare ways to spend tokens on one chat server: a loop of eight samples, its_hub's self-consistency, dynscale.

    pip install its-hub openai
    llama-server -m model.gguf -np 16 -c 32768 --port 8080 &
    python compare_server.py --endpoint http://127.0.0.1:8080/v1

All of them ask the same sums in the same words, with the same temperature and the same limit; only a letter in front of
each question is another one, so that no way finds the prompts of another in the server's cache. A way's tokens are
those that the server counts in its answers: prompts that were not cached, and what was generated. dynscale is run
twice, with a budget of three fifths of what the loop has cost, and with all of it. Prints a table row by row, and in
the last line JSON. Take several seeds: which way gets which letter changes with them, and small models are particular
about it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from its_hub import AbstractLanguageModel, AdaptiveSelfConsistency, SelfConsistency
from openai import AsyncOpenAI

SAMPLES = 8
TOLD = "\nEnd with a line of this form:\nAnswer: NUMBER"


@dataclass(frozen=True, slots=True)
class Sum:
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Row:
    """One way: how many of the questions it got right, for how many tokens, in how many seconds."""

    way: str
    right: int
    tokens: int
    seconds: float


def sums(count: int, seed: int) -> list[Sum]:
    """Sums of which the smallest models get some right and others not: nothing else tells ways apart."""
    rng = random.Random(seed)
    pairs = [(rng.randint(2, 20), rng.randint(2, 20)) for _ in range(count)]
    return [Sum(f"What is {a} + {b}?", str(a + b)) for a, b in pairs]


def marked(asked: list[Sum], letter: str) -> list[Sum]:
    """The same, with a letter before each."""
    return [Sum(f"({letter}) {one.question}", one.answer) for one in asked]


def number(text: str) -> str | None:
    """The number behind the last "Answer:", else the last one."""
    found = re.findall(r"-?\d+", text.rpartition("Answer:")[2].replace(",", ""))
    return found[0] if found and "Answer:" in text else found[-1] if found else None


class Server(AbstractLanguageModel):  # type: ignore[misc]
    """The chat server as its_hub wants it, with its tokens counted."""

    def __init__(self, endpoint: str, model: str, max_tokens: int, temperature: float) -> None:
        self.client = AsyncOpenAI(base_url=endpoint, api_key="none", timeout=3600)
        self.model, self.max_tokens, self.temperature = model, max_tokens, temperature
        self.tokens = 0
        self._places = asyncio.Semaphore(16)

    async def agenerate_single(self, messages: Any, stop: str | None = None, **_: Any) -> dict[str, str]:
        turns = [{"role": m.role, "content": m.content} for m in messages]
        async with self._places:
            answer: Any = await self.client.chat.completions.create(
                model=self.model,
                messages=turns,  # type: ignore[arg-type]
                max_tokens=self.max_tokens,
                temperature=self.temperature,
                stop=stop,
            )
        cached = getattr(answer.usage.prompt_tokens_details, "cached_tokens", None) or 0
        self.tokens += answer.usage.prompt_tokens - cached + answer.usage.completion_tokens
        return {"role": "assistant", "content": answer.choices[0].message.content or ""}

    async def agenerate(self, messages: Any, stop: str | None = None, **_: Any) -> Any:
        return await asyncio.gather(*(self.agenerate_single(one, stop) for one in messages))

    async def loop(self, question: str) -> str | None:
        """The plain way: eight samples at once, and the answer that most of them give."""
        turn = argparse.Namespace(role="user", content=question + TOLD)
        drawn = await self.agenerate([[turn]] * SAMPLES)
        votes = Counter(answer for one in drawn if (answer := number(one["content"])) is not None)
        return votes.most_common(1)[0][0] if votes else None

    def hub(self, algorithm: Any) -> Callable[[str], Awaitable[str | None]]:
        async def ask(question: str) -> str | None:
            return number((await algorithm.ainfer(self, question + TOLD, SAMPLES))["content"])

        return ask


def project(text: str) -> str:
    return number(text) or ""


async def way(name: str, server: Server, ask: Callable[[str], Awaitable[str | None]], asked: list[Sum]) -> Row:
    begun, server.tokens = time.monotonic(), 0
    answers = await asyncio.gather(*(ask(one.question) for one in asked))
    right = sum(answer == one.answer for answer, one in zip(answers, asked, strict=True))
    return Row(name, right, server.tokens, round(time.monotonic() - begun, 1))


def dynscale(asked: list[Sum], budget: int, options: argparse.Namespace) -> Row:
    flags = ["--endpoint", options.endpoint, "--served-model", options.model, "--max-tokens", str(options.max_tokens)]
    flags += ["--budget", str(budget), "--temp", str(options.temp), "--seed", str(options.seed)]
    text = "\n".join(one.question for one in asked)
    with tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder, "prompts.toml")
        prompts.write_text(f"instruction = {json.dumps(TOLD)}\n")
        flags += ["--prompt-file", str(prompts)]
        command = [sys.executable, "-m", "dynscale_cli", "ask", "-q", "--json", "--no-journal", *flags, "-f", "-"]
        begun = time.monotonic()
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    if len(results) != len(asked):
        sys.exit(f"dynscale has answered {len(results)} of {len(asked)} questions:\n{done.stderr}")
    right = sum(result["answer"] == one.answer for result, one in zip(results, asked, strict=True))
    tokens = sum(result["tokens"]["prompt"] + result["tokens"]["generated"] for result in results)
    return Row(f"dynscale --budget {budget}", right, tokens, round(time.monotonic() - begun, 1))


async def compare(options: argparse.Namespace) -> AsyncIterator[Row]:
    asked = sums(options.questions, options.seed)
    server = Server(options.endpoint, options.model, options.max_tokens, options.temp)
    if not options.model:
        server.model = options.model = (await server.client.models.list()).data[0].id
    letters = random.Random(options.seed).sample("abcde", 5)
    first = await way(f"loop of {SAMPLES}", server, server.loop, marked(asked, letters.pop()))
    yield first
    for name, kind in (("self-consistency", SelfConsistency), ("adaptive", AdaptiveSelfConsistency)):
        algorithm = kind(consistency_space_projection_func=project)
        yield await way(f"its_hub {name}", server, server.hub(algorithm), marked(asked, letters.pop()))
    await server.client.close()
    for share in (0.6, 1.0):
        yield await asyncio.to_thread(dynscale, marked(asked, letters.pop()), round(share * first.tokens), options)


async def show(rows: AsyncIterator[Row]) -> None:
    done = []
    print(f"{'':28}{'right':>7}{'tokens':>9}{'seconds':>9}")
    async for row in rows:
        print(f"{row.way:28}{row.right:>7}{row.tokens:>9,}{row.seconds:>9}", flush=True)
        done.append(asdict(row))
    print(json.dumps(done))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--endpoint", default="http://127.0.0.1:8080/v1", help="the server's address, with its /v1")
    parser.add_argument("--model", default="", help="the served model's name; else the first that is listed")
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--temp", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    asyncio.run(show(compare(options)))


if __name__ == "__main__":
    main()
