"""A log, its projections, and whoever reads them, on each database there is an adapter for."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from quorate.eventlog.envelopes import Accepted
from quorate.projections.deadlines import DueAggregates, Overdue
from quorate.projections.notifications import NotificationQueries
from quorate.projections.queries import Reader
from tests.conformance.eventlog.conformance import PLATFORMS, Stage

DATABASES = sorted(PLATFORMS)
RETENTION_HOURS = 1.0


class Scene(Stage):
    """The stage of the log, with readers; nothing is settled unless a test says so."""

    def _build(self) -> None:
        super()._build()
        self.reader = Reader(self.log, self.clock)
        self.noticed = NotificationQueries(self.log, self.clock, retention_hours=RETENTION_HOURS)
        self.work = DueAggregates(self.log)

    async def due(self) -> Sequence[Overdue]:
        return await self.work.find(self.clock.now)

    async def settle(self) -> None:
        """What the timer does when it looks once."""
        for overdue in await self.due():
            answer = await self.submit(overdue.command, tenant=overdue.tenant)
            assert isinstance(answer, Accepted)


@asynccontextmanager
async def opened(database: str, folder: Path) -> AsyncIterator[Scene]:
    scene = Scene(PLATFORMS[database](folder))
    await scene.open()
    try:
        yield scene
    finally:
        await scene.close()
