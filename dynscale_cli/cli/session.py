"""One `ask` from its questions to its exit code: read, load, run, show.

Owns the order in which a session's parts come to life, and the exit code. How the model is opened is `opening`'s
business; what is decoded and how it is shown is decided elsewhere.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dynscale_cli.display.text import say
from dynscale_cli.engine.options import EXPECTED
from dynscale_cli.errors import BudgetError, DynscaleError, UsageError
from dynscale_cli.questions import STDIN, Question

from .inputs import Inputs, check_inputs, notice_unread, read_inputs
from .interrupts import Interrupts, watch
from .journal import JournalSession
from .opening import ModelFile, ModelServer, open_model
from .options import Options

if TYPE_CHECKING:
    from dynscale_cli.engine.protocol import Engine, Message
    from dynscale_cli.run.events import Event
    from dynscale_cli.run.request import Settings
    from dynscale_cli.run.run import Run
    from dynscale_cli.run.store import Recorder
    from dynscale_cli.run.stored import Past, StoredRun

DONE, UNANSWERED = 0, 3
ANY_SEED = -1  # asks for one that nobody chose
CHAIN_CONTEXT = 1024  # tokens: half of it holds a question and three short attempts at it
LEAST_ANSWER = 32  # tokens that a sample needs behind its prompt
UNANIMOUS = 4  # samples that settle a question when they agree
MEASURED = 8  # how many of the longest questions are laid out to size the context


def answer(options: Options) -> int:
    """Run a session; the exit code. Raises DynscaleError."""
    if STDIN in map(str, options.file or ()):
        files = [path for path in options.file or () if str(path) != STDIN]
        options = replace(options, questions=[*(options.questions or ()), STDIN], file=files or None)
    if options.seed == ANY_SEED:
        options = replace(options, seed=random.SystemRandom().randrange(2**31))
        _notice(options)(f"seed {options.seed}")
    check_inputs(options)  # before anything about a model is said
    with watch() as interrupts:
        model = open_model(options, _notice(options))
        asked = read_inputs(options, _notice(options))
        questions, options = asked.questions, model.suited(options)
        settings = options.settings(
            _budget(options, asked), context=asked.context, server=isinstance(model, ModelServer)
        )
        engine = _engine(options, model, questions, settings, interrupts)
        session = JournalSession(_notice(options), quiet=options.quiet, flags=_named_again(options))
        if options.journal:
            session.begin(
                questions, settings, engine.info, model.identity(), model.options, next(iter(options.file or ()), None)
            )
        notice_unread(options, _notice(options))
        return _run(options, questions, settings, engine, session, interrupts)


def _budget(options: Options, asked: Inputs) -> int:
    """In tokens. A context comes on top of the budget that nobody chose; a token is taken for three of its bytes."""
    budget = options.cap().total(len(asked.questions))
    return budget if options.nearness("budget") else budget + len(asked.context.encode()) // 3


def _named_again(options: Options) -> str:
    """Flags without which a run that is gone on with would not send the key to its servers."""
    from dynscale_cli.engine.server.endpoints import api_key

    if not (options.endpoint and options.typed("endpoint") and api_key()):
        return ""
    return "".join(f" --endpoint {url}" for url in options.endpoint)


def go_on(options: Options, budget: int, journal: Recorder, stored: StoredRun) -> int:
    """Go on with a run where it stopped, up to `budget` tokens over all its parts; the exit code.

    `options` says with which model and how to show it.
    """
    from dynscale_cli.run.stored import Past

    with watch() as interrupts:
        model = open_model(options, _notice(options))
        _same_model(stored, model.identity())
        settings = replace(stored.settings, budget=budget, stream=options.show)
        engine = _engine(options, model, stored.questions, settings, interrupts)
        session = JournalSession(_notice(options), quiet=options.quiet, flags=_named_again(options))
        session.take(journal)
        try:
            journal.resume(settings.budget)
        except DynscaleError as error:  # what is spent from here on would be spent again
            engine.close()
            raise DynscaleError(f"{error.message}: the run stays as it is", "make room on the disk") from error
        return _run(options, stored.questions, settings, engine, session, interrupts, Past(stored))


def _run(
    options: Options,
    questions: Sequence[Question],
    settings: Settings,
    engine: Engine,
    session: JournalSession,
    interrupts: Interrupts,
    past: Past | None = None,
) -> int:
    from dynscale_cli.run.run import Run

    stopped = lambda: bool(interrupts)  # noqa: E731
    with contextlib.closing(engine), session.kept():
        run = Run(questions, engine, settings, journal=session.journal, past=past, interrupted=stopped)
        try:
            code = _show(options, questions, run, interrupts)
        finally:
            run.leave()
    return session.code(code, interrupted=bool(interrupts))


def _same_model(stored: StoredRun, identity: dict[str, Any]) -> None:
    from dynscale_cli.run.request import difference

    if changed := difference(stored.request.model, identity):
        was = stored.request.model
        flag = "--endpoint URL" if was["kind"] == "server" else "-m FILE"
        raise UsageError(
            f"run {stored.id} was made with another model than {identity['path']}: {changed}",
            f"name the one it was made with ({was['path']}): dynscale runs resume {stored.id} {flag}",
        )


def _engine(
    options: Options,
    model: ModelFile | ModelServer,
    questions: Sequence[Question],
    settings: Settings,
    interrupts: Interrupts,
) -> Engine:
    """An engine, ready to go, its context sized to the questions."""
    longest = sorted(questions, key=lambda q: len(q.text), reverse=True)[:MEASURED]
    prompts = [settings.prompts.parallel(question, compared=True) for question in longest]
    engine = model.engine(
        options,
        prompts,
        interrupts,
        most=min(settings.max_tokens, settings.budget) if isinstance(model, ModelFile) else settings.max_tokens,
        least=0 if settings.mode == "parallel" else min(CHAIN_CONTEXT, settings.budget),
        samples=_expected_samples(settings, len(questions), model.expected),
    )
    if settings.prompts.context:
        trained = model.header.context_length if isinstance(model, ModelFile) and options.ctx_size is None else 0
        _check_context(engine, prompts[-1], trained)
    return engine


def _check_context(engine: Engine, prompt: list[Message], trained: int) -> None:
    """Raise UsageError where the text that all questions are about leaves no room for a question and a sample.

    `trained`: the model's own length, of which the engine has taken what the questions that fit need; 0: not known.
    """
    needed, room = len(engine.prompt(prompt)), engine.info.context
    if room and needed + LEAST_ANSWER > room:
        room = max(room, trained)
        engine.close()
        raise UsageError(
            f"the context and a question take {needed:,} tokens, and the model holds {room:,}",
            "ask about a part of it, or take a model of a longer context: dynscale models list",
        )


def _expected_samples(settings: Settings, questions: int, expected: int) -> int:
    """How many samples the budget is expected to buy, as far as is known before the first one.

    Those of a model that thinks are long, and take the memory for that: no more of them than agree at once.
    """
    bought = settings.budget // min(expected, settings.max_tokens)
    most = settings.max_samples or (bought if expected == EXPECTED else UNANIMOUS)
    return min(bought, most * questions)


def _notice(options: Options) -> Callable[[str], None]:
    def tell(text: str) -> None:
        if not options.quiet:
            say(f"dynscale: {text}")

    return tell


def _show(options: Options, questions: Sequence[Question], run: Run, interrupts: Interrupts) -> int:
    """Run, and show what happens as it happens. Nothing that was answered is lost to what fails later."""
    from dynscale_cli.display.answers import Answers
    from dynscale_cli.display.lines import Explain, Verdicts, choose_display
    from dynscale_cli.run.events import RunFinished

    verdicts = Verdicts([question.text for question in questions], shutil.get_terminal_size().columns)
    together = sys.stdout.isatty()  # the answers come to the terminal that the view is on
    display = choose_display(
        sys.stderr,
        quiet=options.quiet,
        color=options.color,
        show=options.show,
        verdicts=None if together else verdicts,
    )
    answers = Answers(
        sys.stdout,
        len(questions),
        as_json=options.json,
        unordered=options.unordered,
        aside=display.aside if together else None,
        verdicts=verdicts if together and display.live and not options.json else None,
    )
    explain = Explain()
    handles = (display.handle, explain.handle) if options.explain else (display.handle,)
    finished, failure = None, None
    with _export(options, questions, run) as pool, display:
        try:
            for event in _paid(run.events()):
                for handle in (*handles, *pool):
                    handle(event)
                with _writing():
                    answers.handle(event)
                if isinstance(event, RunFinished):
                    finished = event
        except DynscaleError as error:
            failure = error
        with _writing():
            answers.finish()
    for line in explain.lines() if options.explain else ():
        say(line)
    if failure is not None:
        raise failure
    if interrupts:
        return interrupts.exit_code
    return UNANSWERED if finished is not None and finished.unanswered else DONE


def _paid(events: Iterator[Event]) -> Iterator[Event]:
    """The events, held back until a sample starts: of a budget that pays for none, only the error is shown."""
    from dynscale_cli.run.events import SampleStarted

    held = []
    try:
        for event in events:
            held.append(event)
            if isinstance(event, SampleStarted):
                break
    except BudgetError:
        raise
    except DynscaleError:
        yield from held
        raise
    yield from held
    yield from events


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """A disk that is full is an error to be shown; a reader that went away is none."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"cannot write the answers to standard output: {error.strerror or error}"
        raise DynscaleError(message, "make room, or write them elsewhere") from error


@contextlib.contextmanager
def _export(options: Options, questions: Sequence[Question], run: Run) -> Iterator[tuple[Callable[[Event], None], ...]]:
    """What takes in the samples to be exported, if any are; they are written however the run ends."""
    if options.export is None:
        yield ()
        return
    from dynscale_cli.answers.types import AnswerType
    from dynscale_cli.run.export import Pool

    pool = Pool(options.export, questions, AnswerType.parse(run.settings.answer_type), run.state.equivalence)
    if all(question.gold is None for question in questions):
        _notice(options)("the questions state no right answers, so replay cannot score the exported pool")
    try:
        yield (pool.handle,)
    finally:
        pool.finish()
