"""What kind of model an architecture of llama.cpp is: names only, no files.

An architecture that is not listed is taken for a transformer that writes from left to right.
"""

from __future__ import annotations

from typing import Final

# They read a text but do not continue one.
ENCODERS: Final = frozenset({
    "bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "eurobert",
    "t5encoder", "gemma-embedding", "llama-embed",
})  # fmt: skip

# They write, but not from left to right from the prompt alone: encoder-decoders, diffusion, speech, drafts, vision.
UNUSUAL: Final = frozenset({
    "t5", "clip", "dream", "llada", "llada-moe", "rnd1", "wavtokenizer-dec", "qwen3tts", "pockettts", "eagle3",
    "dflash", "gemma4-assistant",
})  # fmt: skip

# They keep a state that cannot be cut back: in every layer, or in some.
RECURRENT: Final = frozenset({"mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"})
HYBRID: Final = frozenset({
    "jamba", "falcon-h1", "plamo2", "granitehybrid", "lfm2", "lfm2moe", "nemotron_h", "nemotron_h_moe", "qwen3next",
    "kimi-linear", "bailingmoe3", "kimi-k3", "glm5-next", "qwen35", "qwen35moe", "qwen4exp", "deepseek4", "minimax-01",
})  # fmt: skip
