"""What verbs print: tables and progress for people, JSON for programs.

Progress goes to stderr, and only to a terminal, so that stdout can always be piped.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeAlias

import click

ROWS_SHOWN_MAX = 100
# Told how much is done, and of how much when that is known.
Progress: TypeAlias = Callable[[int, int | None], None]


def name_of(file: BinaryIO) -> str:
    """What to call a file that may be a pipe."""
    return str(getattr(file, "name", "<stdin>"))


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can say.
    import orjson

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table, cut where a person would stop reading."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows[:ROWS_SHOWN_MAX]:
        table.add_row(*(escape(_printable(cell)) for cell in row))
    if not rows:
        table.add_row("none", *[""] * (len(columns) - 1))
    console = Console()
    console.print(table)
    if len(rows) > ROWS_SHOWN_MAX:
        console.print(f"... and {len(rows) - ROWS_SHOWN_MAX} more: --json lists them all")


def _printable(text: str) -> str:
    """Text from a log may hold anything, also what would take over the terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A bar that moves while work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        *Bar.get_default_columns()[:1],
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def advance(done: int, of: int | None) -> None:
            bar.update(task, completed=done, total=of)

        yield advance
