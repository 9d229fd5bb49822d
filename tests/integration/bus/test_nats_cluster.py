"""A cluster of three nats-servers: every server works, and one of them may fail.

Agents connected to a failed server connect to another one and catch up as after any outage. Agents
connected to the other servers must not be affected.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from nats.errors import Error as NatsError

from quorate.bus.embedded.cluster_configuration import Tls
from quorate.bus.embedded.configuration import service_keys
from quorate.bus.outbox.jetstream_stream import STREAM
from quorate.bus.service import FOLDER, NatsService
from quorate.client.transports.nats import NatsAddress, NatsTransport
from quorate.domain.identity.principals import Principal
from tests.integration.bus.cluster import SERVERS, NatsCluster
from tests.integration.bus.stage import (
    ANN,
    REVOKED,
    TENANT,
    WAIT_SECONDS_MAX,
    Listener,
    Stage,
    ids,
    until,
)

LOAD_PAUSE_SECONDS = 0.005
# A server needs seconds to rejoin; QUORATE_CLUSTER=full kills each of them.
KILLED = range(SERVERS if os.environ.get("QUORATE_CLUSTER") == "full" else 1)


class ClusterStage(Stage):
    """A stage with the NATS service on a separate cluster."""

    def __init__(self, folder: Path, *, tls: Tls | None = None) -> None:
        self.cluster = NatsCluster(folder / "cluster", service_keys(folder / FOLDER), tls=tls)
        super().__init__(folder)

    def create_nats_service(self) -> NatsService:
        return NatsService(
            data_dir=self.folder,
            authenticate=self.keys.authenticate,
            committed=self.log,
            nats_url=self.cluster.url,
            find_active_keys=self.keys.find_active_keys,
            stream_replicas=SERVERS,
        )

    async def listeners(
        self, principal: Principal, *, but: int | None = None
    ) -> Sequence[Listener]:
        """One at each server, who stays away when it dies; all have heard something.

        Servers tell each other who listens, and who answers for logins, in their own time.
        """
        there = [await self._at(each, principal) for each in range(SERVERS) if each != but]
        while not all(listener.received for listener in there):
            self.nats_service.wake([self.log.append_revocation(ANN)])
            await asyncio.sleep(LOAD_PAUSE_SECONDS)
        return there

    async def _at(self, number: int, principal: Principal) -> Listener:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while True:
                listener = self.new_listener()
                with suppress(NatsError, TimeoutError):
                    await listener.connect(self.cluster.urls[number], principal.key_id)
                    return await listener.subscribe(f"quorate.{TENANT}.agent.{ANN}.>")

    async def commit_every_few_milliseconds(self) -> None:
        while True:
            self.nats_service.wake([self.log.append_revocation(ANN)])
            await asyncio.sleep(LOAD_PAUSE_SECONDS)


@asynccontextmanager
async def agents_link(url: str, key: str) -> AsyncIterator[NatsTransport]:
    """The SDK's transport of an agent, after its first attempts to connect."""
    link = NatsTransport(
        NatsAddress(url=url, api_key=key, tenant_id=TENANT, agent_id=ANN, reader=ANN)
    )
    work = asyncio.create_task(link.run())
    try:
        await link.wait_for_first_round(WAIT_SECONDS_MAX)
        yield link
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


@asynccontextmanager
async def started(stage: ClusterStage) -> AsyncIterator[ClusterStage]:
    try:
        await stage.cluster.start()
        await stage.nats_service.start()
        yield stage
    finally:
        try:
            await stage.close()
        finally:
            stage.cluster.stop()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ClusterStage]:
    async with started(ClusterStage(tmp_path)) as stage:
        yield stage


async def test_every_server_authenticates_delivers_and_disconnects(
    stage: ClusterStage,
) -> None:
    key = stage.keys.issue("agent", TENANT, ANN)
    listeners = await stage.listeners(key)

    row = stage.log.append_revocation(ANN)
    stage.nats_service.wake([row])
    for listener in listeners:
        await until(lambda received=listener: row.id in received.ids(REVOKED))  # type: ignore[misc]

    del stage.keys.principals[key.key_id]
    await stage.nats_service.disconnect(key.key_id)
    for listener in listeners:
        await until(lambda gone=listener: gone.client.is_closed)  # type: ignore[misc]


async def test_mirror_is_replicated_with_each_event_at_its_position(
    stage: ClusterStage,
) -> None:
    rows = [stage.log.append_revocation(ANN) for _ in range(50)]
    stage.nats_service.wake(rows)

    await until(lambda: stage.stream_holds(rows))
    jetstream = await stage.jetstream()
    held = (await jetstream.stream_info(STREAM)).cluster
    assert held is not None
    assert held.replicas is not None
    assert {held.leader, *(each.name for each in held.replicas)} == {"nats-1", "nats-2", "nats-3"}


async def test_agent_fails_over_to_another_server(stage: ClusterStage) -> None:
    key = stage.keys.issue("agent", TENANT, ANN)
    await stage.listeners(key)
    async with agents_link(stage.cluster.url, key.key_id) as link:
        first = link.session
        assert first is not None
        left = stage.cluster.number_of(first.client)

        stage.cluster.kill(left)
        await first.lost.wait()
        await until(lambda: link.session is not None)

        assert link.session is not None
        assert stage.cluster.number_of(link.session.client) != left


async def test_notifications_continue_while_a_server_is_restarted(
    stage: ClusterStage,
) -> None:
    key = stage.keys.issue("agent", TENANT, ANN)
    load = asyncio.create_task(stage.commit_every_few_milliseconds())
    try:
        for number in KILLED:
            others = await stage.listeners(key, but=number)
            since = len(stage.log.rows)
            stage.cluster.kill(number)
            await stage.grown(20)
            rows = ids(stage.log.rows[since:])
            for listener in others:
                await until(lambda at=listener, last=rows[-1]: last in at.ids(REVOKED))  # type: ignore[misc]
                received = listener.ids(REVOKED)
                assert received[received.index(rows[0]) :][: len(rows)] == rows
            await stage.cluster.start(number)
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)

    await until(lambda: stage.stream_holds(stage.log.rows))
