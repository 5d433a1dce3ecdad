"""Where the next tokens go: the budget's ledger, the state of the race, the policies.

Pure: no I/O, no clock, no global random state. Names are loaded when they are used, as `Allocator` needs numpy and
`dynscale --help` does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynscale_cli.allocation.policies import POLICIES, Policy, parse_policy

if TYPE_CHECKING:
    from dynscale_cli.allocation.allocator import Allocator

__all__ = ["POLICIES", "Allocator", "Policy", "parse_policy"]


def __getattr__(name: str) -> Any:
    if name == "Allocator":
        from dynscale_cli.allocation.allocator import Allocator

        return Allocator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
