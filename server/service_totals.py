"""What the service holds in all, its disk and its last backup, for metrics.

Counted every REFRESH_SECONDS and not at each scrape: the page needs no key, so a scrape must cost
nothing. Every process reports the same totals, so alerts and dashboards use their maximum.
"""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.projections.totals import Totals, TotalsQuery
from quorate.runtime.service_defaults import LAST_BACKUP

REFRESH_SECONDS = 15.0


class ServiceTotals:
    """The last known values. ``disk`` is a directory on the disk of the database."""

    def __init__(self, query: TotalsQuery, data_dir: Path, disk: Path) -> None:
        self._query = query
        self._backup = data_dir / LAST_BACKUP
        self._disk = disk
        self.totals = Totals()

    async def run(self) -> NoReturn:
        while True:
            with suppress(DatabaseUnavailable):  # /readyz and the log report it.
                self.totals = await self._query.read()
            await asyncio.sleep(REFRESH_SECONDS)

    @property
    def disk_free_bytes(self) -> int:
        """What this user may still write; 0 if the directory is gone."""
        try:
            found = os.statvfs(self._disk)
        except OSError:
            return 0
        return found.f_bavail * found.f_frsize

    @property
    def last_backup_seconds(self) -> float:
        """Unix time of the last `quorate backup` with this data directory; 0 if there is none."""
        try:
            return self._backup.stat().st_mtime
        except OSError:
            return 0.0
