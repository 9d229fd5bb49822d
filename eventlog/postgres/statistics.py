"""Run ANALYZE on tables that have doubled, so that PostgreSQL's statistics follow their growth.

* Autovacuum checks tables once a minute. A minute after the first start a log may have hundreds of
  thousands of events, and plans for an empty table would scan them all.
* A scan of a few dozen rows also costs time, because each command of a batch repeats it.
* One process at a time analyzes a table; more would be harmless.
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


async def analyze_grown(connection: Any) -> list[str]:  # noqa: ANN401 - asyncpg has no types.
    """Analyze the tables that have doubled since their last analysis; return their names."""
    grown = [row[0] for row in await connection.fetch(_GROWN)]
    for table in grown:
        await connection.execute(f"ANALYZE {table}")
    return grown


async def keep_analyzed(readers: asyncpg.Pool) -> NoReturn:
    """Check the tables every CHECK_SECONDS until cancelled."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        with suppress(*CONNECTION_ERRORS):
            async with readers.acquire() as connection:
                if grown := await analyze_grown(connection):
                    _logger.info("database.analyzed", tables=grown)
