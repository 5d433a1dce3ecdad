"""`dynscale ask`: questions in, answers out. Its flags are `Options`.

Owns what is asked (questions and their context, from arguments, files and pipes), whether standard input is read, the
hints for what was typed in another sense, and the order in which a run comes to life. What a line of a file may hold is
`questions`' business, running is `session`'s, opening a model `opening`'s.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from dynscale_cli.display.text import short
from dynscale_cli.errors import UsageError
from dynscale_cli.values import STDIN

from .options import Options, notice, takes
from .parser import Command

if TYPE_CHECKING:
    from dynscale_cli.questions import Question


WORDS: Final = 3  # bare words that are rather one question than so many
MOST_GOLD: Final = 20  # characters of a right answer in a notice
ANY_SEED: Final = -1  # asks for one that nobody chose
EXAMPLES = """
dynscale ask "What is 3 + 4?"
dynscale ask --profile careful "Is 91 a prime number? Yes or no?"
dynscale ask -f questions.txt --budget 40k --json | jq -r .answer
cat questions.txt | dynscale ask -q --budget 2k/q
dynscale ask --endpoint http://127.0.0.1:8080 "What is 3 + 4?"
"""


class Ask(Command):
    everyday = frozenset({
        "--file", "--context", "--whole", "--profile", "--model", "--n-gpu-layers", "--endpoint", "--budget",
        "--max-tokens", "--think", "--temp", "--seed", "--system", "--answer-type", "--json", "--explain", "--show",
        "--quiet", "--help", "--help-all",
    })  # fmt: skip


@takes()
def ask(options: Options) -> int:
    """Answer questions by many samples of each, compared, for the tokens you allow.

    Answers go to standard output, in input order; all else to standard error.
    """
    return answer(options)


def answer(options: Options) -> int:
    """Read, load, run, show; the exit code."""
    from dynscale_cli.run.request import RunRequest

    from .opening import open_model
    from .session import KeptRun, run_session, sized_engine, source, watch

    tell = notice(options)
    if STDIN in map(str, options.file or ()):
        files = [path for path in options.file or () if str(path) != STDIN]
        options = replace(options, questions=[*(options.questions or ()), STDIN], file=files or None)
    if options.seed == ANY_SEED:
        options = replace(options, seed=int.from_bytes(os.urandom(4), "big") >> 1)
        tell(f"seed {options.seed}")
    check_inputs(options)  # before anything about a model is said
    kept = KeptRun(options)
    with watch() as interrupts:
        model = open_model(options, tell)
        asked = read_inputs(options, tell)
        questions, options = asked.questions, model.suited(options)
        settings = options.settings(_budget(options, asked), context=asked.context, server=model.is_server)
        notice_unmatched(questions, settings.answer_type, tell)
        engine = sized_engine(options, model, questions, settings, interrupts)
        if options.journal:
            from_file = source(next(iter(options.file or ()), None))
            loaded, info = asdict(model.options), engine.info
            request = RunRequest(
                settings, model.identity(), info.width, info.context, len(questions), loaded, from_file
            )
            kept.begin(request, questions)
        notice_unread(options, tell)
        return run_session(options, questions, settings, engine, kept, interrupts)


def _budget(options: Options, asked: Inputs) -> int:
    """In tokens. A context comes on top of the budget that nobody chose; a token is taken for three of its bytes."""
    budget = options.cap().total(len(asked.questions))
    return budget if options.nearness("budget") else budget + len(asked.context.encode()) // 3


@dataclass(frozen=True, slots=True)
class Inputs:
    questions: list[Question]
    context: str = ""  # what all of them are about


def read_inputs(options: Options, notice: Callable[[str], None]) -> Inputs:
    """Everything that is asked. Raises UsageError for what cannot be read, or is not what was meant."""
    from dynscale_cli.display.text import waiting
    from dynscale_cli.questions import read, read_text

    stdin = _stdin(options)
    typing = stdin is not None and stdin.isatty()
    if typing:
        notice("one question a line; Ctrl-D ends the last")
    silent = options.quiet or typing or stdin is None
    with waiting(None if silent else sys.stderr, "waiting for standard input; Ctrl-C gives up"):
        context = "\n\n".join(read_text(path, stdin) for path in options.context or ())
        questions = read(
            options.questions or (),
            options.file,
            stdin,
            whole=options.whole,
            limit=options.limit,
            template=options.template,
            tell=notice,
        )
        return Inputs(questions, context)


def check_inputs(options: Options) -> None:
    """Raise UsageError for what needs no model to be told: nothing was asked, or something else was meant."""
    asked, stdin = options.questions or [], _stdin(options)
    if options.template is not None and asked and options.file is None and STDIN not in asked:
        raise UsageError("--template makes questions of a file's fields, and no file is read", "name one with -f FILE")
    if not asked and options.file is None:
        if STDIN in map(str, options.context or ()):
            raise UsageError("a context, and no question about it", 'dynscale ask --context - "What was revenue?"')
        if stdin is None:
            from dynscale_cli.questions import read

            read()  # raises
    for text in asked:
        if text != STDIN and not any(letter.isspace() for letter in text) and Path(text).is_file():
            raise UsageError(
                f"{text} is a file, and was given as a question",
                f"dynscale ask -f {shlex.quote(text)}; to ask its name: echo {shlex.quote(text)} | dynscale ask",
            )
    if len(asked) >= WORDS and all(text.split() == [text] for text in asked) and all(map(str.isalpha, asked[:WORDS])):
        raise UsageError(
            f"{len(asked)} questions of one word each: one question needs quotes",
            f"dynscale ask {shlex.quote(' '.join(asked))}",
        )


def notice_unmatched(questions: Sequence[Question], answer_type: str, notice: Callable[[str], None]) -> None:
    """Tell of right answers that no answer can match, such as a letter beyond the choices: a mistake in the file."""
    if all(question.gold is None for question in questions):
        return
    from dynscale_cli.answers import AnswerType, same_as_gold
    from dynscale_cli.answers.equivalence import accepted

    kind, unmatched = AnswerType.parse(answer_type), list[str]()
    for question in questions:
        gold, choices = question.gold, question.choices
        if not gold or (kind.name == "auto" and not choices):  # a guessed type gives way to what samples say
            continue
        if not any(same_as_gold(one, gold, kind, choices) for one in accepted(gold) or (gold,)):
            unmatched.append(f"{question.id} ({short(gold, MOST_GOLD)})")
    if unmatched:
        few = ", ".join(unmatched[:3]) + (f" and {len(unmatched) - 3:,} more" if len(unmatched) > 3 else "")
        notice(f"right answers that are no choice, or not of the type, so that nothing counts as right: {few}")


def notice_unread(options: Options, notice: Callable[[str], None]) -> None:
    """Tell of a pipe that holds something and is not read, since questions were given otherwise."""
    if sys.stdin is None or _stdin(options) is not None:
        return
    if _waits(sys.stdin.fileno()):
        notice("standard input is not read beside a question; --context - makes it the text that questions are about")


def _waits(descriptor: int) -> bool:
    """Whether a pipe has something to read now."""
    try:
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return False
        import fcntl
        import termios

        waiting = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0")
        return int.from_bytes(waiting, sys.byteorder) > 0
    except (ImportError, OSError):  # Windows
        return False


def _stdin(options: Options) -> BinaryIO | None:
    """Standard input, where it is to be read: as asked for by -, or alone and no terminal."""
    if sys.stdin is None:
        return None
    named = [*(options.questions or ()), *map(str, options.context or ())].count(STDIN)
    if named > 1:
        raise UsageError("- stands twice: standard input can be read once", "name a file for one of them")
    if named or not (options.questions or options.file is not None or sys.stdin.isatty()):
        return sys.stdin.buffer
    return None
