"""What is asked: questions and their context, from arguments, files and pipes; and what was most likely meant instead.

Owns whether standard input is read, and the hints for what was typed in another sense. What a line of a file may
hold is `questions`' business.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from dynscale_cli.errors import UsageError
from dynscale_cli.questions import STDIN, Question, read, read_text

from .options import Options

WORDS: Final = 3  # bare words that are rather one question than so many


@dataclass(frozen=True, slots=True)
class Inputs:
    questions: list[Question]
    context: str = ""  # what all of them are about


def read_inputs(options: Options, notice: Callable[[str], None]) -> Inputs:
    """Everything that is asked. Raises UsageError for what cannot be read, or is not what was meant."""
    from dynscale_cli.display.terminal import waiting

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
