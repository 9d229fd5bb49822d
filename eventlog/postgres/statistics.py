"""What PostgreSQL knows of its tables, kept up with their growth.

Its own autovacuum looks once a minute, and a minute after the first start a log may hold hundreds
of thousands of events, which plans for an empty table would walk through. A table of a few dozen
rows may be walked through as well, for each of the commands in a batch. So whoever serves has a
table analysed as soon as it has doubled. One process at a time does; that more do is no harm.
"""

import asyncio
from contextlib import suppress
from typing import Any, NoReturn

import asyncpg
import structlog

from quorate.eventlog.postgres.connection import CONNECTION_ERRORS

CHECK_SECONDS = 1.0
PAGES_MIN = 16
ROWS_MIN = 16  # A smaller table costs nothing, whatever the plan.
_GROWN = f"""
SELECT quote_ident(pg_class.relname)
FROM pg_class LEFT JOIN pg_stat_user_tables AS counted ON counted.relid = oid
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
AND (
    pg_relation_size(oid) / current_setting('block_size')::int > greatest(2 * relpages, {PAGES_MIN})
    OR counted.n_live_tup > greatest(2 * reltuples, {ROWS_MIN})
)
AND pg_has_role(relowner, 'USAGE') AND pg_try_advisory_xact_lock(oid::bigint)
"""  # noqa: S608 - a number of ours.
_logger = structlog.get_logger(__name__)


async def analyse_grown(connection: Any) -> list[str]:  # noqa: ANN401 - asyncpg has no types.
    """Analyse the tables that have doubled since it was last done; their names."""
    grown = [row[0] for row in await connection.fetch(_GROWN)]
    for table in grown:
        await connection.execute(f"ANALYZE {table}")
    return grown


async def keep_analysed(readers: asyncpg.Pool) -> NoReturn:
    """Ends by being cancelled."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        with suppress(*CONNECTION_ERRORS):
            async with readers.acquire() as connection:
                if grown := await analyse_grown(connection):
                    _logger.info("database.analysed", tables=grown)
