"""dynscale's rate through a chat server against that of a plain client with as many requests in flight, in turn.

usage: python -m tests.gpu.server [--endpoint http://127.0.0.1:8080/v1] [--width 16] [--questions 64] [--samples 4]
                                  [--max-tokens 256] [--rounds 3]

Both ask the same questions as often, and keep `--width` requests under way; the plain client sends the next when one
has ended, reads its stream and does nothing with it. Rates are tokens that the server counts, a second between the
first request and the last answer. Give `--max-tokens` so that few samples are cut off: dynscale asks these for their
answer, which takes prompts that the plain client does not send. The last line of stdout is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import time

from dynscale_cli.engine.server.transport import httpx
from dynscale_cli.sampling.prompts import Prompts

SUMMARY = re.compile(r" ([\d.]+) s · .*?([\d,]+) generated", re.DOTALL)


def questions(count: int, mark: str) -> list[str]:
    """With a mark in front, so that nobody finds the prompts of another in the server's cache."""
    return [f"({mark}) What is {n} + {n % 7 + 12}?" for n in range(count)]


def ours(asked: list[str], args: argparse.Namespace) -> float:
    command = [
        sys.executable, "-m", "dynscale_cli", "ask", "-f", "-", "--json", "--no-journal", "--endpoint", args.endpoint,
        "-np", str(args.width), "--mode", "parallel", "--policy", "uniform", "--exhaust",
        "--max-samples", str(args.samples), "--max-tokens", str(args.max_tokens), "--budget", "1000m",
    ]  # fmt: skip
    done = subprocess.run(command, input="\n".join(asked), capture_output=True, text=True, check=False, timeout=900)
    found = SUMMARY.search(done.stderr)
    if found is None:
        sys.exit(f"dynscale exits with {done.returncode}: {done.stderr}")
    return int(found[2].replace(",", "")) / float(found[1])


async def plain(asked: list[str], args: argparse.Namespace) -> float:
    places, tokens = asyncio.Semaphore(args.width), 0
    async with httpx.AsyncClient(base_url=args.endpoint, timeout=None) as client:
        model = (await client.get("/models")).json()["data"][0]["id"]

        async def one(question: str) -> None:
            nonlocal tokens
            fields = {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": args.max_tokens}
            text = question + Prompts().instruction
            body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
            async with places, client.stream("POST", "/chat/completions", json=body) as response:
                async for line in response.aiter_lines():
                    if '"usage"' in line and (usage := json.loads(line[5:]).get("usage")):
                        tokens += usage["completion_tokens"]

        begun = time.monotonic()
        await asyncio.gather(*(one(question) for question in asked for _ in range(args.samples)))
        return tokens / (time.monotonic() - begun)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", default="http://127.0.0.1:8080/v1")
    for name, value in (("width", 16), ("questions", 64), ("samples", 4), ("max-tokens", 256), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    rates: list[tuple[float, float]] = []
    for number in range(args.rounds):
        mark = f"{time.time_ns() % 10**6}-{number}"
        own = ours(questions(args.questions, mark + "a"), args)
        rates.append((own, asyncio.run(plain(questions(args.questions, mark + "b"), args))))
        print("dynscale {:.1f} tokens/s, plain client {:.1f}".format(*rates[-1]), file=sys.stderr, flush=True)
    ratios = [ours / plain for ours, plain in rates]
    middle = [round(statistics.median(column), 1) for column in zip(*rates, strict=True)]
    row = {"width": args.width, "dynscale": middle[0], "plain": middle[1], "ratio": round(statistics.median(ratios), 3)}
    print(json.dumps(row))


if __name__ == "__main__":
    main()
