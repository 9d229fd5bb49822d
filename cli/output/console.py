"""What verbs print: sentences and tables for people, JSON for programs.

* Which of the two is decided in one place: ``json_option`` (cli/options.py).
* Progress and remarks go to stderr, progress only to a terminal, so that stdout can be piped.
* Text that came from others may hold anything; none of it reaches the terminal as a command, as
  markup, or as a line of its own.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import click

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

ROWS_SHOWN_MAX = 100
COLUMN_WIDTH_MIN = 24  # Names, addresses and times stay in one piece; only prose is folded.
GUTTER_WIDTH = 2
IDS = "id"  # A column of this name is copied by people: it is never broken over lines.
STYLES: Mapping[str, str] = {
    "active": "green",
    "approved": "green",
    "authorized": "green",
    "pending": "yellow",
    "inactive": "red",
    "blocked": "red",
    "expired": "red",
    "rejected": "red",
    "revoked": "red",
}
# Told how much is done, and of how much when that is known.
Progress: TypeAlias = Callable[[int, int | None], None]


def name_of(file: BinaryIO) -> str:
    """What to call a file that may be a pipe."""
    return str(getattr(file, "name", "<stdin>"))


def printable(text: str) -> str:
    """Text from a log may hold anything, also what would take over the terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def clock(at: datetime) -> str:
    """To the second: nobody reads a sentence for milliseconds."""
    return f"{table_clock(at)} UTC"


def table_clock(at: datetime) -> str:
    """For a column that says once that its times are in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def span(minutes: float) -> str:
    """A length of time as one would say it: 30 min, 90 s, 2 h."""
    seconds = round(minutes * 60, 3)
    for name, length in (("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {name}"
    return f"{seconds:g} s"


# -- For programs ----------------------------------------------------------------


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can say.
    import orjson

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))


# -- For people ------------------------------------------------------------------


def say(sentence: str) -> None:
    click.echo(printable(sentence))


def remark(sentence: str) -> None:
    """What helps a person along but is not the answer."""
    click.echo(printable(sentence), err=True)


def print_facts(headline: str, facts: Mapping[str, str]) -> None:
    """One thing: a sentence, and what else is known of it, name by name."""
    say(headline)
    width = max(map(len, facts), default=0)
    for name, fact in facts.items():
        say(f"  {name:<{width}}  {fact}")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table, cut where a person would stop reading; told row by row where it is too narrow."""
    from rich.console import Console

    console = Console(highlight=False)
    if not rows:
        console.print(f"{title}: none", markup=False)
        return
    shown = rows[:ROWS_SHOWN_MAX]
    if _width_min(columns, shown) <= console.width:
        console.print(_table(title, columns, shown))
    else:
        _print_rows(title, columns, shown)
    if len(rows) > len(shown):
        remark(f"... and {len(rows) - len(shown)} more: --json lists them all.")


def _width_min(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """How narrow it may become without breaking what people copy or know by its looks."""
    widths = [_column_width_min(column, at, rows) for at, column in enumerate(columns)]
    return sum(widths) + GUTTER_WIDTH * (len(columns) - 1)


def _column_width_min(column: str, at: int, rows: Sequence[Sequence[str]]) -> int:
    from rich.cells import cell_len

    longest = max(cell_len(printable(row[at])) for row in rows)
    return max(len(column), longest if column == IDS else min(longest, COLUMN_WIDTH_MIN))


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    from rich.table import Table

    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, GUTTER_WIDTH, 0, 0),
        header_style="dim",
    )
    for at, column in enumerate(columns):
        width = _column_width_min(column, at, rows)
        table.add_column(column, overflow="fold", no_wrap=column == IDS, min_width=width)
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


def _cell(text: str) -> "Text":
    """Never markup, whatever stands in it."""
    from rich.text import Text

    return Text(printable(text), style=STYLES.get(text, ""))


def _print_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """What would not fit beside each other, below each other."""
    say(f"{title}:")
    width = max(map(len, columns))
    for row in rows:
        say("")
        for column, cell in zip(columns, row, strict=True):
            if cell:
                say(f"  {column:<{width}}  {cell}")


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A bar that moves while work is done, where somebody looks on."""
    if not sys.stderr.isatty():
        yield lambda _done, _of: None  # To load what draws it takes as long as many a verb's work.
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        *Bar.get_default_columns()[:1],
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def advance(done: int, of: int | None) -> None:
            bar.update(task, completed=done, total=of)

        yield advance
