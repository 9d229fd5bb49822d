"""G7: committed notifications are published whatever happens to nats-server; commands succeed.

While agents compete for contacts, nats-server is killed, frozen, and loses its store. A reconnected
agent receives every conflict that concerns it, at least once and in order, and no command fails.
"""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.service.http_clients import Agent, Tenant
from tests.e2e.service.nats_listener import Listener, wait_until
from tests.e2e.service.service_process import Json, ServiceProcess

# nats-py does not close the socket of a lost connection.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SERVE = ()
CONCURRENT_REQUESTS = 8
REJECTIONS_BEFORE_FAULT = 100
DELIVERY_SECONDS_MAX = 60.0


def kill_nats(service: ServiceProcess) -> None:
    (pid,) = service.nats_servers()
    os.kill(pid, signal.SIGKILL)


def delete_nats_store(service: ServiceProcess) -> None:
    """Delete the store of the running nats-server, then kill it."""
    shutil.rmtree(store_of(service), ignore_errors=True)
    kill_nats(service)
    shutil.rmtree(store_of(service), ignore_errors=True)


def store_of(service: ServiceProcess) -> Path:
    return service.data_dir / "nats" / "jetstream"


class Contention:
    """One agent holds a contact that others request repeatedly; rejections are counted."""

    def __init__(self, holder: Agent, rivals: list[Agent]) -> None:
        self.holder = holder
        self.rivals = rivals
        self.rejections = 0
        self._stopped = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.holder.lease(self.holder.id, "user@example.com")
        async with asyncio.TaskGroup() as tasks:
            for number in range(CONCURRENT_REQUESTS):
                tasks.create_task(self._request(self.rivals[number % len(self.rivals)]))
            try:
                yield
            finally:
                self._stopped = True

    async def _request(self, rival: Agent) -> None:
        while not self._stopped:
            response = await rival.acquire(rival.id, "user@example.com")
            assert response.status_code == 409, response.text
            self.rejections += 1

    async def wait_for_rejections(self) -> None:
        """Wait for further rejections: commands are executed whatever the state of NATS."""
        enough = self.rejections + REJECTIONS_BEFORE_FAULT
        await wait_until(lambda: self.rejections >= enough)


def first_received(listener: Listener) -> list[int]:
    """Return the sequences in the order of their first delivery."""
    return list(dict.fromkeys(json.loads(one.data)["sequence"] for one in listener.messages))


async def expect_all_conflicts(listener: Listener, agent: Agent, tenant: Tenant) -> None:
    conflicts = await tenant.events("LeaseConflicted")
    concerned = [
        event for event in conflicts if agent.id in (event["data"]["agentId"], holder(event))
    ]
    expected = [event["sequence"] for event in concerned]

    await wait_until(lambda: set(expected) <= set(first_received(listener)), DELIVERY_SECONDS_MAX)

    assert first_received(listener) == expected


def holder(event: Json) -> str:
    return str(event["data"]["holderId"])


@pytest.mark.parametrize("fault", [kill_nats, delete_nats_store])
async def test_no_notification_is_lost_when_nats_is_killed_under_load(
    service: ServiceProcess, tenant: Tenant, fault: Callable[[ServiceProcess], None]
) -> None:
    owner, *rivals = await tenant.create_agents("owner", "ann", "bob")
    agents = [owner, *rivals]
    subject = "quorate.{0}.agent.{1}.lease_conflict"
    listeners = [
        await agent.listen(subject.format(tenant.id, agent.id), reconnects=True) for agent in agents
    ]
    contention = Contention(owner, rivals)
    async with contention.running():
        for _ in range(2):
            await contention.wait_for_rejections()
            await wait_until(
                lambda: len(service.nats_servers()) == 1
            )  # It may still be restarting.
            fault(service)
            await contention.wait_for_rejections()

    for listener, agent in zip(listeners, agents, strict=True):
        await expect_all_conflicts(listener, agent, tenant)
        await listener.close()


async def test_commands_succeed_while_nats_hangs(service: ServiceProcess, tenant: Tenant) -> None:
    owner, rival = await tenant.create_agents("owner", "ann")
    listener = await rival.listen(
        f"quorate.{tenant.id}.agent.{rival.id}.lease_conflict", reconnects=True
    )
    await wait_until(lambda: len(service.nats_servers()) == 1)
    (frozen,) = service.nats_servers()
    contention = Contention(owner, [rival])
    async with contention.running():
        await contention.wait_for_rejections()
        os.kill(frozen, signal.SIGSTOP)
        try:
            for _ in range(3):
                await contention.wait_for_rejections()
        finally:
            os.kill(frozen, signal.SIGCONT)

    await expect_all_conflicts(listener, rival, tenant)
    await listener.close()


async def test_uncommitted_event_is_never_published(tenant: Tenant) -> None:
    owner, rival = await tenant.create_agents("owner", "ann")
    listener = await tenant.listen(f"quorate.{tenant.id}.agent.*.lease_conflict")
    await owner.lease(owner.id, "user@example.com")
    for _ in range(20):
        await rival.acquire(rival.id, "user@example.com")

    await wait_until(lambda: len(listener.messages) >= 40)

    known = {event["id"] for event in await tenant.events("LeaseConflicted")}
    assert {json.loads(one.data)["id"] for one in listener.messages} == known
    await listener.close()
