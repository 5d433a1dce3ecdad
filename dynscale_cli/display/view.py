"""The live view as lines of styled text: a board and a window's size in, lines out.

Owns the layout: a row a question, the votes of a single one, one bar for the budget; never more lines than the
window has, never wider than it is. Every text of a model or a question is made plain here. Pure but for the widths
of characters, which it asks of rich; knows nothing of terminals or time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from rich.cells import cell_len, chop_cells, set_cell_size

from dynscale_cli.display import text as words
from dynscale_cli.display.answers import called, counts, race, stopped
from dynscale_cli.display.board import Board, Row
from dynscale_cli.display.text import plain, plain_lines
from dynscale_cli.run.events import Standing

Span: TypeAlias = tuple[str, str]  # text, style
Line: TypeAlias = Sequence[Span]

DIM, BOLD, GOOD, BAD, BUSY = "dim", "bold", "green", "red", "cyan"
NARROW: Final = 24  # below this width there is no table, only the budget
ROOMY: Final = 76  # from here on the question's text has a column
METER: Final = 10  # cells of the bar that fills as a question settles
LEAST_BAR: Final = 4  # cells of a bar of votes, before their counts lose the word
MOST_VOTES: Final = 8  # answers shown of a single question
MOST_TEXT: Final = 8  # lines shown of the running text
MARK: Final = 2  # cells of a row's mark


@dataclass(frozen=True, slots=True)
class Reading:
    """What the clock adds to a board: tokens a second and seconds left, None where not known yet.

    `sure`: the questions are expected to be done by then; if not, it is the budget that ends at the latest.
    """

    speed: float | None = None
    left: float | None = None
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Glyphs:
    full: str
    empty: str
    dots: str
    middle: str
    active: str = ""
    right: str = ""
    wrong: str = ""


FINE: Final = Glyphs("━", "─", "…", "·", "•", "✓", "✗")
ASCII: Final = Glyphs("#", "-", "...", "|", "*", "+", "x")


def draw(board: Board, reading: Reading, width: int, height: int, glyphs: Glyphs = FINE) -> list[Line]:
    """The whole view in at most `height - 1` lines (the cursor needs one) of at most `width` cells."""
    if board.started is None:
        return []
    foot = [_budget(board, width, glyphs), *_totals(board, reading, width, glyphs)]
    room = max(0, height - 1 - len(foot))
    if width < NARROW or not room:
        body: list[Line] = []
    elif board.started.questions == 1:
        body = _single(board, width, room, glyphs)
    else:
        body = _table(board, width, room, glyphs)
    return [_trimmed(line) for line in (body + foot)[-max(1, height - 1) :]]


def _trimmed(line: Line) -> Line:
    """Without blanks at its end, which a terminal that becomes narrower may wrap or not."""
    while line and not line[-1][0].strip():
        line = line[:-1]
    return [*line[:-1], (line[-1][0].rstrip(), line[-1][1])] if line else line


# Many questions


def _table(board: Board, width: int, room: int, glyphs: Glyphs) -> list[Line]:
    """A heading, rows, and how many there is no room for; with the running text, if it is kept, below."""
    if room < 3:
        return []
    assert board.started is not None
    spoken = _speech(board, width, min(MOST_TEXT, room // 3), glyphs)
    questions, space = board.started.questions, room - 1 - len(spoken)
    fits = questions <= space
    rows = board.chosen(questions if fits else space - 1, keep_places=not fits)
    columns = _columns(board.longest_id, width)
    lines: list[Line] = [[(" " * MARK, ""), *((_cell(c.title, c.cells, c.right), DIM) for c in columns)]]
    lines += [_row(row, columns, glyphs) for row in rows]
    if hidden := questions - len(rows):
        lines.append([(_fit(f"{' ' * MARK}{glyphs.dots} and {hidden:,} more", width, glyphs), DIM)])
    return lines + spoken


def _speech(board: Board, width: int, most: int, glyphs: Glyphs) -> list[Line]:
    """Whose text is followed, and its end."""
    if not board.text or board.speaker is None or most < 2:
        return []
    index, number = board.speaker
    row = board.rows.get(index)
    name = called(row.id if row else str(index + 1), index, board.started.questions if board.started else 1)
    title = f"{name}, sample {number + 1}"
    return [[(_fit(title, width, glyphs), DIM)], *_spoken(board.text, width, most - 1)]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    cells: int
    right: bool = False

    @property
    def title(self) -> str:
        return self.name if self.right or self.name == "id" else f"  {self.name}"


def _columns(longest_id: str, width: int) -> list[Column]:
    """What the width has room for; in a narrow window the answer and how sure it is stay longest."""
    names = max(2, cell_len(words.short(longest_id)))
    columns = [
        Column("id", min(max(4, names + 2), max(6, width // 5))),
        Column("samples", 9, True),
        Column("tokens", 9, True),
        Column("answer", max(8, min(24, width // 5)) + 2),
        Column("votes", 10, True),
        Column("outcome", METER + 8),
    ]
    for dispensable in ("tokens", "votes", "samples", "outcome"):
        if MARK + sum(column.cells for column in columns) > width:
            columns = [column for column in columns if column.name != dispensable]
    rest = width - MARK - sum(column.cells for column in columns)
    return [*columns, Column("question", rest)] if width >= ROOMY and rest >= 12 else columns


def _row(row: Row, columns: list[Column], glyphs: Glyphs) -> Line:
    mark, style = _state(row, glyphs)
    texts = _texts(row, glyphs)
    styles = {"answer": BOLD, "outcome": style, "question": DIM}
    if columns[-1].name == "question":  # its end tells more than its middle
        texts["question"] = f"  {words.cut(texts['question'], columns[-1].cells - 3)}"
    cells = [(_cell(texts[c.name], c.cells, c.right, glyphs), styles.get(c.name, "")) for c in columns]
    return [(f"{mark:<{MARK}}", style), *cells]


def _texts(row: Row, glyphs: Glyphs) -> dict[str, str]:
    """What stands in each column of a row."""
    standing, result = row.standing, row.result
    running = f"+{standing.pending}" if standing.pending and not result else ""
    return {
        "id": plain(row.id),
        "samples": f"{standing.samples:,}{running}",
        "tokens": f"{result.tokens.billed if result else row.tokens:,}",
        "answer": f"  {_leader(row)}",
        "votes": race(result or standing),
        "outcome": f"  {stopped(result)}" if result else f"  {_meter(standing.confidence, METER, glyphs)}",
        "question": row.question,
    }


def _state(row: Row, glyphs: Glyphs) -> tuple[str, str]:
    """(mark, style) of a row: being sampled, done, or waiting; right or wrong only where that is known."""
    if row.result:
        correct = row.result.correct
        return ("", DIM) if correct is None else (glyphs.right, GOOD) if correct else (glyphs.wrong, BAD)
    return (glyphs.active, BUSY) if row.standing.pending else ("", "")


def _leader(row: Row) -> str:
    """The leading answer; of a finished question, its answer."""
    if row.result:
        return "no answer" if row.result.answer is None else words.short(row.result.answer)
    return words.short(row.standing.votes[0][0]) if row.standing.votes else ""


# A single question


def _single(board: Board, width: int, room: int, glyphs: Glyphs) -> list[Line]:
    """The question, its votes as they move, and the running text if it is kept."""
    row = next(iter([*board.rows.values(), *board.recent]), None)
    if row is None:
        return [[("waiting for the first sample", DIM)]]
    lines: list[Line] = [[(words.cut(row.question, width), BOLD)]]
    spoken = _spoken(board.text, width, min(MOST_TEXT, room - 5)) if board.text else []
    space = min(MOST_VOTES, room - 2 - len(spoken))
    lines += _tally(row.standing, width, max(0, space), glyphs)
    lines.append([(_fit(_verdict(row, glyphs), width, glyphs), "")])
    return (lines + spoken)[:room]


def _tally(standing: Standing, width: int, space: int, glyphs: Glyphs) -> list[Line]:
    """A bar for each answer: as long as its votes weigh, with how many there are."""
    shown = counts(standing)[:space]
    if not shown:
        return []
    label = min(max(cell_len(words.short(answer)) for answer, _ in shown) + 2, max(8, width // 3))
    told = [f" {words.count(votes, 'vote')}" for _, votes in shown]
    if label + LEAST_BAR + max(map(len, told)) > width:
        told = [f" {votes:,}" for _, votes in shown]
    bar = max(0, min(40, width - label - max(map(len, told))))
    weights = [weight for _, weight in standing.votes]
    lines: list[Line] = []
    for place, ((answer, _), weight, votes) in enumerate(zip(shown, weights, told, strict=False)):
        style = GOOD if place == 0 else DIM
        text = _cell(words.short(answer), label - 1, True, glyphs) + " "
        filled = min(bar, max(1, round(bar * weight / max(weights)))) if max(weights) else 0
        lines.append([(text, BOLD if place == 0 else ""), (glyphs.full * filled, style), (votes, "")])
    return lines


def _verdict(row: Row, glyphs: Glyphs) -> str:
    standing = row.standing
    running = f", {standing.pending} running" if standing.pending else ""
    parts = [f"{words.count(standing.samples, 'sample')}{running}", words.count(row.tokens, "token")]
    if standing.votes:
        parts.insert(0, f"leads {race(standing)}")
    if row.unanswered:
        parts.append(f"{row.unanswered:,} without an answer")
    return f" {glyphs.middle} ".join(parts)


def _spoken(text: str, width: int, most: int) -> list[Line]:
    """The end of the running text, cut into lines that fit."""
    lines: list[str] = []
    for line in plain_lines(text[-(most + 1) * width :]).split("\n") if most > 0 else ():
        lines += chop_cells(line, max(1, width - 2)) or [""]
    return [[(f"  {line}", DIM)] for line in lines[-most:]] if most > 0 else []


# Below both


def _budget(board: Board, width: int, glyphs: Glyphs) -> Line:
    assert board.started is not None
    spent, budget = board.step.spent if board.step else 0, board.started.budget
    text = f" {spent:,} of {budget:,} tokens"
    if width < len(text) + 8:
        return [(_fit(text.strip(), width, glyphs), "")]
    cells = width - len(text) - 1
    filled = min(cells, round(cells * spent / budget)) if budget else 0
    return [(glyphs.full * filled, BUSY), (glyphs.empty * (cells - filled), DIM), (text, "")]


def _totals(board: Board, reading: Reading, width: int, glyphs: Glyphs) -> list[Line]:
    """What the run has come to, the most important first; what does not fit is left out."""
    assert board.started is not None
    step, questions = board.step, board.started.questions
    settled = max(step.settled if step else 0, board.settled)
    parts = [] if questions == 1 else [f"{settled:,} of {questions:,} settled"]
    if board.answered - board.settled > 0 and questions > 1:
        parts.append(f"{board.answered:,} done")
    if reading.speed is not None:
        parts.append(f"{reading.speed:,.0f} tokens/s")
    if reading.left is not None:
        parts.append(f"{'about' if reading.sure else 'at most'} {words.roughly(reading.left)} to go")
    if step:
        parts += [f"{board.started.budget - step.spent:,} left", f"chains {step.chain_share:.0%}"]
    between = f" {glyphs.middle} "
    while len(parts) > 1 and cell_len(between.join(parts)) > width:
        parts.pop()
    return [[(_fit(between.join(parts), width, glyphs), "")]] if parts else []


def _meter(share: float, cells: int, glyphs: Glyphs) -> str:
    filled = round(cells * min(1.0, max(0.0, share)))
    return glyphs.full * filled + glyphs.empty * (cells - filled)


def _fit(text: str, cells: int, glyphs: Glyphs) -> str:
    """At most this wide; what is cut off is shown as cut off."""
    if cell_len(text) <= cells:
        return text
    mark = glyphs.dots[:cells]
    return set_cell_size(text, max(0, cells - len(mark))) + mark


def _cell(text: str, cells: int, right: bool, glyphs: Glyphs = FINE) -> str:
    """Exactly this wide, with a gap after text that is flush left."""
    text = _fit(text, cells if right else cells - 1, glyphs)
    gap = " " * (cells - cell_len(text))
    return gap + text if right else text + gap
