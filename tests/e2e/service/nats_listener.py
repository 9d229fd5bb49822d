"""A NATS subscriber with an API key as token; it keeps the messages that it received."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from quorate.bus.subjects import inbox_prefix
from quorate.domain.identity.principals import Principal
from tests.e2e.service.service_process import POLL_SECONDS, Json
from tests.support.nats_client import Client

RECEIVE_SECONDS_MAX = 60.0
RECONNECT_SECONDS = 0.1
UNLIMITED = -1


async def wait_until(
    condition: Callable[[], bool | Awaitable[bool]], seconds: float = RECEIVE_SECONDS_MAX
) -> None:
    """Wait until the condition is true; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            result = condition()
            if result if isinstance(result, bool) else await result:
                return
            await asyncio.sleep(POLL_SECONDS)


class Listener:
    """A NATS connection with subscriptions; it reconnects only with ``reconnects=True``."""

    def __init__(self) -> None:
        self.client = Client()
        self.messages: list[Msg] = []
        self.errors: list[str] = []
        self.lost = asyncio.Event()

    @classmethod
    async def connected(
        cls,
        url: str,
        token: str,
        principal: Principal | None = None,
        *,
        reconnects: bool = False,
    ) -> "Listener":
        listener = cls()
        try:
            await listener.client.connect(
                url,
                token=token,
                inbox_prefix=inbox_prefix(principal) if principal is not None else "_INBOX",
                error_cb=listener._on_error,
                disconnected_cb=listener._on_lost,
                allow_reconnect=reconnects,
                max_reconnect_attempts=UNLIMITED if reconnects else 1,
                reconnect_time_wait=RECONNECT_SECONDS,  # type: ignore[arg-type]  # Accepts float.
            )
        except NatsError:
            await listener.client.close_socket()
            raise
        return listener

    async def subscribe(self, *subjects: str) -> None:
        """Subscribe, and return when the server has registered the subscriptions."""
        for subject in subjects:
            await self.client.subscribe(subject, cb=self._on_message)
        await self.client.flush()

    async def close(self) -> None:
        await self.client.close()

    async def _on_message(self, message: Msg) -> None:
        self.messages.append(message)

    async def _on_error(self, error: Exception) -> None:
        self.errors.append(str(error))

    async def _on_lost(self) -> None:
        self.lost.set()

    # -- Received messages ---------------------------------------------------

    def notifications(self, name: str) -> list[Json]:
        """Return the bodies of all notifications of one name, in order of arrival."""
        return [
            json.loads(message.data)
            for message in self.messages
            if message.subject.rpartition(".")[2] == name
        ]

    async def notification(self, name: str) -> Json:
        """Wait for the only notification of this name."""
        await wait_until(lambda: bool(self.notifications(name)))
        (found,) = self.notifications(name)
        return found

    async def message(self, name: str) -> Msg:
        """Wait for the only message of this name, with its subject and headers."""
        await self.notification(name)
        (found,) = (m for m in self.messages if m.subject.rpartition(".")[2] == name)
        return found

    def names(self) -> list[str]:
        return [message.subject.rpartition(".")[2] for message in self.messages]
