"""What a completion says: extract the answer, bring it to a canonical key, compare, vote.

Pure: no I/O, no clock, no global random state; only `prover` keeps a process, and only when asked for.
The way through: `AnswerType` -> `extract` -> `Ballot` -> `tally`.
"""

from dynscale_cli.answers.equivalence import Equivalence, canonical, same_as_gold
from dynscale_cli.answers.extract import Answer, extract
from dynscale_cli.answers.prover import Prover
from dynscale_cli.answers.types import AnswerType
from dynscale_cli.answers.vote import METHODS, Ballot, Cluster, Method, Tally, cluster, tally

__all__ = [
    "METHODS",
    "Answer",
    "AnswerType",
    "Ballot",
    "Cluster",
    "Equivalence",
    "Method",
    "Prover",
    "Tally",
    "canonical",
    "cluster",
    "extract",
    "same_as_gold",
    "tally",
]
