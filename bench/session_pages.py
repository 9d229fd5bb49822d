"""Latency of one page of the history of a short and of a long session, and of a list of sessions.

Rows are written in bulk, without events: a million messages that are sent would take an hour.
"""

import math
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import insert

from quorate.bench.clients import KeyHolder, client, key_holders
from quorate.bench.processes import quorate
from quorate.bench.report import Row
from quorate.domain.sessions.presets import Preset
from quorate.domain.sessions.session_messages import TEXT_PART, SessionMessage
from quorate.domain.sessions.sessions import Session
from quorate.domain.shared.contents import SALT_BYTES
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.tables import message_bodies
from quorate.eventlog.transactions import Query
from quorate.projections.sessions.presets import PRESETS
from quorate.projections.sessions.session_messages import SESSION_MESSAGES
from quorate.projections.sessions.sessions import SESSIONS

SHORT, LONG, LONGEST = 100, 50_000, 1_000_000
SESSION_COUNT = 10_000
ROWS_PER_TRANSACTION = 10_000
PAGES = 200
WARM_UP_PAGES = 20
PAGE_LENGTH = 20
PERCENTILE = 0.99
PRESET = "observer"
BODY = b"The offer was sent, and the customer asked for a call on Monday. " * 4


async def history(folder: Path, _seconds: float) -> list[Row]:
    return await _compare_histories(folder, LONG)


async def large_history(folder: Path, _seconds: float) -> list[Row]:
    return await _compare_histories(folder, LONGEST)


async def _compare_histories(folder: Path, long: int) -> list[Row]:
    sizes = (SHORT, long)
    holder = await _holder(folder)
    await _fill(folder, holder, [(_key(size), size) for size in sizes])
    delays: list[list[float]] = [[] for _ in sizes]
    choose = random.Random(long)
    async with quorate(folder) as service, client(service, holder.key) as http:
        for number in range(WARM_UP_PAGES + PAGES):
            for size, found in zip(sizes, delays, strict=True):
                offset = choose.randrange(size - PAGE_LENGTH)
                body = {"key": _key(size), "limit": PAGE_LENGTH, "offset": offset}
                elapsed = await _call(http, "sessions_history", body, {})
                if number >= WARM_UP_PAGES:
                    found.append(elapsed)
    medians = [statistics.median(some) for some in delays]
    rows = [
        Row(
            name=f"history page of {size:,} messages",
            unit="ms",
            value=median,
            note=f"median of {PAGES} pages of {PAGE_LENGTH} anywhere",
        )
        for size, median in zip(sizes, medians, strict=True)
    ]
    name = f"history page: {sizes[1]:,} / {sizes[0]:,} messages (aim below 1.3)"
    return [*rows, Row(name=name, unit="ratio", value=medians[1] / medians[0])]


async def sessions(folder: Path, _seconds: float) -> list[Row]:
    """List sessions under a policy that shows one in ten of them."""
    holder = await _holder(folder)
    await _fill(folder, holder, [(_key(number), 0) for number in range(SESSION_COUNT)])
    delays = []
    async with quorate(folder) as service, client(service, holder.key) as http:
        for number in range(WARM_UP_PAGES + PAGES):
            body = {"limit": PAGE_LENGTH}
            elapsed = await _call(http, "sessions_list", body, {"Quorate-Preset": PRESET})
            if number >= WARM_UP_PAGES:
                delays.append(elapsed)
    delays.sort()
    return [
        Row(
            name=f"list of {SESSION_COUNT:,} sessions with a policy (aim below 50)",
            unit="ms",
            value=delays[math.ceil(PERCENTILE * len(delays)) - 1],
            note=f"p99 of {PAGES} pages of {PAGE_LENGTH}",
        )
    ]


async def _holder(folder: Path) -> KeyHolder:
    async with quorate(folder) as service:
        (holder,) = await key_holders(service, 1)
    return holder


async def _call(
    http: httpx2.AsyncClient, tool: str, body: dict[str, Any], headers: dict[str, str]
) -> float:
    started_at = time.perf_counter()
    response = await http.post(f"/v1/tools/{tool}", json=body, headers=headers)
    elapsed = time.perf_counter() - started_at
    assert response.json().get("count") == PAGE_LENGTH, response.text
    return 1_000 * elapsed


# -- Rows ----------------------------------------------------------------------


def _key(number: int) -> str:
    return f"session:{number % 10}-{number}"


async def _fill(folder: Path, holder: KeyHolder, wanted: Sequence[tuple[str, int]]) -> None:
    """Write sessions with so many messages each, and a preset."""
    database = SqliteDatabase(folder / "data" / "quorate.db")
    await database.open()
    tenant = holder.principal.tenant
    at = Timestamp(round(time.time() * MILLISECONDS_PER_SECOND))

    async def write(table: Any, rows: list[Any]) -> None:  # noqa: ANN401 - a table.
        async with database.write() as transaction:
            await transaction.write(Query(insert(table), database.dialect), rows)

    fields = {"sessions": {"key_prefix": "session:3-"}}
    preset = Preset(id=PRESET, fields=fields, updated_at=at)
    await write(PRESETS.table, [PRESETS.to_row(tenant, PRESET, preset)])
    made = [
        Session(
            id=f"ses_bench_{number}",
            key=key,
            owner_id=holder.agent_id,
            created_at=at,
            updated_at=Timestamp(at + number),
            message_count=size,
        )
        for number, (key, size) in enumerate(wanted)
    ]
    await write(SESSIONS.table, [SESSIONS.to_row(tenant, one.id, one) for one in made])
    for session in made:
        for start in range(0, session.message_count, ROWS_PER_TRANSACTION):
            numbers = range(start, min(start + ROWS_PER_TRANSACTION, session.message_count))
            messages = [_message(session, number) for number in numbers]
            rows = [SESSION_MESSAGES.to_row(tenant, one.id, one) for one in messages]
            await write(SESSION_MESSAGES.table, rows)
            salt = bytes(SALT_BYTES)
            bodies = [(tenant, one.id, TEXT_PART, salt, BODY) for one in messages]
            await write(message_bodies, bodies)
    await database.close()


def _message(session: Session, number: int) -> SessionMessage:
    return SessionMessage(
        id=f"smsg_{session.id}_{number}",
        session_id=session.id,
        index=number,
        sequence=number,
        role="user",
        part=TEXT_PART,
        sha256="0" * 64,
        bytes=len(BODY),
        created_at=session.created_at,
    )
