"""SDK agents of a real service, over HTTP only or with NATS."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

from quorate.client import Agent
from quorate.client.results import Notification
from tests.e2e.service.http_clients import Operator, Tenant
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import Json, ServiceProcess

TransportName: TypeAlias = Literal["http", "nats"]
TRANSPORTS: tuple[TransportName, ...] = ("http", "nats")
TIME_LIMIT_SECONDS = 20.0


class Fleet:
    """Connects agents of one tenant, each with its own key, all over the same transport."""

    def __init__(self, tenant: Tenant, transport: TransportName) -> None:
        self.tenant = tenant
        self.transport = transport
        self._keys: dict[str, str] = {}

    async def get_key(self, name: str) -> str:
        if name not in self._keys:
            self._keys[name] = (await self.tenant.issue("agent", name)).text
        return self._keys[name]

    @property
    def service(self) -> ServiceProcess:
        return self.tenant.operator.service

    @property
    def nats_url(self) -> str:
        return self.service.nats_url if self.transport == "nats" else ""

    @asynccontextmanager
    async def agent(self, name: str, **options: Any) -> AsyncIterator[Agent]:  # noqa: ANN401
        key = await self.get_key(name)
        async with Agent.connect(self.service.url, key, nats_url=self.nats_url, **options) as agent:
            yield agent

    async def wait_for_events(self, type_: str, count: int = 1) -> list[Json]:
        """Wait for at least ``count`` events of one type and return them."""
        found: list[Json] = []

        async def has_enough() -> bool:
            found[:] = await self.tenant.events(type_)
            return len(found) >= count

        await wait_until(has_enough)
        return found


class ReceivedNotifications:
    """The notifications of one agent, in order of arrival."""

    def __init__(self, notifications: AsyncIterator[Notification]) -> None:
        self.notifications: list[Notification] = []
        self._source = notifications

    async def read(self) -> None:
        async for notification in self._source:
            self.notifications.append(notification)

    @property
    def sequences(self) -> list[int]:
        return [notification.sequence for notification in self.notifications]

    @property
    def names(self) -> list[str]:
        return [notification.name for notification in self.notifications]

    async def wait_for(self, sequence: int) -> None:
        await wait_until(lambda: bool(self.notifications) and self.sequences[-1] >= sequence)


@asynccontextmanager
async def collecting(
    agent: Agent, after: int | None = None
) -> AsyncIterator[ReceivedNotifications]:
    received = ReceivedNotifications(agent.notifications(after))
    reading = asyncio.create_task(received.read())
    try:
        yield received
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def time_limit(
    seconds: float = TIME_LIMIT_SECONDS,
) -> AbstractAsyncContextManager[asyncio.Timeout]:
    """Fail instead of waiting for an event that never comes."""
    return asyncio.timeout(seconds)


def free_ports() -> tuple[int, int]:
    """Return two unused ports, so that a restarted service can keep its addresses."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@asynccontextmanager
async def restartable_service(
    data_dir: Path, *options: str
) -> AsyncIterator[tuple[ServiceProcess, Operator]]:
    """Start a service for one test; it keeps its addresses across restarts."""
    port, nats_port = free_ports()
    service = ServiceProcess(
        data_dir, *options, "--port", str(port), "--nats-port", str(nats_port)
    ).start()
    operator = Operator(service)
    try:
        yield service, operator
    finally:
        await operator.close()
        service.end()
