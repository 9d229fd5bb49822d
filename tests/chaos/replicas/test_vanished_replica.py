"""A replica that stops responding without closing connections gets no requests after a few seconds.

Until then, agents repeat their requests and none is rejected. The test waits as long as NATS does,
so it is part of the long run only: QUORATE_REPLICA_ROUNDS=20.
"""

import time
from pathlib import Path

import pytest

from quorate.bus.embedded.configuration import PING_SECONDS, PINGS_UNANSWERED_MAX
from quorate.client import Agent
from quorate.client.transports.nats import REPLY_SECONDS_MAX
from tests.chaos.replicas.test_replicas_under_faults import QUICK_ROUNDS, ROUNDS
from tests.e2e.service.http_clients import connect_operator
from tests.e2e.service.replicas import Replicas
from tests.support.postgres import PostgresServer

DROPPED_SECONDS = PING_SECONDS * (
    PINGS_UNANSWERED_MAX + 2
)  # Includes the pause before the first ping.
SETTLED_SECONDS = 5.0


@pytest.mark.skipif(ROUNDS == QUICK_ROUNDS, reason="long run only: the test waits for 25 s")
async def test_commands_over_nats_fail_over_to_another_replica(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    replicas = Replicas(tmp_path, postgres.database_url(), 2)
    try:
        replicas.start()
        silent, other = replicas.all
        async with connect_operator(other) as operator:
            tenant = await operator.create_tenant()
            key = (await tenant.issue("agent", "ann")).text
            async with Agent.connect(other.url, key, name="ann", nats_url=other.nats_url) as agent:
                silent.pause()
                durations = await _acquire_leases(agent, DROPPED_SECONDS + SETTLED_SECONDS)
                silent.resume()
            assert await tenant.events("LeaseExpired") == []
    finally:
        replicas.end()
    waited = [started for started, seconds in durations if seconds > REPLY_SECONDS_MAX]
    assert waited != [], "the silent replica must get a request"
    assert max(waited) < DROPPED_SECONDS


async def _acquire_leases(agent: Agent, seconds: float) -> list[tuple[float, float]]:
    """Return the start and duration of each lease; raise the errors of the agent."""
    first_at = time.monotonic()
    durations: list[tuple[float, float]] = []
    while (started := time.monotonic() - first_at) < seconds:
        async with agent.lease(f"user{len(durations)}@example.com"):
            pass
        durations.append((started, time.monotonic() - first_at - started))
    return durations
