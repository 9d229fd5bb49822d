"""The service that files share which want none of their own: one for all that a process runs.

Tenants keep their tests apart. A test may restart it. Where it is found dead after a file, that
file fails, and the next one gets a new service.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.service.service_process import Running

LAST_WORDS_LENGTH = 2_000


class SharedService:
    """Started when it is first asked for, in a folder of its own."""

    def __init__(self, new_folder: Callable[[], Path]) -> None:
        self._new_folder = new_folder
        self._running: Running | None = None

    @contextmanager
    def lent(self) -> Iterator[Running]:
        """To one file, or to whatever may not leave it dead."""
        running = self._running or Running(self._new_folder() / "data").start()
        self._running = running
        yield running
        if not running.runs():
            self.end()
            last_words = running.said()[-LAST_WORDS_LENGTH:]
            raise AssertionError(f"the service that files share has died:\n{last_words}")

    def end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.end()
