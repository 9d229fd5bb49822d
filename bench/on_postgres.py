"""Acquisitions over HTTP on PostgreSQL, with one replica and with two.

PostgreSQL runs on the same machine and shares its processors with the service and the load.
"""

from pathlib import Path

from quorate.bench import wrk
from quorate.bench.postgres import NotInstalled, PostgresServer
from quorate.bench.processes import quorate
from quorate.bench.report import Row
from quorate.bench.scenarios import AGENTS, LEASE, as_row, load, register

NAME = "durable acquisitions on PostgreSQL"
WARM_UP_SECONDS = 3  # Until its tables are large enough for their first ANALYZE.


async def acquire(folder: Path, seconds: float) -> list[Row]:
    if (reason := wrk.available()) is not None:
        return [Row(name=NAME, unit="commands/s", value=None, note=reason)]
    try:
        server = PostgresServer()
    except NotInstalled as missing:
        return [Row(name=NAME, unit="commands/s", value=None, note=str(missing))]
    try:
        server.start()
        return [await _with_workers(server, folder, seconds, count) for count in (1, 2)]
    finally:
        server.remove()


async def _with_workers(server: PostgresServer, folder: Path, seconds: float, count: int) -> Row:
    own = folder / str(count)
    own.mkdir()
    options = ("--database-url", server.database_url(), "--workers", str(count))
    async with quorate(own, *options) as service:
        await register(service, AGENTS)
        await load(service, "acquire.lua", LEASE, WARM_UP_SECONDS, AGENTS)
        result = await load(service, "acquire.lua", LEASE, seconds, AGENTS)
    replicas = "one replica" if count == 1 else f"{count} replicas"
    return as_row(f"{NAME}, {replicas}", result)
