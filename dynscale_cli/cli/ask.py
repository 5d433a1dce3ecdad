"""`dynscale ask`: questions in, answers out. Its flags are `Options`; the work is in `session`."""

from __future__ import annotations

from .options import HelpAll, Options, takes
from .parser import Command

EXAMPLES = """
dynscale ask "What is 17 + 25?"
dynscale ask --profile careful "Is 91 a prime number? Yes or no?"
dynscale ask -f questions.txt --budget 40k --json | jq -r .answer
cat questions.txt | dynscale ask -q --budget 2k/q
dynscale ask --endpoint http://127.0.0.1:8080 "What is 17 + 25?"
"""


class Ask(Command):
    everyday = frozenset({
        "--file", "--context", "--whole", "--profile", "--model", "--n-gpu-layers", "--endpoint", "--budget",
        "--max-tokens", "--think", "--temp", "--seed", "--system", "--answer-type", "--json", "--explain", "--show",
        "--quiet", "--help", "--help-all",
    })  # fmt: skip


@takes()
def ask(options: Options, help_all: HelpAll = False) -> int:
    """Answer questions by many samples of each, compared, for the tokens you allow.

    Answers go to standard output, in input order; all else to standard error.
    """
    from .session import answer

    return answer(options)
