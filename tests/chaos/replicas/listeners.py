"""Those who follow what happens, at whichever replica answers, and write down what they hear.

* ``Following`` a stream of server-sent events: when it breaks off or falls silent, it goes on at
  the next replica, behind what it heard last.
* ``Polling`` the log: each page is another replica's.
* ``OverNats``: one connection to the nats-server, which no fault befalls. What comes twice is known
  by its id.
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
AGAIN_SECONDS = 0.05
PAGE_LENGTH = 1_000
OK = 200


@record
class Heard:
    """An event or a notification: ``id`` is the event's, ``name`` its type or the notification's."""

    sequence: int
    id: str
    name: str


class Hearer(Protocol):
    """``agent_id`` is whose notifications it hears; None: it follows the log."""

    @property
    def name(self) -> str: ...

    @property
    def agent_id(self) -> str | None: ...

    @property
    def heard(self) -> Sequence[Heard]: ...

    async def run(self) -> None:
        """Listen until cancelled."""


def client() -> AsyncClient:
    return AsyncClient(
        verify=False,  # There is no TLS here, and loading certificates takes long.
        trust_env=False,
        timeout=Timeout(SILENCE_SECONDS_MAX),
        limits=Limits(max_connections=None, max_keepalive_connections=0),
    )


class Following:
    """A stream of the whole log, or of what one agent is told."""

    def __init__(
        self,
        name: str,
        replicas: Sequence[Replica],
        http: AsyncClient,
        agent_id: str | None = None,
    ) -> None:
        self.name = name
        self.agent_id = agent_id
        self.heard: list[Heard] = []
        self._replicas = replicas
        self._http = http
        notifications = f"{NOTIFICATIONS}/stream?agentId={agent_id}"
        self._path = f"{EVENTS}/stream" if agent_id is None else notifications

    async def run(self) -> None:
        turn = len(self.name)  # They do not all begin at the same one.
        while True:
            replica = self._replicas[turn % len(self._replicas)]
            turn += 1
            with suppress(HTTPError):
                await self._follow(replica)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self, replica: Replica) -> None:
        headers = {"Authorization": f"Bearer {replica.api_key}"}
        if self.heard:
            headers["Last-Event-ID"] = str(self.heard[-1].sequence)
        async with self._http.sse(f"{replica.url}{self._path}", headers=headers) as source:
            async for frame in source:
                self.heard.append(_heard(json.loads(frame.data)))


class Polling:
    agent_id = None

    def __init__(self, name: str, replicas: Sequence[Replica], http: AsyncClient) -> None:
        self.name = name
        self.heard: list[Heard] = []
        self._replicas = replicas
        self._http = http

    async def run(self) -> None:
        turn = 0
        while True:
            replica = self._replicas[turn % len(self._replicas)]
            turn += 1
            with suppress(HTTPError):
                self.heard += await self._page(replica)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _page(self, replica: Replica) -> list[Heard]:
        response = await self._http.get(
            f"{replica.url}{EVENTS}",
            params={"after": self.heard[-1].sequence if self.heard else 0, "limit": PAGE_LENGTH},
            headers={"Authorization": f"Bearer {replica.api_key}"},
        )
        if response.status_code != OK:
            return []
        return [_heard(event) for event in response.json()["events"]]


class OverNats:
    """What an agent is told over NATS, from before the first command on."""

    def __init__(self, issued: IssuedKey, listener: Listener) -> None:
        assert issued.agent_id is not None
        self.agent_id = issued.agent_id
        self.name = f"{issued.agent_name} over NATS"
        self._listener = listener

    @classmethod
    async def connected(cls, issued: IssuedKey, nats_url: str) -> "OverNats":
        listener = await Listener.connected(nats_url, issued.text, issued.principal)
        await listener.hear(
            f"quorate.{issued.tenant}.agent.{issued.agent_id}.>", f"quorate.{issued.tenant}.all.>"
        )
        return cls(issued, listener)

    async def run(self) -> None:
        """Its connection listens by itself."""

    async def close(self) -> None:
        await self._listener.close()

    @property
    def heard(self) -> list[Heard]:
        """In the order in which each of them came first.

        Its two subscriptions are read side by side, so there is an order in each of them only.
        """
        told: tuple[dict[Heard, None], dict[Heard, None]] = ({}, {})
        for message in self._listener.messages:
            told[".all." in message.subject][_heard(json.loads(message.data))] = None
        return list(merge(*told, key=attrgetter("sequence")))


def _heard(told: Json) -> Heard:
    name = str(told["type"]).removeprefix("quorate.")
    return Heard(sequence=int(told["sequence"]), id=str(told["id"]), name=name)
