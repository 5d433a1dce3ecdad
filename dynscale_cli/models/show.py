"""What `models show` tells of a model, as an object: its JSON schema, which only grows."""

from __future__ import annotations

from dataclasses import dataclass

from dynscale_cli.models.fit import Fit, thinks
from dynscale_cli.models.gguf import GGUFHeader


@dataclass(frozen=True, slots=True)
class Shown:
    """Sizes in bytes, lengths in tokens. `fits` and `free` are None where the memory is not known."""

    path: str
    title: str
    architecture: str
    parameters: int
    quantisation: str
    size: int
    parts: int
    layers: int
    experts: int
    experts_used: int
    context_length: int
    sliding_window: int | None
    vocabulary: int
    tokenizer: str
    chat_template: bool
    thinks: str
    recurrent: bool
    width: int
    context: int
    kv_cache: int
    free: int | None
    fits: bool | None
    widest: int | None


def show(header: GGUFHeader, needs: Fit) -> Shown:
    return Shown(
        path=str(header.path),
        title=header.name,
        architecture=header.architecture,
        parameters=header.parameters,
        quantisation=header.quantisation,
        size=header.size,
        parts=header.split_count,
        layers=header.block_count,
        experts=header.experts,
        experts_used=header.experts_used,
        context_length=header.context_length,
        sliding_window=header.sliding_window,
        vocabulary=header.vocabulary,
        tokenizer=header.tokenizer,
        chat_template=header.chat_template is not None,
        thinks=thinks(header.chat_template),
        recurrent=header.recurrent,
        width=needs.width,
        context=needs.context,
        kv_cache=needs.cache,
        free=needs.free,
        fits=needs.fits,
        widest=needs.widest,
    )
