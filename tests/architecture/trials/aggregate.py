"""Run in a copy of the repository that has the aggregate of CONTRIBUTING.md."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson

from quorate.domain.registry import COMMANDS
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.rebuild import check
from tests.conformance.eventlog.conformance import TENANT
from tests.conformance.projections.projection_stage import open_stage
from tests.unit.support.sample_commands import KIM, TENANT_KEY

HOUR = 3_600_000


async def main(folder: Path) -> None:
    async with open_stage("sqlite", folder) as stage:
        until = Timestamp(stage.clock.now + HOUR)
        pause = COMMANDS["PauseContact"](
            caller=TENANT_KEY, contact=KIM, until=until, new_pause_id="pause-1"
        )
        assert await stage.types() == []
        for _ in range(2):  # The second command loads the pause that the first one stored.
            await stage.submit(pause)
        assert await stage.types() == ["ContactPaused"]
        assert await stage.find_due() == []

        stage.clock.move(hours=1)
        (overdue,) = await stage.find_due()
        await stage.submit(overdue.command, tenant=TENANT)
        assert await stage.types() == ["ContactPaused", "PauseEnded"]
        later: Any = COMMANDS["PauseContact"](
            caller=TENANT_KEY, contact=KIM, until=Timestamp(until + HOUR), new_pause_id="pause-2"
        )
        await stage.submit(later)
        assert orjson.loads((await stage.events())[-1].data)["pauseId"] == "pause-2"

        scratch = SqliteDatabase(folder / "scratch.db")
        await scratch.open()
        try:
            found = await check(stage.database, scratch)
        finally:
            await scratch.close()
        assert found.differences.count == 0, found.differences.listed
    sys.stdout.write("passed\n")


with tempfile.TemporaryDirectory() as name:
    asyncio.run(main(Path(name)))
