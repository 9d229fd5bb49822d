"""State that the parts of one agent share: identity, transport, liveness, waiters and tasks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar
from uuid import uuid4

from quorate.client import requests
from quorate.client.background_tasks import BackgroundTasks
from quorate.client.clock import Clock
from quorate.client.config import ClientConfig
from quorate.client.contact_holds import ContactHolds, ContactOwner
from quorate.client.errors import UnavailableError
from quorate.client.lease_validity import AgentLiveness
from quorate.client.process_guard import ProcessGuard
from quorate.client.rejections import AgentInactiveError
from quorate.client.request_builder import Request
from quorate.client.serialization import Response
from quorate.client.transports.failover import FailoverTransport
from quorate.client.waiters import Waiters
from quorate.contracts.identity.agents import HeartbeatInfo
from quorate.domain.identity.agents import AgentRef

T = TypeVar("T")


class ContactLock:
    """The lock of one contact. It is removed when ``users`` drops to 0."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class AgentContext:
    """The shared state of one agent. Its id and name are empty until it is registered.

    ``holder`` distinguishes this instance of the agent from others, in the leases that it acquires.
    """

    def __init__(
        self,
        transport: FailoverTransport,
        clock: Clock,
        config: ClientConfig,
        holder: str | None = None,
    ) -> None:
        self.transport = transport
        self.clock = clock
        self.config = config
        self.liveness = AgentLiveness(clock)
        self.waiters = Waiters()
        self.background = BackgroundTasks()
        self.process = ProcessGuard()
        self.holder = holder or uuid4().hex
        self.holds: ContactHolds[ContactOwner] = ContactHolds()
        self._contact_locks: dict[str, ContactLock] = {}
        self.agent_id = ""
        self.agent_name = ""
        self._confirmed_at = 0.0
        self._service_time: datetime | None = None

    @property
    def agent_ref(self) -> AgentRef:
        return AgentRef(id=self.agent_id)

    @asynccontextmanager
    async def lock_contact(self, contact: str, *, timeout_seconds: float) -> AsyncIterator[None]:
        """Serialize the acquisitions and releases of one contact in this process.

        The service returns the present lease to a holder that acquires again. A release that is
        still in flight would then end that lease, so it must be answered first.

        Raises UnavailableError when the lock is not free in time.
        """
        contact_lock = self._contact_locks.setdefault(contact, ContactLock())
        contact_lock.users += 1
        try:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await contact_lock.lock.acquire()
            except TimeoutError as error:
                message = "The release of the previous lease on the contact is not answered yet"
                raise UnavailableError(message) from error
            try:
                yield
            finally:
                contact_lock.lock.release()
        finally:
            contact_lock.users -= 1
            if not contact_lock.users:
                del self._contact_locks[contact]

    async def execute(self, request: Request[T], *, timeout_seconds: float | None = None) -> T:
        return await self.transport.execute(request, timeout_seconds=timeout_seconds)

    async def send_as_active(self, request: Request[T]) -> tuple[Response[T], int]:
        """Send a request that only an active agent may send.

        Sends a heartbeat first when the agent may be inactive. Returns the response, and the epoch
        of the liveness in which the request was sent.
        """
        if not self.liveness.is_active:
            await self.heartbeat()
        epoch = self.liveness.epoch
        try:
            return await self.transport.send(request), epoch
        except AgentInactiveError:
            self.liveness.mark_inactive()
            await self.heartbeat()
        epoch = self.liveness.epoch
        return await self.transport.send(request), epoch

    async def heartbeat(self, *, timeout_seconds: float | None = None) -> HeartbeatInfo:
        """Send a heartbeat, and extend the liveness by its response."""
        request = requests.heartbeat(self.agent_ref)
        response = await self.transport.send(request, timeout_seconds=timeout_seconds)
        info = response.result
        self.confirm_liveness(response.sent_at, info.last_heartbeat, info.active_until)
        return info

    def confirm_liveness(
        self, sent_at: float, last_heartbeat: datetime, active_until: datetime
    ) -> None:
        """Record the response to a registration or heartbeat that was sent at ``sent_at``."""
        window_seconds = (active_until - last_heartbeat).total_seconds()
        self.liveness.confirm(sent_at, window_seconds)
        self._confirmed_at, self._service_time = self.clock(), last_heartbeat

    def seconds_until(self, service_time: datetime) -> float:
        """Estimate the seconds until the clock of the service shows ``service_time``.

        The estimate is for wake-ups only, never for the validity of a lease.
        """
        if self._service_time is None:
            return 0.0
        elapsed = self.clock() - self._confirmed_at
        return max(0.0, (service_time - self._service_time).total_seconds() - elapsed)


async def wait_for_event(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event and clear it; return False when it is not set within ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    event.clear()
    return True
