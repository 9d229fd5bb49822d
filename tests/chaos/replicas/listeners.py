"""Listeners that follow the log or notifications at any replica, and record what they receive.

* ``StreamListener`` reads server-sent events. When a stream breaks or is silent, it continues at
  the next replica after the last received event.
* ``PollListener`` polls the log, each page at another replica.
* ``NatsListener`` has one connection to the nats-server, which no fault affects. It recognizes
  duplicates by id.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from heapq import merge
from operator import attrgetter
from typing import Protocol

from httpx2 import AsyncClient, HTTPError, Limits, Timeout

from quorate.domain.shared.records import record
from tests.e2e.service.http_clients import EVENTS, IssuedKey
from tests.e2e.service.nats_listener import Listener
from tests.e2e.service.notification_readers import NOTIFICATIONS
from tests.e2e.service.replicas import Replica
from tests.e2e.service.service_process import Json

SILENCE_SECONDS_MAX = 1.5
RETRY_SECONDS = 0.05
PAGE_LENGTH = 1_000
OK = 200


@record
class Received:
    """An event or a notification: the id of the event, and its type or notification name."""

    sequence: int
    id: str
    name: str


class EventListener(Protocol):
    """``agent_id`` is the recipient of the notifications; None: the listener follows the log."""

    @property
    def name(self) -> str: ...

    @property
    def agent_id(self) -> str | None: ...

    @property
    def received(self) -> Sequence[Received]: ...

    async def run(self) -> None:
        """Listen until cancelled."""


def client() -> AsyncClient:
    return AsyncClient(
        verify=False,  # No TLS is used, and loading certificates is slow.
        trust_env=False,
        timeout=Timeout(SILENCE_SECONDS_MAX),
        limits=Limits(max_connections=None, max_keepalive_connections=0),
    )


class StreamListener:
    """A listener on the stream of the log, or of the notifications of an agent."""

    def __init__(
        self,
        name: str,
        replicas: Sequence[Replica],
        http: AsyncClient,
        agent_id: str | None = None,
    ) -> None:
        self.name = name
        self.agent_id = agent_id
        self.received: list[Received] = []
        self._replicas = replicas
        self._http = http
        notifications = f"{NOTIFICATIONS}/stream?agentId={agent_id}"
        self._path = f"{EVENTS}/stream" if agent_id is None else notifications

    async def run(self) -> None:
        turn = len(self.name)  # Start at different replicas.
        while True:
            replica = self._replicas[turn % len(self._replicas)]
            turn += 1
            with suppress(HTTPError):
                await self._follow(replica)
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self, replica: Replica) -> None:
        headers = {"Authorization": f"Bearer {replica.api_key}"}
        if self.received:
            headers["Last-Event-ID"] = str(self.received[-1].sequence)
        async with self._http.sse(f"{replica.url}{self._path}", headers=headers) as source:
            async for frame in source:
                self.received.append(_received(json.loads(frame.data)))


class PollListener:
    agent_id = None

    def __init__(self, name: str, replicas: Sequence[Replica], http: AsyncClient) -> None:
        self.name = name
        self.received: list[Received] = []
        self._replicas = replicas
        self._http = http

    async def run(self) -> None:
        turn = 0
        while True:
            replica = self._replicas[turn % len(self._replicas)]
            turn += 1
            with suppress(HTTPError):
                self.received += await self._page(replica)
            await asyncio.sleep(RETRY_SECONDS)

    async def _page(self, replica: Replica) -> list[Received]:
        response = await self._http.get(
            f"{replica.url}{EVENTS}",
            params={
                "after": self.received[-1].sequence if self.received else 0,
                "limit": PAGE_LENGTH,
            },
            headers={"Authorization": f"Bearer {replica.api_key}"},
        )
        if response.status_code != OK:
            return []
        return [_received(event) for event in response.json()["events"]]


class NatsListener:
    """A listener on the notifications of an agent over NATS, from before the first command."""

    def __init__(self, issued: IssuedKey, listener: Listener) -> None:
        assert issued.agent_id is not None
        self.agent_id = issued.agent_id
        self.name = f"{issued.agent_name} over NATS"
        self._listener = listener

    @classmethod
    async def connected(cls, issued: IssuedKey, nats_url: str) -> "NatsListener":
        listener = await Listener.connected(nats_url, issued.text, issued.principal)
        await listener.subscribe(
            f"quorate.{issued.tenant}.agent.{issued.agent_id}.>", f"quorate.{issued.tenant}.all.>"
        )
        return cls(issued, listener)

    async def run(self) -> None:
        """Do nothing: the connection receives in the background."""

    async def close(self) -> None:
        await self._listener.close()

    @property
    def received(self) -> list[Received]:
        """Return each notification once, in the order of its first arrival.

        The two subscriptions are read concurrently, so only each of them is ordered.
        """
        received: tuple[dict[Received, None], dict[Received, None]] = ({}, {})
        for message in self._listener.messages:
            received[".all." in message.subject][_received(json.loads(message.data))] = None
        return list(merge(*received, key=attrgetter("sequence")))


def _received(message: Json) -> Received:
    name = str(message["type"]).removeprefix("quorate.")
    return Received(sequence=int(message["sequence"]), id=str(message["id"]), name=name)
