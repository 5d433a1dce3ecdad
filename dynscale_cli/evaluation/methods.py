"""What a bench compares: a policy and a mode under the name that the literature or the user knows it by.

Owns the names and what each stands for. Knows nothing of questions, models or results.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from dynscale_cli.allocation import parse_policy
from dynscale_cli.errors import UsageError
from dynscale_cli.run.settings import Settings
from dynscale_cli.sampling.sampler import MODES, Mode


@dataclass(frozen=True, slots=True)
class Method:
    """One way of spending a budget. `once`: a single sample of each question, without any chance in it."""

    name: str
    policy: str
    mode: Mode
    once: bool = False

    def settings(self, common: Settings) -> Settings:
        """The settings of a run by this method."""
        mine = replace(common, policy=self.policy, mode=self.mode)
        if self.once:
            greedy = replace(mine.sampling, temperature=0.0)
            return replace(mine, max_samples=1, sampling=greedy)
        return mine


BASELINE: Final = Method("self-consistency", "uniform", "parallel")
NAMED: Final = {
    method.name: method
    for method in (
        Method("single", "uniform", "parallel", once=True),
        BASELINE,
        Method("adaptive-consistency", "adaptive", "parallel"),
        Method("early-stop", "early-stop", "parallel"),
        Method("sequential", "uniform", "sequential"),
        Method("dynscaling", "ucb", "hybrid"),
        Method("dynscale", "race", "hybrid"),
    )
}
DEFAULT: Final = ",".join(NAMED)
HINT: Final = f"one of {', '.join(NAMED)}, or POLICY/MODE, such as race/parallel or ucb:0.5/hybrid"


def parse_methods(text: str) -> list[Method]:
    """The methods of a list such as `single,dynscale,race/parallel`, each once. The baseline is always among them.

    Raises UsageError for a name, a policy or a mode that is not known.
    """
    found = [_parse(name.strip()) for name in text.split(",") if name.strip()]
    if not found:
        raise UsageError("--methods names no method", HINT)
    return list(dict.fromkeys(found if BASELINE in found else [BASELINE, *found]))


def _parse(name: str) -> Method:
    if name in NAMED:
        return NAMED[name]
    policy, slash, mode = name.partition("/")
    if not slash:
        raise UsageError(f"--methods {name}: no such method", HINT)
    if mode not in MODES:
        raise UsageError(f"--methods {name}: no such mode: {mode}", "modes: " + ", ".join(MODES))
    known: dict[str, Mode] = {m: m for m in MODES}
    try:
        policy = parse_policy(policy).name
    except UsageError as error:
        raise UsageError(f"--methods {name}: {error.message}", error.hint) from None
    return Method(f"{policy}/{mode}", policy, known[mode])
