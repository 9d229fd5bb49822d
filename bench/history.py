"""Write the event log of a busy tenant through the command bus."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from quorate.domain.coordination import consensus, lease_grants, leases
from quorate.domain.identity import agents, tenants
from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import CommandEnvelope
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.ids import Uuid7
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.migrations.schema import SCHEMA
from quorate.projections.state_store import SqlStateStore

TENANT = "default"
AGENTS = 400
BATCH_SIZE = 500
START = Timestamp(1_790_000_000_000)
STEP_MILLISECONDS = 2_000
HEARTBEATS_PER_ROUND = 6
WINDOW_SECONDS = 300
DAY_MINUTES = 24 * 60
DAY_SECONDS = DAY_MINUTES * 60
LIVE_SECONDS = DAY_SECONDS // 2
BATCHES_MORE = 5  # Than those of agents and leases, at most.
PRINCIPAL = Principal(key_id="bench", role="tenant", tenant=TENANT)
_NEW_ID = Uuid7()


async def write_history(path: Path, events: int, *, unreleased_every: int = 3) -> int:
    """Write about ``events`` events of the past; return their number.

    Every ``unreleased_every``-th lease is not released and expires. With 0, all are released.
    """
    async with _open_bus(path, START, STEP_MILLISECONDS) as (log, bus):
        commands = _daily_commands(unreleased_every)
        while await log.committed_head() < events:
            await _submit(bus, itertools.islice(commands, BATCH_SIZE))
        return await log.committed_head()


async def write_live_leases(path: Path, leases_held: int) -> None:
    """Write leases that expire in a day, of agents that stay active for as long.

    They were granted in the last LIVE_SECONDS, so that no moment of the past has more events around
    it than a busy service records.
    """
    now = Timestamp(round(time.time() * MILLISECONDS_PER_SECOND))
    spread = LIVE_SECONDS * MILLISECONDS_PER_SECOND
    step = spread // (AGENTS + leases_held // BATCH_SIZE + BATCHES_MORE)
    async with _open_bus(path, Timestamp(now - spread), step, DAY_SECONDS) as (_, bus):
        for start in range(0, leases_held, BATCH_SIZE):
            numbers = range(start, min(start + BATCH_SIZE, leases_held))
            await _submit(
                bus,
                (
                    _acquire(AgentRef(name=f"agent-{n % AGENTS}"), n, _NEW_ID(now), DAY_MINUTES)
                    for n in numbers
                ),
            )


@asynccontextmanager
async def _open_bus(
    path: Path, start: Timestamp, step_milliseconds: int, window_seconds: float = WINDOW_SECONDS
) -> AsyncIterator[tuple[EventStore, CommandBus]]:
    """Open a log with a tenant and agents. Its clock advances by a step in each transaction."""
    now = itertools.count(start, step_milliseconds)
    log = EventStore(SqliteDatabase(path))
    await log.open(SCHEMA)
    bus = CommandBus(
        log,
        SqlStateStore(log.database),
        clock=lambda: Timestamp(next(now)),
        new_id=_NEW_ID,
        window_seconds=window_seconds,
    )
    bus.open()
    try:
        for command in _setup_commands():
            await bus.submit(_envelope(command))
        yield log, bus
    finally:
        await bus.close()
        await log.close()


async def _submit(bus: CommandBus, commands: Iterable[Command]) -> None:
    await asyncio.gather(*(bus.submit(_envelope(command)) for command in commands))


def _envelope(command: Command) -> CommandEnvelope:
    return CommandEnvelope(
        tenant=TENANT,
        actor=PRINCIPAL.actor,
        command_id=_NEW_ID(START),
        command=command,
        render=lambda _: b"",
    )


def _setup_commands() -> Iterator[Command]:
    yield tenants.CreateTenant(tenant_id=TENANT)
    for number in range(AGENTS):
        yield agents.RegisterAgent(
            caller=PRINCIPAL,
            agent_name=f"agent-{number}",
            agent_role="outbound",
            new_agent_id=f"agent_{_NEW_ID(START)}",
        )


def _daily_commands(unreleased_every: int) -> Iterator[Command]:
    """Yield heartbeats, acquisitions and releases, with some conflicts and few votes."""
    for count in itertools.count():
        agent = AgentRef(name=f"agent-{count % AGENTS}")
        rival = AgentRef(name=f"agent-{(count + 1) % AGENTS}")
        for beat in range(HEARTBEATS_PER_ROUND):
            name = f"agent-{(count * HEARTBEATS_PER_ROUND + beat) % AGENTS}"
            yield agents.Heartbeat(caller=PRINCIPAL, agent=AgentRef(name=name))
        lease_id = _NEW_ID(START)
        yield _acquire(agent, count, lease_id)
        if count % 5 == 0:
            yield _acquire(rival, count, _NEW_ID(START))
        if not unreleased_every or count % unreleased_every:
            yield leases.ReleaseLease(caller=PRINCIPAL, lease_id=lease_id)
        if count % 50 == 0:
            yield from _vote(count)


def _acquire(agent: AgentRef, count: int, lease_id: str, minutes: float = 30) -> Command:
    address = f"user{count}@example.com"
    return lease_grants.AcquireLease(
        caller=PRINCIPAL,
        agent=agent,
        contact=EmailAddress(email=address, key=address),
        intent="outbound_sales",
        duration_minutes=minutes,
        new_lease_id=lease_id,
    )


def _vote(count: int) -> Iterator[Command]:
    request_id = _NEW_ID(START)
    yield consensus.RequestConsensus(
        caller=PRINCIPAL,
        agent=AgentRef(name=f"agent-{count % AGENTS}"),
        action="pause outreach",
        contact=EmailAddress(email="ceo@bigcorp.com", key="ceo@bigcorp.com"),
        reason="Fatigue scores are high",
        timeout_minutes=5,
        new_request_id=request_id,
    )
    for voter in range(3):
        yield consensus.CastVote(
            caller=PRINCIPAL,
            agent=AgentRef(name=f"agent-{(count + voter) % AGENTS}"),
            request_id=request_id,
            vote="approve",
            reason=None,
            new_vote_id=_NEW_ID(START),
        )
