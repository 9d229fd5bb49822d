"""A service that test files share, one per test process.

Each test has its own tenants. A test may restart the service. If the service is not running after a
file, that file fails and the next file gets a new service.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.service.service_process import ServiceProcess

STDERR_LENGTH_SHOWN_MAX = 2_000


class SharedService:
    """Starts the service on first use, in a new directory."""

    def __init__(self, new_folder: Callable[[], Path]) -> None:
        self._new_folder = new_folder
        self._running: ServiceProcess | None = None

    @contextmanager
    def borrow(self) -> Iterator[ServiceProcess]:
        """Lend the service; fails if it is not running afterwards."""
        running = self._running or ServiceProcess(self._new_folder() / "data").start()
        self._running = running
        yield running
        if not running.is_running():
            self.end()
            stderr = running.read_stderr()[-STDERR_LENGTH_SHOWN_MAX:]
            raise AssertionError(f"the shared service is not running:\n{stderr}")

    def end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.end()
