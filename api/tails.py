"""Who waits for new events of which tenant: a wake-up, never the events themselves."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from quorate.eventlog.recorded import Recorded

STREAMS_MAX = 1_000


class TooManyStreams(Exception):
    """Every place is taken."""


class Tails:
    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._count = 0
        self.closing = False

    @contextmanager
    def tail(self, tenant: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever something of the tenant was committed."""
        if self._count >= STREAMS_MAX or self.closing:
            raise TooManyStreams
        woken = asyncio.Event()
        self._waiting.setdefault(tenant, set()).add(woken)
        self._count += 1
        try:
            yield woken
        finally:
            self._count -= 1
            self._waiting[tenant].discard(woken)
            if not self._waiting[tenant]:
                del self._waiting[tenant]

    def wake(self, rows: Sequence[Recorded]) -> None:
        if self._waiting:
            for tenant in {row.tenant for row in rows} & self._waiting.keys():
                for woken in self._waiting[tenant]:
                    woken.set()

    def close(self) -> None:
        """Let every stream notice that the service ends."""
        self.closing = True
        for waiting in self._waiting.values():
            for woken in waiting:
                woken.set()
