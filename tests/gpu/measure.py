"""dynscale's decoding against llama.cpp's own: `bench --speed` and llama-batched-bench in turn, at the same widths.

usage: python -m tests.gpu.measure MODEL --batched-bench PATH [--widths 1,8,32,64,128] [--tokens 128] [--rounds 2]

Both decode `--tokens` tokens in each of so many sequences behind a prompt; llama-batched-bench draws no tokens,
dynscale samples, schedules and bills. The last line of stdout is JSON: tokens a second of each, and their ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

PROMPT = 128  # tokens in front, for llama-batched-bench


def bare(program: str, model: str, width: int, tokens: int) -> float:
    """Tokens a second that llama-batched-bench generates."""
    room = (PROMPT + tokens + 255) // 256 * 256
    command = [
        program, "-m", model, "-c", str(width * room), "-b", "2048", "-ub", "512", "-ngl", "99",
        "-npp", str(PROMPT), "-ntg", str(tokens), "-npl", str(width), "--output-format", "jsonl",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return float(json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))["speed_tg"])


def ours(model: str, width: int, tokens: int) -> float:
    """Tokens a second that dynscale generates."""
    command = [
        sys.executable, "-m", "dynscale_cli", "bench", "--speed", "-m", model, "-np", str(width),
        "--tokens", str(tokens), "--rounds", "2",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return float(json.loads(done.stdout.splitlines()[-1])["tokens_per_second"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--batched-bench", required=True)
    parser.add_argument("--widths", default="1,8,32,64,128")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    rows = []
    for width in map(int, args.widths.split(",")):
        rates: dict[str, list[float]] = {"llama": [], "dynscale": []}
        for _ in range(args.rounds):
            rates["llama"].append(bare(args.batched_bench, args.model, width, args.tokens))
            rates["dynscale"].append(ours(args.model, width, args.tokens))
        middle = {name: round(statistics.median(found), 1) for name, found in rates.items()}
        ratios = [ours / bare for ours, bare in zip(rates["dynscale"], rates["llama"], strict=True)]
        rows.append({"width": width, **middle, "ratio": round(statistics.median(ratios), 3)})
        print(rows[-1], file=sys.stderr, flush=True)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
