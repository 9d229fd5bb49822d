"""G7: what was committed is pushed, whatever becomes of nats-server, and commands don't notification.

While agents quarrel over contacts, nats-server is killed, frozen, and robbed of its store. An agent
that reconnects hears of every conflict it was part of, at least once and in order, and no command
fails.
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

# nats-py forgets to close the socket that it has lost.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SERVE = ()
QUARRELS_AT_ONCE = 8
QUARRELS_BEFORE_TROUBLE = 100
DRAINED_SECONDS_MAX = 60.0


def kill_nats(service: ServiceProcess) -> None:
    (pid,) = service.nats_servers()
    os.kill(pid, signal.SIGKILL)


def rob_nats(service: ServiceProcess) -> None:
    """Its store goes while it runs, and then so does it."""
    shutil.rmtree(store_of(service), ignore_errors=True)
    kill_nats(service)
    shutil.rmtree(store_of(service), ignore_errors=True)


def store_of(service: ServiceProcess) -> Path:
    return service.data_dir / "nats" / "jetstream"


class Quarrel:
    """One agent holds contacts that others ask for, again and again; refusals are counted."""

    def __init__(self, holder: Agent, rivals: list[Agent]) -> None:
        self.holder = holder
        self.rivals = rivals
        self.refused = 0
        self._over = False

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        await self.holder.lease(self.holder.id, "user@example.com")
        async with asyncio.TaskGroup() as quarrels:
            for number in range(QUARRELS_AT_ONCE):
                quarrels.create_task(self._ask(self.rivals[number % len(self.rivals)]))
            try:
                yield
            finally:
                self._over = True

    async def _ask(self, rival: Agent) -> None:
        while not self._over:
            response = await rival.acquire(rival.id, "user@example.com")
            assert response.status_code == 409, response.text
            self.refused += 1

    async def goes_on(self) -> None:
        """Commands are answered, now, whatever NATS does."""
        enough = self.refused + QUARRELS_BEFORE_TROUBLE
        await wait_until(lambda: self.refused >= enough)


def first_heard(listener: Listener) -> list[int]:
    """Sequences in the order in which each was heard for the first time."""
    return list(dict.fromkeys(json.loads(one.data)["sequence"] for one in listener.messages))


async def hears_everything(listener: Listener, agent: Agent, tenant: Tenant) -> None:
    conflicts = await tenant.events("LeaseConflicted")
    concerned = [
        event for event in conflicts if agent.id in (event["data"]["agentId"], holder(event))
    ]
    wanted = [event["sequence"] for event in concerned]

    await wait_until(lambda: set(wanted) <= set(first_heard(listener)), DRAINED_SECONDS_MAX)

    assert first_heard(listener) == wanted


def holder(event: Json) -> str:
    return str(event["data"]["holderId"])


@pytest.mark.parametrize("trouble", [kill_nats, rob_nats])
async def test_no_notification_is_lost_when_nats_is_killed_under_load(
    service: ServiceProcess, tenant: Tenant, trouble: Callable[[ServiceProcess], None]
) -> None:
    owner, *rivals = await tenant.create_agents("owner", "ann", "bob")
    agents = [owner, *rivals]
    subject = "quorate.{0}.agent.{1}.lease_conflict"
    listeners = [
        await agent.listen(subject.format(tenant.id, agent.id), reconnects=True) for agent in agents
    ]
    quarrel = Quarrel(owner, rivals)
    async with quarrel.going_on():
        for _ in range(2):
            await quarrel.goes_on()
            await wait_until(
                lambda: len(service.nats_servers()) == 1
            )  # It may still be coming back.
            trouble(service)
            await quarrel.goes_on()

    for listener, agent in zip(listeners, agents, strict=True):
        await hears_everything(listener, agent, tenant)
        await listener.close()


async def test_commands_succeed_while_nats_hangs(service: ServiceProcess, tenant: Tenant) -> None:
    owner, rival = await tenant.create_agents("owner", "ann")
    listener = await rival.listen(
        f"quorate.{tenant.id}.agent.{rival.id}.lease_conflict", reconnects=True
    )
    await wait_until(lambda: len(service.nats_servers()) == 1)
    (frozen,) = service.nats_servers()
    quarrel = Quarrel(owner, [rival])
    async with quarrel.going_on():
        await quarrel.goes_on()
        os.kill(frozen, signal.SIGSTOP)
        try:
            for _ in range(3):
                await quarrel.goes_on()
        finally:
            os.kill(frozen, signal.SIGCONT)

    await hears_everything(listener, rival, tenant)
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
