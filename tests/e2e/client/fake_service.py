"""A service that tells one agent what a test lets it tell: pages, a stream, and pushes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx2
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from quorate.client.notifications import NotificationFeed
from quorate.client.results import Notification
from quorate.client.transports.failover import FailoverTransport
from quorate.client.transports.http import HttpTransport
from quorate.client.transports.nats import NatsSession, NatsTransport
from quorate.domain.identity.agents import AgentRef

HEARD_SECONDS_MAX = 20.0
LOOK_SECONDS = 0.001


def told(sequence: int, name: str = "vote_cast") -> dict[str, Any]:
    """A notification as the service writes it."""
    return {
        "specversion": "1.0",
        "id": f"event-{sequence}",
        "source": "quorate/tenant-1",
        "type": f"quorate.{name}",
        "time": "2026-03-01T12:00:00.000Z",
        "datacontenttype": "application/json",
        "sequence": sequence,
        "data": {"number": sequence},
    }


class Teller:
    """Has a log of notifications; ``head`` may be ahead of them. What is asked of it is kept."""

    def __init__(self) -> None:
        self.log: list[dict[str, Any]] = []
        self.head = 0
        self.pruned_until = 0
        self.asked: list[tuple[str, int]] = []
        self.page_length = 100
        self._cuts = 0
        self.streams = True
        self.refuses: httpx2.Response | None = None
        self.says_in_stream = True
        self._news = asyncio.Condition()

    async def tell(self, *sequences: int, name: str = "vote_cast") -> None:
        for sequence in sequences:
            self.log.append(told(sequence, name))
            self.head = max(self.head, sequence)
        async with self._news:
            self._news.notify_all()

    async def cut(self) -> None:
        """Every stream breaks off."""
        self._cuts += 1
        async with self._news:
            self._news.notify_all()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if self.refuses is not None:
            return self.refuses
        if request.url.path.endswith("/stream"):
            return self._stream(int(request.headers["Last-Event-ID"]))
        after = int(request.url.params["after"])
        wait = float(request.url.params.get("wait", 0))
        self.asked.append(("wait" if wait else "page", after))
        if wait:
            await self._after(after)
        return httpx2.Response(200, json=self._page(after))

    def _page(self, after: int) -> dict[str, Any]:
        gap = None
        if after < self.pruned_until:
            gap = {"after": after, "until": self.pruned_until}
        found = [each for each in self.log if each["sequence"] > max(after, self.pruned_until)]
        page = found[: self.page_length]
        next_ = page[-1]["sequence"] if len(page) < len(found) else self.head
        return {"notifications": page, "next": next_, "head": self.head, "gap": gap}

    async def _after(self, after: int, cuts: int | None = None) -> None:
        def news() -> bool:
            cut = cuts is not None and cuts != self._cuts
            return cut or any(each["sequence"] > after for each in self.log)

        async with self._news:
            await self._news.wait_for(news)

    def _stream(self, after: int) -> httpx2.Response:
        self.asked.append(("stream", after))
        if not self.streams:
            return httpx2.Response(200, html="<h1>No streams through here</h1>")
        headers = {"Content-Type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, content=self._frames(after))

    async def _frames(self, after: int) -> AsyncIterator[bytes]:
        cuts = self._cuts
        yield b": still here\n\n"
        while self._cuts == cuts:
            for each in [one for one in self.log if one["sequence"] > after]:
                after = each["sequence"]
                if self.says_in_stream:
                    yield b"id: %d\nevent: x\ndata: %s\n\n" % (after, orjson.dumps(each))
            await self._after(after, cuts)
        raise httpx2.ReadError("cut")


class Link(NatsTransport):
    """Connected when the test says so."""

    def __init__(self) -> None:
        self._session = None

    def connect(self) -> NatsSession:
        self._session = NatsSession(Client())
        return self._session

    def lose(self) -> None:
        assert self._session is not None
        session, self._session = self._session, None
        session.close()


def push(session: NatsSession, *sequences: int) -> None:
    for sequence in sequences:
        message = Msg(_client=session.client, data=orjson.dumps(told(sequence)))
        session._received.put_nowait(message)


class Reader:
    """Reads a feed in the background."""

    def __init__(self, notifications: AsyncIterator[Notification]) -> None:
        self.heard: list[Notification] = []
        self._notifications = notifications
        self._task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for notification in self._notifications:
            self.heard.append(notification)

    @property
    def sequences(self) -> list[int]:
        return [notification.sequence for notification in self.heard]

    async def until(self, count: int) -> list[int]:
        async with asyncio.timeout(HEARD_SECONDS_MAX):
            while len(self.heard) < count and not self._task.done():  # noqa: ASYNC110 - it may end.
                await asyncio.sleep(LOOK_SECONDS)
        return self.sequences

    async def end(self) -> None:
        """Return when there is nothing more to read; raises what the reading raised."""
        async with asyncio.timeout(HEARD_SECONDS_MAX):
            await self._task

    def stop(self) -> None:
        self._task.cancel()


@asynccontextmanager
async def fed(
    teller: Teller, after: int = 0, link: Link | None = None
) -> AsyncIterator[tuple[NotificationFeed, Reader]]:
    """A feed that runs, and somebody who reads it."""
    http = HttpTransport("http://quorate.test", "qk_x", transport=httpx2.MockTransport(teller))
    asker = FailoverTransport(http, time.monotonic, timeout_seconds=5.0)
    feed = NotificationFeed(asker, AgentRef(), after, cast("NatsTransport | None", link))
    running = asyncio.create_task(feed.run())
    reader = Reader(feed.notifications())
    try:
        yield feed, reader
    finally:
        feed.close()
        reader.stop()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asker.close()
