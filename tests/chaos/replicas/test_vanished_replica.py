"""A replica that falls silent without closing anything, as a machine that vanished, is asked for
nothing more after a few seconds; until then whoever asked it asks again, and nobody is refused.

It waits for as long as NATS does, so only the long run does it: QUORATE_REPLICA_ROUNDS=20.
"""

import time
from pathlib import Path

import pytest

from quorate.bus.embedded.configuration import PING_SECONDS, PINGS_UNANSWERED_MAX
from quorate.client import Agent
from quorate.client.transports.nats import ANSWER_SECONDS_MAX
from tests.chaos.replicas.test_replicas_under_faults import QUICK_ROUNDS, ROUNDS
from tests.e2e.service.http_clients import speaking_to
from tests.e2e.service.replicas import Replicas
from tests.support.postgres import PostgresServer

DROPPED_SECONDS = PING_SECONDS * (PINGS_UNANSWERED_MAX + 2)  # With the pause before the first.
SETTLED_SECONDS = 5.0


@pytest.mark.skipif(ROUNDS == QUICK_ROUNDS, reason="only in the long run: it waits for 25 s")
async def test_commands_over_nats_find_the_others(tmp_path: Path, postgres: PostgresServer) -> None:
    replicas = Replicas(tmp_path, postgres.database_url(), 2)
    try:
        replicas.start()
        silent, other = replicas.all
        async with speaking_to(other) as operator:
            tenant = await operator.tenant()
            key = (await tenant.issue("agent", "ann")).text
            async with Agent.connect(other.url, key, name="ann", nats_url=other.nats_url) as agent:
                silent.pause()
                took = await _taking_contacts(agent, DROPPED_SECONDS + SETTLED_SECONDS)
                silent.resume()
            assert await tenant.events("LeaseExpired") == []
    finally:
        replicas.end()
    waited = [began for began, seconds in took if seconds > ANSWER_SECONDS_MAX]
    assert waited != [], "it was never asked"
    assert max(waited) < DROPPED_SECONDS


async def _taking_contacts(agent: Agent, seconds: float) -> list[tuple[float, float]]:
    """When each was begun, and how long it took; raises what the agent is refused."""
    began_at = time.monotonic()
    took: list[tuple[float, float]] = []
    while (began := time.monotonic() - began_at) < seconds:
        async with agent.lease(f"user{len(took)}@example.com"):
            pass
        took.append((began, time.monotonic() - began_at - began))
    return took
