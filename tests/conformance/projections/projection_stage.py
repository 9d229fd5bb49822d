"""A stage with an event log, its projections and their queries, on every supported database."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from quorate.eventlog.envelopes import Accepted
from quorate.projections.deadlines import DueAggregates, OverdueInstance
from quorate.projections.notifications import NotificationQueries
from quorate.projections.queries import Reader
from tests.conformance.eventlog.conformance import PLATFORMS, Stage

DATABASES = sorted(PLATFORMS)
RETENTION_HOURS = 1.0


class ProjectionStage(Stage):
    """The event log stage with queries; deadlines are recorded only when a test does so."""

    def _build(self) -> None:
        super()._build()
        self.reader = Reader(self.log, self.clock)
        self.notifications = NotificationQueries(
            self.log, self.clock, retention_hours=RETENTION_HOURS
        )
        self.due_aggregates = DueAggregates(self.log)

    async def find_due(self) -> Sequence[OverdueInstance]:
        return await self.due_aggregates.find(self.clock.now)

    async def record_due(self) -> None:
        """Record all passed deadlines, like one run of the deadline scheduler."""
        for overdue in await self.find_due():
            answer = await self.submit(overdue.command, tenant=overdue.tenant)
            assert isinstance(answer, Accepted)


@asynccontextmanager
async def open_stage(database: str, folder: Path) -> AsyncIterator[ProjectionStage]:
    stage = ProjectionStage(PLATFORMS[database](folder))
    await stage.open()
    try:
        yield stage
    finally:
        await stage.close()
