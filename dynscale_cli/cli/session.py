"""One run from its engine to its exit code, as `ask` and `runs resume` share it: sized, run, shown, kept.

Owns the exit code, the words about how a run is kept, and signals: the first Ctrl-C asks the run to end, the second
ends the process. How the model is opened is the business of `opening`; what is decoded, stored and shown is decided
elsewhere.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dynscale_cli.display.text import is_pipe, put_back, report, say
from dynscale_cli.engine.options import EXPECTED
from dynscale_cli.errors import BudgetError, DynscaleError, UsageError
from dynscale_cli.questions import Question

from .opening import ModelFile, ModelServer, Wanted
from .options import Options, notice

if TYPE_CHECKING:
    from dynscale_cli.display.answers import Answers
    from dynscale_cli.display.lines import Display
    from dynscale_cli.engine.protocol import Engine, Message
    from dynscale_cli.run.events import Event
    from dynscale_cli.run.request import RunRequest, Settings
    from dynscale_cli.run.run import Run
    from dynscale_cli.run.store import Recorder
    from dynscale_cli.run.stored import Past

DONE, UNANSWERED = 0, 3
CHAIN_CONTEXT = 1024  # tokens: half of it holds a question and three short attempts at it
LEAST_ANSWER = 32  # tokens that a sample needs behind its prompt
UNANIMOUS = 4  # samples that settle a question when they agree
READING = 0.15  # seconds in which whoever reads a pipe has shown what came
MEASURED = 8  # how many of the longest questions are laid out to size the context


def sized_engine(
    options: Options,
    model: ModelFile | ModelServer,
    questions: Sequence[Question],
    settings: Settings,
    interrupts: Interrupts,
) -> Engine:
    """An engine, ready to go, its context sized to the questions."""
    prompts = longest_prompts(questions, settings)
    wanted = Wanted(
        prompts,
        most=settings.max_tokens if model.is_server else min(settings.max_tokens, settings.budget),
        least=0 if settings.mode == "parallel" else min(CHAIN_CONTEXT, settings.budget),
        samples=_expected_samples(settings, len(questions), model.expected),
        top=settings.top,
    )
    engine = model.engine(options, wanted)
    interrupts.on_first = engine.abort
    if settings.prompts.context:
        trained = model.header.context_length if isinstance(model, ModelFile) and options.ctx_size is None else 0
        _check_context(engine, prompts[-1], trained)
    return engine


def longest_prompts(questions: Sequence[Question], settings: Settings) -> list[list[Message]]:
    """Of the longest questions: the context is sized to them."""
    longest = sorted(questions, key=lambda q: len(q.text), reverse=True)[:MEASURED]
    return [settings.prompts.parallel(question, compared=True) for question in longest]


def source(file: Path | None) -> dict[str, str] | None:
    """What a stored run tells its file of questions by. Reading a pipe twice would wait for ever."""
    from dynscale_cli.run.request import file_hash

    if file is not None and file.is_file():
        with contextlib.suppress(OSError):
            return {"path": str(file.absolute()), "sha256": file_hash(file)}
    return None


def _check_context(engine: Engine, prompt: list[Message], trained: int) -> None:
    """Raise UsageError where the text that all questions are about leaves no room for a question and a sample.

    `trained`: the model's own length, of which the engine has taken what the questions that fit need; 0: not known.
    """
    needed, room = len(engine.prompt(prompt)), engine.info.context
    if room and needed + LEAST_ANSWER > room:
        room = max(room, trained)
        engine.close()
        raise UsageError(
            f"the context and a question take {needed:,} tokens; the model holds {room:,}",
            "ask about a part of it, or take a larger one: dynscale models list",
        )


def _expected_samples(settings: Settings, questions: int, expected: int) -> int:
    """How many samples the budget is expected to buy, as far as is known before the first one.

    Those of a model that thinks are long, and take the memory for that: no more of them than agree at once.
    """
    bought = settings.budget // min(expected, settings.max_tokens)
    most = settings.max_samples or (bought if expected == EXPECTED else UNANIMOUS)
    return min(bought, most * questions)


def run_session(
    options: Options,
    questions: Sequence[Question],
    settings: Settings,
    engine: Engine,
    kept: KeptRun,
    interrupts: Interrupts,
    past: Past | None = None,
) -> int:
    """Run, show, keep; the exit code. Closes the engine."""
    from dynscale_cli.run.run import Run

    stopped = lambda: bool(interrupts)  # noqa: E731
    with contextlib.closing(engine), kept:
        run = Run(questions, engine, settings, journal=kept.recorder, past=past, interrupted=stopped)
        try:
            code = _show(options, questions, run, interrupts)
        finally:
            run.leave()
    return kept.code(code, interrupted=bool(interrupts))


def _show(options: Options, questions: Sequence[Question], run: Run, interrupts: Interrupts) -> int:
    """Run, and show what happens as it happens. Nothing that was answered is lost to what fails later."""
    from dynscale_cli.display.answers import Explain
    from dynscale_cli.run.events import RunFinished

    display, answers = _displays(options, questions, lambda: bool(interrupts))
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


def _displays(
    options: Options, questions: Sequence[Question], interrupted: Callable[[], bool]
) -> tuple[Display, Answers]:
    """What goes to standard error, and to standard output. Where both are the terminal, a verdict is shown once."""
    from dynscale_cli.display.answers import Answers, Verdicts
    from dynscale_cli.display.lines import choose_display

    verdicts = Verdicts([question.text for question in questions], shutil.get_terminal_size().columns)
    together = sys.stdout.isatty()  # the answers come to the terminal that the view is on
    display = choose_display(
        sys.stderr,
        quiet=options.quiet,
        color=options.color,
        show=options.show,
        verdicts=None if together else verdicts,
    )
    return display, Answers(
        sys.stdout,
        len(questions),
        as_json=options.json,
        unordered=options.unordered,
        aside=display.aside if together else _past_a_pipe(display),
        verdicts=verdicts if together and display.live and not options.json else None,
        interrupted=interrupted,
    )


def _past_a_pipe(display: Display) -> Callable[[Callable[[], None]], None] | None:
    """What keeps the view out of the way of a reader such as jq, which may write to the same terminal."""
    return functools.partial(display.aside, pause=READING) if display.live and is_pipe(sys.stdout) else None


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
    from dynscale_cli.run.export import NewFile, Pool

    file = NewFile(options.export)
    pool = Pool(questions, AnswerType.parse(run.settings.answer_type), run.state.equivalence)
    if all(question.gold is None for question in questions):
        notice(options)("the questions state no right answers, so replay cannot score the exported pool")
    try:
        yield (pool.handle,)
    finally:
        file.write(pool.lines())


class KeptRun:
    """How a run is kept in the store, if it is, and what the user hears of that. A context manager around the run.

    A run that could not begin as it was asked for leaves nothing behind.
    """

    def __init__(self, options: Options, recorder: Recorder | None = None) -> None:
        from dynscale_cli.settings import setting

        self.recorder = recorder
        self._max_bytes: int = setting("journal.max-size")  # over all runs; raises UsageError where it is not valid
        self._options, self._notice = options, notice(options)
        self._refused = False

    def begin(self, request: RunRequest, questions: Sequence[Question]) -> None:
        """Store what is asked. Where that cannot be done the run goes without."""
        from dynscale_cli.run.store import Store

        try:
            self.recorder = Store(max_bytes=self._max_bytes).create(request, questions)
        except DynscaleError as error:
            self._refused = True
            report(DynscaleError(f"this run is not kept: {error.message}", "--no-journal asks for none"))

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self.recorder is None:
            return
        never_begun = isinstance(error, BudgetError | UsageError)
        if isinstance(error, DynscaleError) and not never_begun:
            never_begun = not self.recorder.drawn
            if not never_begun:
                self._tell_how_to_go_on()
        self.recorder.close(discard_empty=never_begun)
        self._trim(self.recorder.id)

    def code(self, code: int, *, interrupted: bool) -> int:
        """The exit code, which tells when something could not be kept; and how to go on where the run was stopped."""
        if self.recorder is not None and self.recorder.failure is not None:
            self._refused = True
            if self._options.quiet:
                report(DynscaleError(self.recorder.failure))
        elif interrupted:
            self._tell_how_to_go_on()
        elif self.recorder is not None and self.recorder.cut_short:
            self._notice(f"budget spent; to buy more: {self._resume()} --budget +{self.recorder.budget}")
        return 1 if self._refused and not interrupted else code

    def _tell_how_to_go_on(self) -> None:
        if self.recorder is not None and self.recorder.failure is None:
            self._notice(f"to go on with this run: {self._resume()}")

    def _resume(self) -> str:
        """The command, with the flags without which the key would not be sent to the run's servers."""
        from dynscale_cli.engine.server.endpoints import api_key

        assert self.recorder is not None
        told = self._options.endpoint if self._options.typed("endpoint") and api_key() else None
        return f"dynscale runs resume {self.recorder.id}" + "".join(f" --endpoint {url}" for url in told or ())

    def _trim(self, own: str) -> None:
        from dynscale_cli.run.store import Store

        gone = Store(max_bytes=self._max_bytes).trim(keep=own)
        if gone:
            names = ", ".join(gone)
            self._notice(f"removed to stay below {self._max_bytes:,} bytes of runs: {names}")


# --- signals ------------------------------------------------------------------------------------------------------

EXIT = {signal.SIGINT: 130, signal.SIGTERM: 143}
if hasattr(signal, "SIGHUP"):  # a terminal that is closed ends what runs in it as orderly
    EXIT[signal.SIGHUP] = 143
ECHO = 0.25  # seconds: a signal that comes again by then is the same (`timeout`, and wrappers that pass theirs on)


class Interrupts:
    """What was asked of the process from outside. `exit_code` is 0 until a signal came."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.exit_code = 0
        self.on_first: Callable[[], None] | None = None  # without one, the first signal ends the process
        self._clock, self._first = clock, 0.0

    def __bool__(self) -> bool:
        return self.exit_code != 0

    def receive(self, number: int) -> None:
        code = EXIT.get(signal.Signals(number))
        if code is None:
            return
        if self.exit_code and self._clock() - self._first < ECHO:
            return
        if self.exit_code or self.on_first is None:
            _leave(code)
        self.exit_code, self._first = code, self._clock()
        if self.on_first is not None:
            self.on_first()


@contextlib.contextmanager
def watch() -> Iterator[Interrupts]:
    """Watch SIGINT, SIGTERM and SIGHUP for as long as the block runs; one that is ignored (`nohup`) stays so.

    A signal must act in the middle of a `llama_decode`, while the main thread is inside the library and Python's own
    handlers wait: so the byte that the interpreter writes to its wake-up descriptor is read by a thread, which may stop
    the decode.
    """
    interrupts = Interrupts()
    if sys.platform == "win32":  # no descriptor to wake up: the handler itself has to do
        signal.signal(signal.SIGINT, lambda number, frame: interrupts.receive(number))
        yield interrupts
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    heard = [number for number in EXIT if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda number, frame: None) for number in heard}
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(reader, interrupts), daemon=True).start()
    try:
        yield interrupts
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)


def _listen(reader: int, interrupts: Interrupts) -> None:
    while byte := os.read(reader, 1):
        interrupts.receive(byte[0])
    os.close(reader)


def _leave(code: int) -> None:
    """End the process now, with the cursor visible again where a view has hidden it."""
    put_back()
    os._exit(code)
