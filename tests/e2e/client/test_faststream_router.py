"""The FastStream router delivers every notification once and in order, across restarts."""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from faststream import FastStream
from faststream.nats import NatsBroker
from nats.errors import Error as NatsError

from quorate.client import (
    ConsensusRequested,
    Gap,
    LeaseConflict,
    Notification,
    NotificationData,
)
from quorate.client.faststream import CursorStore, FileCursor, MemoryCursor, NotificationRouter
from tests.e2e.client.agent_fleet import restartable_service
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import ServiceProcess

# nats-py 2.16 does not close the socket of a lost connection.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(90),
]


@pytest.fixture(autouse=True)
def _collect_lost_connections() -> Iterator[None]:
    """Collect them here, where their warning is ignored."""
    yield
    gc.collect()


class Application:
    """A FastStream application that records the notifications of one agent."""

    def __init__(self, router: NotificationRouter, nats_url: str) -> None:
        self.received: list[Notification] = []
        self.router = router
        self.broker = router.make_broker(nats_url, logger=None)
        router.on(NotificationData)(self._record)

    async def _record(self, data: NotificationData, notification: Notification) -> None:
        assert data is notification.data
        self.received.append(notification)

    @property
    def proposals(self) -> list[str]:
        data = [one.data for one in self.received]
        return [one.request_id for one in data if isinstance(one, ConsensusRequested)]

    async def wait_for(self, request_id: str) -> None:
        await wait_until(lambda: request_id in self.proposals)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        app = FastStream(self.broker, logger=None)
        async with self.router.lifespan():
            await app.start()
            try:
                yield
            finally:
                await app.stop()


async def make_application(
    service: ServiceProcess, tenant: Tenant, cursor: CursorStore | None = None
) -> Application:
    key = await tenant.issue("agent", "watcher")
    router = await asyncio.to_thread(
        NotificationRouter.for_key, service.url, key.text, cursor=cursor
    )
    return Application(router, service.nats_url)


async def propose(tenant: Tenant, agent_id: str) -> str:
    return str((await tenant.propose(agent_id))["id"])


async def test_handlers_receive_typed_data(service: ServiceProcess, tenant: Tenant) -> None:
    application = await make_application(service, tenant)
    conflicts: list[LeaseConflict] = []

    @application.router.on(LeaseConflict, Gap)
    async def on_conflict(data: LeaseConflict | Gap) -> None:
        assert isinstance(data, LeaseConflict)
        conflicts.append(data)

    rival = await tenant.create_agent("rival")
    holder = await tenant.create_agent("watcher")
    async with application.running():
        await tenant.lease(holder.id, "user@example.com")
        await tenant.acquire(rival.id, "user@example.com")
        await wait_until(lambda: bool(conflicts))

    assert conflicts[0].agent_name == "rival"
    assert conflicts[0].contact_email == "user@example.com"


async def test_failing_handler_does_not_stop_the_delivery(
    service: ServiceProcess, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    application = await make_application(service, tenant)

    @application.router.on(ConsensusRequested)
    async def fail(proposal: ConsensusRequested) -> None:
        raise RuntimeError(proposal.request_id)

    proposer = await tenant.create_agent("proposer")
    async with application.running():
        first = await propose(tenant, proposer.id)
        second = await propose(tenant, proposer.id)
        await application.wait_for(second)

    assert application.proposals == [first, second]
    assert first in caplog.text


async def test_cursor_of_another_log_delivers_nothing_and_is_logged(
    service: ServiceProcess, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    application = await make_application(service, tenant, MemoryCursor(1, log_id="another"))
    proposer = await tenant.create_agent("proposer")
    async with application.running():
        await propose(tenant, proposer.id)
        await wait_until(lambda: "another log" in caplog.text)

    assert application.received == []


async def test_cursor_is_stored_with_the_log_id(
    service: ServiceProcess, tenant: Tenant, tmp_path: Path
) -> None:
    cursor = FileCursor(tmp_path / "cursor")
    application = await make_application(service, tenant, cursor)
    proposer = await tenant.create_agent("proposer")
    async with application.running():
        await application.wait_for(await propose(tenant, proposer.id))

    assert await cursor.load_log_id()


async def test_new_process_continues_after_the_stored_cursor(
    service: ServiceProcess, tenant: Tenant, tmp_path: Path
) -> None:
    cursor = FileCursor(tmp_path / "cursor")
    proposer = await tenant.create_agent("proposer")
    before = await make_application(service, tenant, cursor)
    async with before.running():
        first = await propose(tenant, proposer.id)
        await before.wait_for(first)
    missed = [await propose(tenant, proposer.id) for _ in range(3)]

    after = await make_application(service, tenant, cursor)
    async with after.running():
        last = await propose(tenant, proposer.id)
        await after.wait_for(last)

    assert before.proposals == [first]
    assert after.proposals == [*missed, last]


async def test_restarts_of_service_and_nats_lose_nothing(data_dir: Path) -> None:
    async with restartable_service(data_dir) as (service, operator):
        tenant = await operator.create_tenant()
        proposer = await tenant.create_agent("proposer")
        application = await make_application(service, tenant)
        expected = []
        async with application.running():
            for _ in range(2):
                expected.append(await propose(tenant, proposer.id))
                await application.wait_for(expected[-1])
                service.end()
                service.start()
                expected.append(await propose(tenant, proposer.id))
                await application.wait_for(expected[-1])
            for pid in service.nats_servers():
                os.kill(pid, signal.SIGKILL)
            expected += [await propose(tenant, proposer.id) for _ in range(5)]
            await application.wait_for(expected[-1])
            await wait_until(application.router._broker_connection.is_usable)

    assert application.proposals == expected
    sequences = [one.sequence for one in application.received]
    assert sequences == sorted(set(sequences))


async def test_closed_client_is_replaced(service: ServiceProcess, tenant: Tenant) -> None:
    """nats-py gives up after a rejected login; FastStream 0.7.8 does not notice."""
    application = await make_application(service, tenant)
    proposer = await tenant.create_agent("proposer")
    async with application.running():
        await wait_until(application.router._broker_connection.is_usable)
        client = application.broker._connection
        assert client is not None
        await client.close()
        await application.wait_for(await propose(tenant, proposer.id))
        await wait_until(application.router._broker_connection.is_usable)

        assert application.broker._connection is not client
        await application.wait_for(await propose(tenant, proposer.id))


async def test_router_works_with_a_broker_of_the_application(
    service: ServiceProcess, tenant: Tenant
) -> None:
    application = await make_application(service, tenant)
    router = application.router
    application.broker = NatsBroker(service.nats_url, logger=None, **router.broker_options())
    application.broker.include_router(router)
    proposer = await tenant.create_agent("proposer")
    async with application.running():
        await application.wait_for(await propose(tenant, proposer.id))
        await wait_until(router._broker_connection.is_usable)


async def test_key_is_not_sent_over_plain_text_to_a_tls_address(
    service: ServiceProcess, tenant: Tenant
) -> None:
    application = await make_application(service, tenant)
    tls_url = service.nats_url.replace("nats://", "tls://")
    broker = application.router.make_broker(
        tls_url, logger=None, allow_reconnect=False, max_reconnect_attempts=1
    )

    with pytest.raises(NatsError):
        await broker.start()


async def test_key_is_not_shown(service: ServiceProcess, tenant: Tenant) -> None:
    application = await make_application(service, tenant)

    assert application.router._api_key not in repr(application.router)


async def test_cursor_stores(tmp_path: Path) -> None:
    for store in (MemoryCursor(), FileCursor(tmp_path / "cursor")):
        assert await store.load() is None
        await store.save(17)
        assert await store.load() == 17
