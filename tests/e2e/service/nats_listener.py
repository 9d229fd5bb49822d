"""Listening on NATS with an API key as token, as an agent does; what was heard is kept."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from quorate.bus.subjects import inbox_prefix
from quorate.domain.identity.api_keys import Principal
from tests.e2e.service.service_process import LOOK_SECONDS, Json
from tests.support.nats_client import Client

HEARD_SECONDS_MAX = 20.0
RECONNECT_SECONDS = 0.1
FOR_EVER = -1


async def until(
    happened: Callable[[], bool | Awaitable[bool]], seconds: float = HEARD_SECONDS_MAX
) -> None:
    """Return as soon as it happened; TimeoutError when it did not in time."""
    async with asyncio.timeout(seconds):
        while True:
            answer = happened()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(LOOK_SECONDS)


class Listener:
    """A connection that does not come back when it is lost, unless it is asked to."""

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
        comes_back: bool = False,
    ) -> "Listener":
        listener = cls()
        try:
            await listener.client.connect(
                url,
                token=token,
                inbox_prefix=inbox_prefix(principal) if principal is not None else "_INBOX",
                error_cb=listener._on_error,
                disconnected_cb=listener._on_lost,
                allow_reconnect=comes_back,
                max_reconnect_attempts=FOR_EVER if comes_back else 1,
                reconnect_time_wait=RECONNECT_SECONDS,  # type: ignore[arg-type]  # It is slept.
            )
        except NatsError:
            await listener.client.let_go()
            raise
        return listener

    async def hear(self, *subjects: str) -> None:
        """Subscribe; nothing that is said from now on is missed."""
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

    # -- What was heard ------------------------------------------------------

    def notifications(self, name: str) -> list[Json]:
        """The bodies of all notifications of one name, in the order in which they came."""
        return [
            json.loads(message.data)
            for message in self.messages
            if message.subject.rpartition(".")[2] == name
        ]

    async def notification(self, name: str) -> Json:
        """The only notification of this name, as soon as it is there."""
        await until(lambda: bool(self.notifications(name)))
        (found,) = self.notifications(name)
        return found

    async def message(self, name: str) -> Msg:
        """The only message of this name, with its subject and its headers."""
        await self.notification(name)
        (found,) = (m for m in self.messages if m.subject.rpartition(".")[2] == name)
        return found

    def names(self) -> list[str]:
        return [message.subject.rpartition(".")[2] for message in self.messages]
