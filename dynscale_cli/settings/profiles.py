"""Profiles: settings under one name. Two come with the package; [profile.NAME] in config.toml adds
more, or changes values of these.

The values follow from the race's posterior, P(θ > ½) = 1 - 2^-(v+1) after v votes that all agree:

    quick     two votes that agree settle a question: 0.875 is above 0.85; no question gets more than three samples
    default   four: 0.969 is above 0.95
    careful   six: 0.992 is above 0.99

A budget of twice a sample's limit pays for two samples of full length at least, as the default does; `careful` pays for
four, since a question that is in doubt needs more than one that is not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from dynscale_cli.errors import UsageError
from dynscale_cli.nearest import nearest

VARIABLE: Final = "DYNSCALE_PROFILE"

BUILT_IN: Final[dict[str, dict[str, Any]]] = {
    "quick": {"budget": "1024/q", "confidence": 0.85, "max-samples": 3, "max-tokens": 512},
    "careful": {"budget": "8192/q", "confidence": 0.99, "max-tokens": 2048},
}


def profile(name: str, own: Mapping[str, dict[str, Any]], environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """A profile's values by key; `own` are those of the file. Raises UsageError where there is none of the name."""
    known = sorted({*BUILT_IN, *own})
    if name not in known:
        written = f"export {VARIABLE}=" if environ.get(VARIABLE) == name else "--profile "
        hint = f"{written}{nearest(name, known) or known[0]}"
        raise UsageError(f"no profile is named {name}: there are {', '.join(known)}", hint)
    return {**BUILT_IN.get(name, {}), **own.get(name, {})}
