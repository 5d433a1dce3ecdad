"""The live view as lines of styled text: a board and a window's size in, lines out.

Owns the layout: a row a question, the votes of a single one, one bar for the budget; never more lines than the
window has, never wider than it is. Every text of a model or a question is made plain here. Pure but for the widths
of characters, which it asks of rich; knows nothing of terminals or time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from rich.cells import cell_len, set_cell_size

from dynscale_cli.display import words
from dynscale_cli.display.board import Board, Row
from dynscale_cli.display.safe import plain, plain_lines
from dynscale_cli.runs.events import Standing

Span: TypeAlias = tuple[str, str]  # text, style
Line: TypeAlias = list[Span]

DIM, BOLD, GOOD, BAD, BUSY = "dim", "bold", "green", "red", "cyan"
NARROW: Final = 24  # below this width there is no table, only the budget
ROOMY: Final = 76  # from here on the question's text has a column
METER: Final = 6  # cells of the bar of confidence
MOST_VOTES: Final = 8  # answers shown of a single question
MOST_TEXT: Final = 8  # lines shown of the running text


@dataclass(frozen=True, slots=True)
class Reading:
    """What the clock adds to a board: tokens a second and seconds left, None where not known yet."""

    speed: float | None = None
    left: float | None = None


@dataclass(frozen=True, slots=True)
class Glyphs:
    full: str
    empty: str
    dots: str
    middle: str


FINE: Final = Glyphs("━", "─", "…", "·")
ASCII: Final = Glyphs("#", "-", "...", "|")


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
    """A heading, rows, and how many there is no room for."""
    if room < 3:
        return []
    assert board.started is not None
    rows = board.chosen(min(room - 1, board.started.questions))
    hidden = board.started.questions - len(rows)
    if hidden and len(rows) > room - 2:
        rows = board.chosen(room - 2)
        hidden = board.started.questions - len(rows)
    columns = _columns(rows, width)
    lines = [[(_cell(title, size, right), DIM) for title, size, right in columns]]
    lines += [_row(row, [size for _, size, _ in columns], glyphs) for row in rows]
    return [*lines, [(_fit(f"{glyphs.dots} and {hidden:,} more", width, glyphs), DIM)]] if hidden else lines


def _columns(rows: list[Row], width: int) -> list[tuple[str, int, bool]]:
    """(title, cells, flush right); each column ends in a space or two of its own."""
    names = max([cell_len(plain(row.id)) for row in rows], default=2)
    name = min(max(4, names + 2), max(6, width // 5))
    answer = max(8, min(24, width // 4))
    columns = [("id", name, False), ("samples", 9, True), ("tokens", 9, True), ("  answer", answer + 2, False)]
    columns += [("votes", 8, True), ("  sure", METER + 8, False)]
    while sum(size for _, size, _ in columns) > width and len(columns) > 2:
        columns.pop()
    rest = width - sum(size for _, size, _ in columns)
    if len(columns) == 6 and width >= ROOMY and rest >= 12:
        columns.append(("  question", rest, False))
    return columns


def _row(row: Row, sizes: list[int], glyphs: Glyphs) -> Line:
    standing, result = row.standing, row.result
    pulls = f"{standing.samples:,}" + (f"+{standing.pending}" if standing.pending and not result else "")
    leader, leading, total = _race(row)
    style = DIM if result and result.answer is None else GOOD if result else BUSY if standing.pending else ""
    confidence = result.confidence if result else standing.confidence
    spent = result.tokens.billed if result else row.tokens
    meter = f"  {_meter(confidence, METER, glyphs)} {words.percent(confidence):>4}" if total else ""
    share = f"{words.amount(leading)}/{words.amount(total)}" if total else ""
    texts = [plain(row.id), pulls, f"{spent:,}", f"  {leader}", share, meter, f"  {plain(row.question[:800])}"]
    styles = ["", "", "", BOLD if not result else style, "", style, DIM]
    right = (False, True, True, False, True, False, False)
    return [
        (_cell(text, size, flush, glyphs), look)
        for text, size, flush, look in zip(texts, sizes, right, styles, strict=False)
    ]


def _race(row: Row) -> tuple[str, float, float]:
    """(leading answer, its votes, all votes); of a finished question, its answer."""
    if row.result:
        tally = row.result.votes
        shown = "no answer" if row.result.answer is None else words.short(row.result.answer)
        return shown, max(tally.values(), default=0.0), sum(tally.values())
    ranked = row.standing.votes
    if not ranked:
        return "", 0.0, 0.0
    return words.short(ranked[0][0]), ranked[0][1], sum(votes for _, votes in ranked)


# A single question


def _single(board: Board, width: int, room: int, glyphs: Glyphs) -> list[Line]:
    """The question, its votes as they move, and the running text if it is kept."""
    row = next(iter([*board.rows.values(), *board.recent]), None)
    if row is None:
        return [[("waiting for the first sample", DIM)]]
    lines: list[Line] = [[(_fit(plain(row.question[: 8 * width]), width, glyphs), BOLD)]]
    spoken = _spoken(board.text, width, min(MOST_TEXT, room - 5)) if board.text else []
    space = min(MOST_VOTES, room - 2 - len(spoken))
    lines += _tally(row.standing, width, max(0, space), glyphs)
    lines.append([(_fit(_verdict(row, glyphs), width, glyphs), "")])
    return (lines + spoken)[:room]


def _tally(standing: Standing, width: int, space: int, glyphs: Glyphs) -> list[Line]:
    shown = standing.votes[:space]
    if not shown:
        return []
    label = min(max(cell_len(words.short(answer)) for answer, _ in shown) + 2, max(8, width // 3))
    bar = max(4, min(40, width - label - 14))
    most = max(votes for _, votes in shown)
    lines: list[Line] = []
    for place, (answer, votes) in enumerate(shown):
        style = GOOD if place == 0 else DIM
        text = _cell(words.short(answer), label - 1, True, glyphs) + " "
        filled = max(1, round(bar * votes / most)) if most else 0
        noun = "vote" if votes == 1 else "votes"
        tally = f" {words.amount(votes)} {noun}"
        lines.append([(text, BOLD if place == 0 else ""), (glyphs.full * filled, style), (tally, "")])
    return lines


def _verdict(row: Row, glyphs: Glyphs) -> str:
    standing = row.standing
    running = f", {standing.pending} running" if standing.pending else ""
    parts = [f"{words.count(standing.samples, 'sample')}{running}", words.count(row.tokens, "token")]
    if standing.votes:
        parts.insert(0, words.sure(standing.confidence))
    if row.unanswered:
        parts.append(f"{row.unanswered:,} without an answer")
    return f" {glyphs.middle} ".join(parts)


def _spoken(text: str, width: int, most: int) -> list[Line]:
    """The end of the running text, cut into lines that fit."""
    lines: list[str] = []
    for line in plain_lines(text[-(most + 1) * width :]).split("\n") if most > 0 else ():
        lines += _wrapped(line, width - 2)
    return [[(f"  {line}", DIM)] for line in lines[-most:]] if most > 0 else []


def _wrapped(line: str, width: int) -> list[str]:
    lines, start, used = [], 0, 0
    for place, letter in enumerate(line):
        size = cell_len(letter)
        if used + size > width:
            lines.append(line[start:place])
            start, used = place, 0
        used += size
    return [*lines, line[start:]]


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
    assert board.started is not None
    step, questions = board.step, board.started.questions
    settled = max(step.settled if step else 0, board.settled)
    parts = [] if questions == 1 else [f"{settled:,} of {questions:,} settled"]
    if board.answered - board.settled > 0 and questions > 1:
        parts.append(f"{board.answered:,} done")
    if reading.speed is not None:
        parts.append(f"{reading.speed:,.0f} tokens/s")
    if step:
        parts.append(f"{board.started.budget - step.spent:,} left")
        parts.append(f"chains {step.chain_share:.0%}")
    if reading.left is not None:
        parts.append(f"about {words.clock(reading.left)} to go")
    text = f" {glyphs.middle} ".join(parts)
    return [[(_fit(text, width, glyphs), "")]] if text else []


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
