"""Console output of the commands: text and tables for people, JSON for programs.

* ``json_option`` (cli/options.py) alone selects the format.
* Progress and hints go to stderr, progress only to a terminal, so stdout can be piped.
* Text from the log is untrusted: control characters and markup are neutralized before printing.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import click

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

OUTPUT = "quorate.cli.output"  # The key in ``ctx.meta`` of the format that ``-o`` selects.
WIDE = "wide"
YAML = "yaml"
OUTPUTS = ("table", WIDE, "json", YAML)
PROGRAM_OUTPUTS = frozenset({"json", YAML})
ROWS_SHOWN_MAX = 100
COLUMN_WIDTH_MIN = 16  # Times and most names stay on one line; longer text is folded.
GUTTER_WIDTH = 2
FULL_TIME = "%Y-%m-%d %H:%M:%S"
ID_COLUMN = "id"  # People copy ids, so this column is never folded.
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
# Called with the amount that is done and, if known, the total.
Progress: TypeAlias = Callable[[int, int | None], None]


def display_name(file: BinaryIO) -> str:
    """Return a name for messages; the file may be a pipe."""
    return str(getattr(file, "name", "<stdin>"))


def printable(text: str) -> str:
    """Replace control characters, so that untrusted text cannot control the terminal."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def format_time(at: datetime) -> str:
    """Format a UTC time to the second, for a sentence."""
    return f"{at.astimezone(UTC).strftime(FULL_TIME)} UTC"


def format_table_time(at: datetime) -> str:
    """Format a UTC time for a column whose heading names the zone: short, unless ``-o wide``."""
    at = at.astimezone(UTC)
    if output_format() == WIDE:
        return at.strftime(FULL_TIME)
    is_today = at.date() == datetime.now(UTC).date()
    return at.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M")


def format_seconds(seconds: float) -> str:
    """Format a duration with its largest whole unit: 30 min, 90 s, 2 h."""
    seconds = round(seconds, 3)
    for name, length in (("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {name}"
    return f"{seconds:g} s"


def output_format() -> str | None:
    """Return the format that ``-o`` selects for the running command; None is the default."""
    ctx = click.get_current_context(silent=True)
    chosen: str | None = None if ctx is None else ctx.meta.get(OUTPUT)
    return chosen


# -- For programs ----------------------------------------------------------------


def print_json(value: Any, *, one_line: bool = False) -> None:  # noqa: ANN401 - any JSON value.
    """Print a value as JSON, or as YAML with ``-o yaml``; ``one_line`` for items of a stream."""
    import orjson

    if output_format() == YAML:
        from quorate.cli.output.yaml_text import to_yaml

        click.echo(("---\n" if one_line else "") + to_yaml(value), nl=False)
    else:
        click.echo(orjson.dumps(value, option=0 if one_line else orjson.OPT_INDENT_2))
    if one_line:
        sys.stdout.flush()  # The reader of a pipe waits for each item.


def print_response(value: Any, *, one_line: bool = False) -> None:  # noqa: ANN401 - any JSON value.
    """Print JSON on one line, or indented at a terminal."""
    import orjson

    indented = sys.stdout.isatty() and not one_line
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 if indented else 0))
    if one_line:
        sys.stdout.flush()  # The reader of a pipe waits for each line.


# -- For people ------------------------------------------------------------------


def print_line(sentence: str) -> None:
    click.echo(printable(sentence))


def print_hint(sentence: str) -> None:
    """Print advice to stderr; it is not part of the result."""
    click.echo(printable(sentence), err=True)


def print_details(headline: str, details: Mapping[str, str]) -> None:
    """Print a sentence about one item, then its details as name and value."""
    print_line(headline)
    width = max(map(len, details), default=0)
    for name, value in details.items():
        print_line(f"  {name:<{width}}  {value}")


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    wide: Collection[str] = (ID_COLUMN,),
) -> None:
    """Print at most ``ROWS_SHOWN_MAX`` rows; on a narrow terminal as one record per row.

    The columns in ``wide`` are printed only with ``-o wide``.
    """
    from rich.console import Console

    console = Console(highlight=False)
    if not rows:
        console.print(f"{title}: none", markup=False)
        return
    shown: Sequence[Sequence[str]] = rows[:ROWS_SHOWN_MAX]
    hidden = [] if output_format() == WIDE else [one for one in columns if one in wide]
    if hidden:
        kept = [at for at, column in enumerate(columns) if column not in hidden]
        columns = [columns[at] for at in kept]
        shown = [[row[at] for at in kept] for row in shown]
    if _width_min(columns, shown) <= console.width:
        console.print(_table(title, columns, shown))
    else:
        _print_rows(title, columns, shown)
    if len(rows) > len(shown):
        print_hint(f"... and {len(rows) - len(shown)} more; --json lists all of them.")
    if hidden and console.is_terminal:
        print_hint(f"-o wide adds: {', '.join(hidden)}.")


def _width_min(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return the smallest width at which ids, names and times stay on one line."""
    widths = [_column_width_min(column, at, rows) for at, column in enumerate(columns)]
    return sum(widths) + GUTTER_WIDTH * (len(columns) - 1)


def _column_width_min(column: str, at: int, rows: Sequence[Sequence[str]]) -> int:
    from rich.cells import cell_len

    longest = max(cell_len(printable(row[at])) for row in rows)
    return max(len(column), longest if column == ID_COLUMN else min(longest, COLUMN_WIDTH_MIN))


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
        table.add_column(column, overflow="fold", no_wrap=column == ID_COLUMN, min_width=width)
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


def _cell(text: str) -> "Text":
    """Return the cell as plain text, never as markup."""
    from rich.text import Text

    return Text(printable(text), style=STYLES.get(text, ""))


def _print_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print each row as a record of names and values."""
    print_line(f"{title}:")
    width = max(map(len, columns))
    for row in rows:
        print_line("")
        for column, cell in zip(columns, row, strict=True):
            if cell:
                print_line(f"  {column:<{width}}  {cell}")


@contextmanager
def progress(description: str) -> Iterator[Progress]:
    """Show a progress bar if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None  # Importing rich takes as long as many commands run.
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
        task = bar.add_task(description, total=None)

        def advance(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance
