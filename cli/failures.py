"""How a verb ends when it cannot do its work: one sentence on stderr, and a code for scripts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

ERROR = 1
USAGE = 2
UNAUTHORIZED = 4
NOT_FOUND = 5
UNAVAILABLE = 6


class Failure(click.ClickException):
    """Whatever stands in the way, in words that the person at the terminal can act on."""

    def __init__(self, message: str, exit_code: int = ERROR) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click means it to be overridden.

    def show(self, file: Any = None) -> None:  # noqa: ANN401 - click's own signature.
        click.echo(f"Error: {self.message.rstrip('.')}.", err=True, file=file)


@contextmanager
def calls() -> Iterator[None]:
    """Inside, a call that fails ends the verb with the code that fits."""
    from quorate.client.failures import CallFailed, NotFound, Unauthorized, Unavailable

    codes = {Unauthorized: UNAUTHORIZED, NotFound: NOT_FOUND, Unavailable: UNAVAILABLE}
    try:
        yield
    except CallFailed as failed:
        raise Failure(str(failed), codes.get(type(failed), ERROR)) from failed
