"""One `ask` from its questions to its exit code: read, load, run, show.

Owns the order in which a session's parts come to life, and the exit code. What is decoded and how
it is shown is decided elsewhere.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from dynscale_cli.config import Budget
from dynscale_cli.engine.options import LoadOptions
from dynscale_cli.errors import BudgetError, DynscaleError, UsageError
from dynscale_cli.questions import Question, read

from .background import Background
from .connecting import Connecting
from .interrupts import Interrupts, watch
from .keeping import Keeper, Wishes
from .report import say

if TYPE_CHECKING:
    from dynscale_cli.engine.llama import LlamaModel
    from dynscale_cli.engine.protocol import Engine
    from dynscale_cli.engine.server.endpoints import ServerOptions
    from dynscale_cli.models.gguf import GGUFHeader
    from dynscale_cli.run.events import Event
    from dynscale_cli.run.resume import Past
    from dynscale_cli.run.run import Run
    from dynscale_cli.run.settings import Settings
    from dynscale_cli.run.store import Recorder
    from dynscale_cli.run.stored import StoredRun

DONE, UNANSWERED = 0, 3
CHAIN_CONTEXT = 1024  # tokens: half of it holds a question and three short attempts at it
MEASURED = 8  # how many of the longest questions are laid out to size the context


@dataclass(frozen=True, slots=True)
class Asking:
    """What `dynscale ask` was told, checked but not yet acted on."""

    arguments: tuple[str, ...]
    file: Path | None
    limit: int | None
    whole: bool
    model: str | None
    options: LoadOptions
    server: ServerOptions | None
    without_effect: tuple[str, ...]  # flags that mean nothing to it
    context: int | None
    width: int | None
    budget: Budget
    settings: dict[str, Any]
    sampling: tuple[float, float, int]
    system: str | None
    prompt_file: Path | None
    json: bool
    unordered: bool
    explain: bool
    show: bool
    export: Path | None
    quiet: bool
    color: bool
    journal: Wishes


class Loading:
    """The model, loading while the rest of the session gets ready."""

    def __init__(
        self, header: GGUFHeader, options: LoadOptions, width: int | None, notice: Callable[[str], None]
    ) -> None:
        self.header = header
        self._model = Background(lambda: _loaded(header, options, width, notice))

    @property
    def identity(self) -> dict[str, Any]:
        """Which model this is, for a journal to tell it from another."""
        from dynscale_cli.run.request import gguf

        return gguf(self.header)

    def wait(self) -> LlamaModel:
        """The model. Raises what loading raised."""
        return self._model.wait()


def _loaded(header: GGUFHeader, options: LoadOptions, width: int | None, notice: Callable[[str], None]) -> LlamaModel:
    from dynscale_cli.engine.loading import load_model

    return load_model(header, options, width=width, notice=notice)


def answer(asking: Asking) -> int:
    """Run a session; the exit code. Raises DynscaleError."""
    if not asking.arguments and asking.file is None and _stdin(asking) is None:
        read()  # raises: nothing was asked, which is said before anything about a model
    with watch() as interrupts:
        loading = _opening(asking)
        questions = _read(asking)
        settings = _settings(asking, len(questions))
        engine = _prepare(asking, loading, questions, settings, interrupts)
        keeper = Keeper(asking.journal, _notice(asking), quiet=asking.quiet)
        if asking.journal.want(len(questions)):
            keeper.begin(questions, settings, engine.info, loading.identity, asking.options, asking.file)
        return _run(asking, questions, settings, engine, keeper, interrupts)


def go_on(asking: Asking, journal: Recorder, stored: StoredRun) -> int:
    """Go on with a run where it stopped; the exit code. `asking` says with which model and how to show it."""
    from dynscale_cli.run.resume import Past

    with watch() as interrupts:
        loading = _opening(asking)
        _same_model(stored, loading.identity)
        settings = replace(stored.settings, budget=asking.budget.total(len(stored.questions)), stream=asking.show)
        engine = _prepare(asking, loading, stored.questions, settings, interrupts)
        keeper = Keeper(asking.journal, _notice(asking), quiet=asking.quiet)
        keeper.take(journal)
        try:
            journal.resume(settings.budget)
        except DynscaleError as error:  # what is spent from here on would be spent again
            engine.close()
            raise DynscaleError(f"{error.message}: the run stays as it is", "make room on the disk") from error
        return _run(asking, stored.questions, settings, engine, keeper, interrupts, Past(stored))


def _run(
    asking: Asking,
    questions: Sequence[Question],
    settings: Settings,
    engine: Engine,
    keeper: Keeper,
    interrupts: Interrupts,
    past: Past | None = None,
) -> int:
    from dynscale_cli.run.run import Run

    stopped = lambda: bool(interrupts)  # noqa: E731
    with contextlib.closing(engine), keeper.kept():
        run = Run(questions, engine, settings, journal=keeper.journal, past=past, interrupted=stopped)
        try:
            code = _show(asking, questions, run, interrupts)
        finally:
            run.leave()
    return keeper.code(code, interrupted=bool(interrupts))


def _same_model(stored: StoredRun, identity: dict[str, Any]) -> None:
    from dynscale_cli.run.request import difference

    if changed := difference(stored.request.model, identity):
        was = stored.request.model
        flag = "--endpoint URL" if was["kind"] == "server" else "-m FILE"
        raise UsageError(
            f"run {stored.id} was made with another model than {identity['path']}: {changed}",
            f"name the one it was made with ({was['path']}): dynscale runs resume {stored.id} {flag}",
        )


def _opening(asking: Asking) -> Loading | Connecting:
    """Begin to load the model, or to connect to the server that has it."""
    if asking.server is None:
        return Loading(_checked_model(asking), asking.options, asking.width, _notice(asking))
    if asking.without_effect:
        _notice(asking)(f"no effect on a server: {', '.join(asking.without_effect)}")
    return Connecting(asking.server, _notice(asking))


def _read(asking: Asking) -> list[Question]:
    """The questions. Who has to type them is told so; who waits for a pipe is told that, after a while."""
    from dynscale_cli.display.waiting import waiting

    stdin = _stdin(asking)
    typing = stdin is not None and stdin.isatty()
    if typing:
        _notice(asking)("one question a line; Ctrl-D ends the last")
    silent = asking.quiet or typing or stdin is None
    with waiting(None if silent else sys.stderr, "waiting for questions on standard input; Ctrl-C gives up"):
        return read(asking.arguments, asking.file, stdin, whole=asking.whole, limit=asking.limit)


def _checked_model(asking: Asking) -> GGUFHeader:
    from dynscale_cli.models.gguf import read_header, require_generator
    from dynscale_cli.models.resolve import resolve

    header = read_header(resolve(asking.model))
    require_generator(header)
    return header


def _stdin(asking: Asking) -> BinaryIO | None:
    """Standard input, where it is to be read: never beside a question, never from a terminal."""
    if sys.stdin is None:
        return None
    if "-" in asking.arguments:
        return sys.stdin.buffer
    if asking.arguments or asking.file is not None or sys.stdin.isatty():
        return None
    return sys.stdin.buffer


def _settings(asking: Asking, questions: int) -> Settings:
    from dynscale_cli.allocation import parse_policy
    from dynscale_cli.answers.types import AnswerType
    from dynscale_cli.engine.protocol import Sampling
    from dynscale_cli.run.settings import Settings
    from dynscale_cli.sampling.prompts import load_prompts

    parse_policy(asking.settings["policy"])
    AnswerType.parse(asking.settings["answer_type"])
    return Settings(
        budget=asking.budget.total(questions),
        sampling=Sampling(*asking.sampling),
        prompts=load_prompts(asking.prompt_file, asking.system),
        **asking.settings,
    )


def _prepare(
    asking: Asking,
    loading: Loading | Connecting,
    questions: Sequence[Question],
    settings: Settings,
    interrupts: Interrupts,
) -> Engine:
    """An engine, ready to go: the model is waited for, its context sized to the questions."""
    if isinstance(loading, Connecting):
        server = loading.engine(settings, asking.context, asking.width)
        interrupts.on_first = server.abort
        return server
    from dynscale_cli.display.waiting import waiting
    from dynscale_cli.engine.loading import open_engine

    with waiting(None if asking.quiet else sys.stderr, f"loading {loading.header.path.name}"):
        model = loading.wait()
    longest = sorted(questions, key=lambda q: len(q.text), reverse=True)[:MEASURED]
    layouts = [settings.prompts.parallel(question, compared=True) for question in longest]
    most = min(settings.max_tokens, settings.budget)
    least = 0 if settings.mode == "parallel" else min(CHAIN_CONTEXT, settings.budget)
    engine = open_engine(
        model,
        layouts,
        most,
        least=least,
        context=asking.context,
        width=asking.width,
        samples=_expected_samples(settings, len(questions)),
        notice=_notice(asking),
    )
    interrupts.on_first = engine.abort
    return engine


def _expected_samples(settings: Settings, questions: int) -> int:
    """How many samples the budget is expected to buy, as far as is known before the first one."""
    bought = settings.budget // min(256, settings.max_tokens)
    return bought if settings.max_samples is None else min(bought, settings.max_samples * questions)


def _notice(asking: Asking) -> Callable[[str], None]:
    def tell(text: str) -> None:
        if not asking.quiet:
            say(f"dynscale: {text}")

    return tell


def _show(asking: Asking, questions: Sequence[Question], run: Run, interrupts: Interrupts) -> int:
    """Run, and show what happens as it happens. Nothing that was answered is lost to what fails later."""
    from dynscale_cli.display.answers import Answers
    from dynscale_cli.display.choose import choose_display
    from dynscale_cli.display.explain import Explain
    from dynscale_cli.run.events import RunFinished

    display = choose_display(sys.stderr, quiet=asking.quiet, color=asking.color, show=asking.show)
    aside = display.aside if sys.stdout.isatty() else None
    answers = Answers(sys.stdout, len(questions), as_json=asking.json, unordered=asking.unordered, aside=aside)
    explain = Explain()
    handles = (display.handle, explain.handle) if asking.explain else (display.handle,)
    finished, failure = None, None
    with _export(asking, questions, run) as pool, display:
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
    for line in explain.lines() if asking.explain else ():
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
def _export(asking: Asking, questions: Sequence[Question], run: Run) -> Iterator[tuple[Callable[[Event], None], ...]]:
    """What takes in the samples to be exported, if any are; they are written however the run ends."""
    if asking.export is None:
        yield ()
        return
    from dynscale_cli.answers.types import AnswerType
    from dynscale_cli.run.export import Pool

    pool = Pool(asking.export, questions, AnswerType.parse(run.settings.answer_type), run.state.equivalence)
    if all(question.gold is None for question in questions):
        _notice(asking)("the questions state no right answers, so replay cannot score the exported pool")
    try:
        yield (pool.handle,)
    finally:
        pool.finish()
