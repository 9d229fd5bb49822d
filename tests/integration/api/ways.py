"""The four ways to serve the HTTP API: two paths through the service, two HTTP protocols.

A hot operation takes the fast lane, or FastAPI with ``--no-fast-lane``. ``quorate serve`` serves
the hardened protocol; any other ASGI server, here plain uvicorn, serves its own one.
"""

from contextlib import AbstractContextManager
from pathlib import Path

from quorate.domain.shared.records import record
from tests.integration.api.raw_clients import RunningService, run_service, run_uvicorn


@record
class Way:
    """One way to serve the API."""

    fast_lane: bool
    hardened: bool

    def __str__(self) -> str:
        path = "fast lane" if self.fast_lane else "FastAPI"
        return f"{path}, {'hardened' if self.hardened else 'plain uvicorn'}"

    def run(self, folder: Path) -> AbstractContextManager[RunningService]:
        if self.hardened:
            return run_service(folder, *(() if self.fast_lane else ("--no-fast-lane",)))
        return run_uvicorn(folder, QUORATE_FAST_LANE=str(self.fast_lane))


WAYS = [
    Way(fast_lane=fast_lane, hardened=hardened)
    for hardened in (True, False)
    for fast_lane in (True, False)
]
