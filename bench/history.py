"""A log like one that a busy tenant writes, made through the door like any other."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from quorate.domain.commands import Command
from quorate.domain.coordination import consensus, leases
from quorate.domain.identity import agents, tenants
from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.api_keys import Principal
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import CommandEnvelope
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.ids import Uuid7
from quorate.eventlog.sqlite.database import SqliteBackend
from quorate.projections.migrations.schema import SCHEMA
from quorate.projections.state_store import SqlStateStore

TENANT = "default"
AGENTS = 400
AT_ONCE = 500
START = Timestamp(1_790_000_000_000)
STEP_MILLISECONDS = 2_000
HEARTBEATS_PER_ROUND = 6
WINDOW_SECONDS = 300
DAY_MINUTES = 24 * 60
CALLER = Principal(key_id="bench", role="tenant", tenant=TENANT)
_NEW_ID = Uuid7()


async def write_history(path: Path, events: int, *, kept_of: int = 3) -> int:
    """Write about ``events`` events of long ago; returns how many there are.

    Of ``kept_of`` leases one is never released, and left to run out; of 0, none is.
    """
    async with _writing(path, START, STEP_MILLISECONDS) as (log, door):
        daily_round = _days(kept_of)
        while await log.committed_head() < events:
            await _submit(door, itertools.islice(daily_round, AT_ONCE))
        return await log.committed_head()


async def write_live_leases(path: Path, leases_held: int) -> None:
    """Write leases that are live from now on for a day."""
    now = Timestamp(round(time.time() * MILLISECONDS_PER_SECOND))
    async with _writing(path, now, 0) as (_, door):
        for start in range(0, leases_held, AT_ONCE):
            some = range(start, min(start + AT_ONCE, leases_held))
            await _submit(
                door,
                (
                    _acquire(AgentRef(name=f"agent-{n % AGENTS}"), n, _NEW_ID(now), DAY_MINUTES)
                    for n in some
                ),
            )


@asynccontextmanager
async def _writing(
    path: Path, start: Timestamp, step_milliseconds: int
) -> AsyncIterator[tuple[EventStore, CommandBus]]:
    """A log with a tenant and its agents, whose clock goes on by a step with each transaction."""
    now = itertools.count(start, step_milliseconds)
    log = EventStore(SqliteBackend(path))
    await log.open(SCHEMA)
    door = CommandBus(
        log,
        SqlStateStore(log.backend),
        clock=lambda: Timestamp(next(now)),
        new_id=_NEW_ID,
        window_seconds=WINDOW_SECONDS,
    )
    door.open()
    try:
        for command in _beginning():
            await door.submit(_order(command))
        yield log, door
    finally:
        await door.close()
        await log.close()


async def _submit(door: CommandBus, commands: Iterable[Command]) -> None:
    await asyncio.gather(*(door.submit(_order(one)) for one in commands))


def _order(command: Command) -> CommandEnvelope:
    return CommandEnvelope(
        tenant=TENANT,
        actor=CALLER.actor,
        command_id=_NEW_ID(START),
        command=command,
        render=lambda _: b"",
    )


def _beginning() -> Iterator[Command]:
    yield tenants.CreateTenant(tenant_id=TENANT)
    for number in range(AGENTS):
        yield agents.RegisterAgent(
            caller=CALLER,
            agent_name=f"agent-{number}",
            agent_role="outbound",
            new_agent_id=f"agent_{_NEW_ID(START)}",
        )


def _days(kept_of: int) -> Iterator[Command]:
    """Heartbeats, a lease, now and then a rival for it, its release, and seldom a vote."""
    for count in itertools.count():
        agent = AgentRef(name=f"agent-{count % AGENTS}")
        rival = AgentRef(name=f"agent-{(count + 1) % AGENTS}")
        for beat in range(HEARTBEATS_PER_ROUND):
            name = f"agent-{(count * HEARTBEATS_PER_ROUND + beat) % AGENTS}"
            yield agents.Heartbeat(caller=CALLER, agent=AgentRef(name=name))
        lease_id = _NEW_ID(START)
        yield _acquire(agent, count, lease_id)
        if count % 5 == 0:
            yield _acquire(rival, count, _NEW_ID(START))
        if not kept_of or count % kept_of:
            yield leases.ReleaseLease(caller=CALLER, lease_id=lease_id)
        if count % 50 == 0:
            yield from _vote(count)


def _acquire(agent: AgentRef, count: int, lease_id: str, minutes: float = 30) -> Command:
    address = f"user{count}@example.com"
    return leases.AcquireLease(
        caller=CALLER,
        agent=agent,
        contact=EmailAddress(email=address, key=address),
        intent="outbound_sales",
        duration_minutes=minutes,
        new_lease_id=lease_id,
    )


def _vote(count: int) -> Iterator[Command]:
    request_id = _NEW_ID(START)
    yield consensus.RequestConsensus(
        caller=CALLER,
        agent=AgentRef(name=f"agent-{count % AGENTS}"),
        action="pause outreach",
        contact=EmailAddress(email="ceo@bigcorp.com", key="ceo@bigcorp.com"),
        reason="Fatigue scores are high",
        timeout_minutes=5,
        new_request_id=request_id,
    )
    for voter in range(3):
        yield consensus.CastVote(
            caller=CALLER,
            agent=AgentRef(name=f"agent-{(count + voter) % AGENTS}"),
            request_id=request_id,
            vote="approve",
            reason=None,
            new_vote_id=_NEW_ID(START),
        )
