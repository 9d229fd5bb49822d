"""Grants with an end in stores without rules: Redis and a table of PostgreSQL, if installed.

Both are durable: Redis syncs its log for each write, PostgreSQL for each commit. Each grant is of
another contact, so none is refused, as in the row of Quorate.
"""

import asyncio
import os
import re
import shutil
from pathlib import Path

from quorate.bench.postgres import (
    DATABASE,
    LOOPBACK,
    PASSWORD,
    USER,
    NotInstalled,
    PostgresServer,
    find_programs,
)
from quorate.bench.processes import process, wait_until_listening
from quorate.bench.report import REDIS, UPSERT, Row
from quorate.bench.scenarios import free_port
from quorate.bench.wrk import CONNECTIONS

LEASE_SECONDS = 60
CONTACTS = 10_000_000
REDIS_REQUESTS_PER_SECOND = 10_000  # How many are sent for each second of the duration.
_REDIS_RATE = re.compile(r"([\d.]+) requests per second")
_PGBENCH_RATE = re.compile(r"tps = ([\d.]+)")
_TABLE = "CREATE TABLE leases (contact bigint PRIMARY KEY, agent text, ends_at timestamptz)"
_GRANT = """
\\set contact random(1, :contacts)
INSERT INTO leases VALUES (:contact, 'agent-1', now() + interval '1 s' * :seconds)
ON CONFLICT (contact) DO UPDATE SET agent = excluded.agent, ends_at = excluded.ends_at
WHERE leases.ends_at < now();
"""


async def redis(folder: Path, seconds: float) -> list[Row]:
    if shutil.which("redis-server") is None or shutil.which("redis-benchmark") is None:
        return [Row(name=REDIS, unit="grants/s", value=None, note="Redis is not installed")]
    port = free_port()
    options = ["--port", str(port), "--dir", str(folder), "--save", ""]
    durable = ["--appendonly", "yes", "--appendfsync", "always"]
    log = folder / "redis.log"
    async with process(["redis-server", *options, *durable], log) as child:
        await wait_until_listening(port, child, log)
        grant = ["SET", "contact:__rand_int__", "agent-1", "NX", "EX", str(LEASE_SECONDS)]
        count = round(seconds * REDIS_REQUESTS_PER_SECOND)
        clients = ["-c", str(CONNECTIONS), "-n", str(count), "-r", str(CONTACTS)]
        output = await _run("redis-benchmark", "-p", str(port), "-q", *clients, *grant)
    found = _REDIS_RATE.findall(output)
    return [Row(name=REDIS, unit="grants/s", value=float(found[-1]), note="SET NX EX")]


async def upsert(folder: Path, seconds: float) -> list[Row]:
    programs = find_programs()
    if programs is None or not (programs / "pgbench").exists():
        return [Row(name=UPSERT, unit="grants/s", value=None, note="pgbench is not installed")]
    script = folder / "grant.sql"
    script.write_text(_GRANT, "utf-8")
    try:
        server = PostgresServer()
    except NotInstalled as error:
        return [Row(name=UPSERT, unit="grants/s", value=None, note=str(error))]
    try:
        server.start()
        server.run_sql(_TABLE)
        clients = ["-n", "-c", str(CONNECTIONS), "-j", "1", "-T", str(round(seconds))]
        clients += ["-D", f"contacts={CONTACTS}", "-D", f"seconds={LEASE_SECONDS}"]
        database = ["-h", LOOPBACK, "-p", str(server.port), "-U", USER, DATABASE]
        output = await _run(str(programs / "pgbench"), *clients, "-f", str(script), *database)
    finally:
        server.remove()
    found = _PGBENCH_RATE.findall(output)
    return [Row(name=UPSERT, unit="grants/s", value=float(found[-1]), note="INSERT ON CONFLICT")]


async def _run(*command: str) -> str:
    environment = {**os.environ, "PGPASSWORD": PASSWORD}
    child = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await child.communicate()
    text = output.decode()
    if child.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{text}")
    return text
