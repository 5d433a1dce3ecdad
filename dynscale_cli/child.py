"""Work that may crash, hang or fill the memory, done in a process of its own.

Owns how every child process is started and what becomes of it. A child is isolated: it imports nothing from the folder
that the user stands in, is not interrupted by the terminal, and ends with its parent. It answers requests, one line of
JSON each; a time limit, a memory limit and a signal end as a `ChildError` that says which.

The other side is in the same file: `_serve` runs in the child and calls `module:function` with each request.
Knows nothing of models, templates or formulas.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Literal

from dynscale_cli.errors import DynscaleError, EngineError, ModelError, UsageError

PACKAGES = Path(__file__).resolve().parents[1]
SAFE_PATH = "PYTHONSAFEPATH"
STARTING = 60.0  # seconds for Python to come up and import what is called
POLL = 0.05  # seconds between two looks at the memory that a child holds
LAST_WORDS = 8192  # bytes of what a child wrote to its standard error
BOOT = "import json, sys; told = json.loads(sys.argv[1]); sys.path[:] = told['path']; "
BOOT += "from dynscale_cli.child import _serve; _serve(told)"
ERRORS: dict[str, type[DynscaleError]] = {each.__name__: each for each in (ModelError, EngineError, UsageError)}

Fate = Literal["crashed", "slow", "large", "failed", "silent", "stopped"]
_stage: Callable[[str], None] = lambda text: None  # noqa: E731  set in a child


class ChildError(Exception):
    """What became of a child, in words that go on a sentence: crashed (SIGSEGV), did not answer within 60 seconds.

    `stage`: how far it had come, in its own words; `words`: the last lines that it wrote, errors preferred.
    """

    def __init__(self, fate: Fate, how: str, *, stage: str = "", words: str = "", number: int = 0) -> None:
        super().__init__(how)
        self.fate, self.stage, self.words, self.signal = fate, stage, words, number


class Child:
    """A process that calls `target` ("module:function") with each request, for as long as it is wanted.

    `memory`: bytes of address space, beyond which an allocation fails; `resident`: bytes really held, beyond which the
    process is killed; `cpu`: seconds of computing over its whole life, for the case that nobody waits any more.
    `imports`: modules that it imports at once, while nothing is asked of it yet.
    """

    def __init__(
        self,
        target: str,
        *,
        memory: int | None = None,
        resident: int | None = None,
        cpu: int | None = None,
        imports: tuple[str, ...] = (),
    ) -> None:
        told = {"path": _import_path(), "target": target, "memory": memory, "cpu": cpu, "imports": imports}
        self._resident = resident
        self._ready = False
        self._stopped = False
        self.stage = ""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", BOOT, json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(sys.executable).anchor,
            env=_environment(os.environ),
            start_new_session=True,  # Ctrl-C is for us, not for it
        )
        self._replies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._words = bytearray()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=_forward, args=(self._process.stdout, self._replies), daemon=True),
            threading.Thread(target=_remember, args=(self._process.stderr, self._words), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self._end = weakref.finalize(self, _kill, self._process)

    def ask(self, request: Any, seconds: float) -> Any:
        """What the function returns. Raises ChildError, or the DynscaleError that the function raised."""
        if not self._ready:
            self._reply(STARTING)
            self._ready = True
        assert self._process.stdin is not None
        with suppress(OSError):  # one that has died is told by its missing reply
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        return self._reply(seconds)

    def stop(self) -> None:
        """Kill it, from any thread; who waits for it hears `stopped`."""
        self._stopped = True
        self._process.kill()

    def close(self) -> None:
        self._end()

    def _reply(self, seconds: float) -> Any:
        end = time.monotonic() + seconds
        while True:
            line = self._next(end, seconds)
            try:
                said = json.loads(line)
                kind, value = said["kind"], said["value"]
            except (ValueError, TypeError, KeyError):
                raise self._fallen("silent", "gave no answer") from None
            if kind == "stage":
                self.stage = value
            elif kind == "error":
                raise ERRORS.get(value["type"], DynscaleError)(value["message"], value["hint"])
            elif kind == "failed":
                raise self._fallen("failed", f"failed: {value}")
            else:
                return value

    def _next(self, end: float, seconds: float) -> bytes:
        """The next line. Raises ChildError when none comes."""
        while True:
            try:
                line = self._replies.get(timeout=max(0.0, min(POLL, end - time.monotonic())))
            except queue.Empty:
                if self._resident is not None and resident(self._process.pid) > self._resident:
                    raise self._fallen("large", f"took more than {self._resident / 1e9:.1f} GB of memory") from None
                if time.monotonic() >= end:
                    raise self._fallen("slow", f"did not answer within {seconds:.0f} seconds") from None
            else:
                if line is None:
                    raise self._death()
                return line

    def _death(self) -> ChildError:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:  # it closed its output and lives on
            return self._fallen("silent", "gave no answer")
        if self._stopped:
            return self._fallen("stopped", "was stopped")
        if code < 0:
            return self._fallen("crashed", f"crashed ({_name(-code)})", -code)
        return (
            self._fallen("failed", f"ended with exit code {code}") if code else self._fallen("silent", "said nothing")
        )

    def _fallen(self, fate: Fate, how: str, number: int = 0) -> ChildError:
        _kill(self._process)
        for reader in self._readers:
            reader.join(1)
        return ChildError(fate, how, stage=self.stage, words=last_words(bytes(self._words)), number=number)


def ask(target: str, request: Any, seconds: float, **limits: Any) -> Any:
    """One request to a child of its own. Raises what `Child.ask` raises."""
    child = Child(target, **limits)
    try:
        return child.ask(request, seconds)
    finally:
        child.close()


def stage(text: str) -> None:
    """Tell the parent how far the work has come: called in a child, without effect elsewhere."""
    _stage(text)


@contextmanager
def isolated_processes() -> Iterator[None]:
    """Have Python processes that a library starts within import nothing from the working directory.

    Python 3.10 cannot be told, so they are started from another one.
    """
    before, here = os.environ.get(SAFE_PATH), Path.cwd() if sys.version_info < (3, 11) and _has_cwd() else None
    os.environ[SAFE_PATH] = "1"
    if here is not None:
        os.chdir(Path(sys.executable).anchor)
    try:
        yield
    finally:
        if here is not None:
            os.chdir(here)
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


def last_words(raw: bytes, lines: int = 3) -> str:
    """The end of what was written, in one line; prefers errors."""
    text = [line.strip() for line in raw.decode("utf-8", "replace").splitlines() if line.strip(" .\r\n")]
    text = list(dict.fromkeys(text))
    told = [line for line in text if any(word in line.lower() for word in ("error", "failed", "assert", "what():"))]
    return "; ".join((told or text)[-lines:])


def resident(pid: int) -> int:
    """Bytes of memory that a process holds for itself, files that it reads not counted; 0 where that is unknown."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines():
            if line.startswith("RssAnon:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return 0


def _import_path() -> list[str]:
    """Where a child finds what we found, without the folder that the user stands in."""
    here = Path.cwd() if _has_cwd() else None
    paths = [path for path in sys.path if os.path.isabs(path) and (here is None or Path(path) != here)]
    return paths if str(PACKAGES) in paths else [*paths, str(PACKAGES)]


def _has_cwd() -> bool:
    try:
        Path.cwd()
    except OSError:  # it was deleted
        return False
    return True


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Ours; ggml's backtrace of an abort, which starts a debugger, is of no use to anybody here."""
    return {"GGML_NO_BACKTRACE": "1", **environ}


def _forward(pipe: IO[bytes], replies: queue.SimpleQueue[bytes | None]) -> None:
    with pipe, suppress(OSError, ValueError):
        for line in pipe:
            replies.put(line)
    replies.put(None)


def _remember(pipe: IO[bytes], words: bytearray) -> None:
    with pipe, suppress(OSError, ValueError):
        while part := os.read(pipe.fileno(), 1 << 16):
            words += part
            del words[:-LAST_WORDS]


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _serve(told: Mapping[str, Any]) -> None:
    """The child: answer requests until there are no more. Nothing that a library prints is taken for an answer."""
    global _stage
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)

    def say(kind: str, value: Any) -> None:
        print(json.dumps({"kind": kind, "value": value}), file=replies, flush=True)

    _stage = lambda text: say("stage", text)  # noqa: E731
    _limit(told["memory"], told["cpu"])
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    module, _, name = told["target"].partition(":")
    try:
        function = getattr(import_module(module), name)
        for other in told["imports"]:
            import_module(other)
    except Exception as error:
        say("failed", f"{type(error).__name__}: {error}")
        os._exit(1)  # the thread that listens holds standard input: an orderly end would wait for it
    say("ready", None)
    while True:
        request = json.loads(requests.get())
        try:
            said = function(request)
        except DynscaleError as error:
            say("error", {"type": type(error).__name__, "message": error.message, "hint": error.hint})
        except Exception as error:  # whatever it is, the parent says it in a line
            say("failed", " ".join(f"{type(error).__name__}: {error}".split())[:300])
        else:
            say("reply", said)


def _listen(requests: queue.SimpleQueue[bytes]) -> None:
    """Hand on what is asked; when the parent is gone, end at once, whatever is being done."""
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)


def _limit(memory: int | None, cpu: int | None) -> None:
    """Limits that the system enforces, where it knows them; where memory runs out all the same, this process goes."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, cpu)]
    for kind, limit in limits:
        if limit is not None:
            with suppress(ValueError, OSError):
                resource.setrlimit(kind, (limit, limit))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
