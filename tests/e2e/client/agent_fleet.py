"""Agents that take part in a real service, by one way or the other."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

from quorate.client import Agent
from quorate.client.results import Notification
from tests.e2e.service.http_clients import Operator, Tenant
from tests.e2e.service.nats_listener import until
from tests.e2e.service.service_process import Json, Running

Way: TypeAlias = Literal["http", "nats"]
WAYS: tuple[Way, ...] = ("http", "nats")
PATIENCE_SECONDS = 20.0


class Fleet:
    """Connects agents of one tenant with keys of their own, all by the same way."""

    def __init__(self, tenant: Tenant, way: Way) -> None:
        self.tenant = tenant
        self.way = way
        self._keys: dict[str, str] = {}

    async def key_of(self, name: str) -> str:
        if name not in self._keys:
            self._keys[name] = (await self.tenant.issue("agent", name)).text
        return self._keys[name]

    @property
    def service(self) -> Running:
        return self.tenant.operator.service

    @property
    def nats_url(self) -> str:
        return self.service.nats_url if self.way == "nats" else ""

    @asynccontextmanager
    async def agent(self, name: str, **options: Any) -> AsyncIterator[Agent]:  # noqa: ANN401
        key = await self.key_of(name)
        async with Agent.connect(self.service.url, key, nats_url=self.nats_url, **options) as agent:
            yield agent

    async def log_has(self, type_: str, count: int = 1) -> list[Json]:
        """The events of one type, as soon as there are so many."""
        found: list[Json] = []

        async def there() -> bool:
            found[:] = await self.tenant.events(type_)
            return len(found) >= count

        await until(there)
        return found


class Heard:
    """Whatever an agent is told, as it comes."""

    def __init__(self, notifications: AsyncIterator[Notification]) -> None:
        self.notifications: list[Notification] = []
        self._from = notifications

    async def read(self) -> None:
        async for notification in self._from:
            self.notifications.append(notification)

    @property
    def sequences(self) -> list[int]:
        return [notification.sequence for notification in self.notifications]

    @property
    def names(self) -> list[str]:
        return [notification.name for notification in self.notifications]

    async def up_to(self, sequence: int) -> None:
        await until(lambda: bool(self.notifications) and self.sequences[-1] >= sequence)


@asynccontextmanager
async def hearing(agent: Agent, after: int | None = None) -> AsyncIterator[Heard]:
    heard = Heard(agent.notifications(after))
    reading = asyncio.create_task(heard.read())
    try:
        yield heard
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def within(
    seconds: float = PATIENCE_SECONDS,
) -> AbstractAsyncContextManager[asyncio.Timeout]:
    """What takes longer never happens."""
    return asyncio.timeout(seconds)


async def eventually(happened: Callable[[], bool | Awaitable[bool]]) -> None:
    await until(happened)


def free_ports() -> tuple[int, int]:
    """Two ports that nobody uses now, so that a service can come back to where it was."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@asynccontextmanager
async def staying(data_dir: Path, *options: str) -> AsyncIterator[tuple[Running, Operator]]:
    """A service of the test's own that keeps its addresses when it is restarted."""
    port, nats_port = free_ports()
    service = Running(
        data_dir, *options, "--port", str(port), "--nats-port", str(nats_port)
    ).start()
    operator = Operator(service)
    try:
        yield service, operator
    finally:
        await operator.close()
        service.end()
