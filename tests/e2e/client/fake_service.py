"""A fake service that sends notifications to one agent: pages, an event stream and NATS."""

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

WAIT_SECONDS_MAX = 60.0
POLL_SECONDS = 0.001


def notification_json(sequence: int, name: str = "vote_cast") -> dict[str, Any]:
    """Return a notification in the JSON format of the service."""
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


class FakeService:
    """Serves a log of notifications and records its requests; ``head`` may be ahead of the log."""

    def __init__(self) -> None:
        self.log: list[dict[str, Any]] = []
        self.log_id: str | None = None  # None: a service that does not name its log.
        self.received_log_ids: list[str | None] = []
        self.head = 0
        self.pruned_until = 0
        self.received_requests: list[tuple[str, int]] = []
        self.page_length = 100
        self._cuts = 0
        self.supports_streams = True
        self.rejection: httpx2.Response | None = None
        self.sends_in_stream = True
        self._changed = asyncio.Condition()

    async def publish(self, *sequences: int, name: str = "vote_cast") -> None:
        for sequence in sequences:
            self.log.append(notification_json(sequence, name))
            self.head = max(self.head, sequence)
        async with self._changed:
            self._changed.notify_all()

    async def cut_streams(self) -> None:
        """Break every open stream."""
        self._cuts += 1
        async with self._changed:
            self._changed.notify_all()

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if self.rejection is not None:
            return self.rejection
        sent = request.url.params.get("logId")
        self.received_log_ids.append(sent)
        if sent not in {None, self.log_id}:
            problem = {"code": "log_mismatch", "detail": "No.", "logId": self.log_id}
            return httpx2.Response(409, json=problem)
        if request.url.path.endswith("/stream"):
            return self._stream(int(request.headers["Last-Event-ID"]))
        after = int(request.url.params["after"])
        wait = float(request.url.params.get("wait", 0))
        self.received_requests.append(("wait" if wait else "page", after))
        if wait:
            await self._wait_for_newer(after)
        return httpx2.Response(200, json=self._page(after))

    def _page(self, after: int) -> dict[str, Any]:
        gap = None
        if after < self.pruned_until:
            gap = {"after": after, "until": self.pruned_until}
        found = [each for each in self.log if each["sequence"] > max(after, self.pruned_until)]
        page = found[: self.page_length]
        next_ = page[-1]["sequence"] if len(page) < len(found) else self.head
        response = {"notifications": page, "next": next_, "head": self.head, "gap": gap}
        return response if self.log_id is None else {**response, "logId": self.log_id}

    async def _wait_for_newer(self, after: int, cuts: int | None = None) -> None:
        def has_newer() -> bool:
            cut = cuts is not None and cuts != self._cuts
            return cut or any(each["sequence"] > after for each in self.log)

        async with self._changed:
            await self._changed.wait_for(has_newer)

    def _stream(self, after: int) -> httpx2.Response:
        self.received_requests.append(("stream", after))
        if not self.supports_streams:
            return httpx2.Response(200, html="<h1>No streams through here</h1>")
        headers = {"Content-Type": "text/event-stream"}
        if self.log_id is not None:
            headers["Quorate-Log-Id"] = self.log_id
        return httpx2.Response(200, headers=headers, content=self._frames(after))

    async def _frames(self, after: int) -> AsyncIterator[bytes]:
        cuts = self._cuts
        yield b": keep-alive\n\n"
        while self._cuts == cuts:
            for each in [one for one in self.log if one["sequence"] > after]:
                after = each["sequence"]
                if self.sends_in_stream:
                    yield b"id: %d\nevent: x\ndata: %s\n\n" % (after, orjson.dumps(each))
            await self._wait_for_newer(after, cuts)
        raise httpx2.ReadError("cut")


class FakeNatsTransport(NatsTransport):
    """Connects and disconnects when the test asks for it."""

    def __init__(self) -> None:
        self._session = None

    def connect(self) -> NatsSession:
        self._session = NatsSession(Client())
        return self._session

    def disconnect(self) -> None:
        assert self._session is not None
        session, self._session = self._session, None
        session.close()


def push(session: NatsSession, *sequences: int) -> None:
    for sequence in sequences:
        message = Msg(_client=session.client, data=orjson.dumps(notification_json(sequence)))
        session._received.put_nowait(message)


class Reader:
    """Reads a feed in a background task."""

    def __init__(self, notifications: AsyncIterator[Notification]) -> None:
        self.received: list[Notification] = []
        self._notifications = notifications
        self._task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for notification in self._notifications:
            self.received.append(notification)

    @property
    def sequences(self) -> list[int]:
        return [notification.sequence for notification in self.received]

    async def wait_for(self, count: int) -> list[int]:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while len(self.received) < count and not self._task.done():  # noqa: ASYNC110 - it may end.
                await asyncio.sleep(POLL_SECONDS)
        return self.sequences

    async def wait_for_end(self) -> None:
        """Wait for the end of the feed; raise the exception of the reader, if any."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await self._task

    def stop(self) -> None:
        self._task.cancel()


@asynccontextmanager
async def running_feed(
    service: FakeService, after: int = 0, nats: FakeNatsTransport | None = None
) -> AsyncIterator[tuple[NotificationFeed, Reader]]:
    """Run a feed with one reader."""
    http = HttpTransport("http://quorate.test", "qk_x", transport=httpx2.MockTransport(service))
    transport = FailoverTransport(http, time.monotonic, timeout_seconds=5.0)
    feed = NotificationFeed(transport, AgentRef(), after, cast("NatsTransport | None", nats))
    running = asyncio.create_task(feed.run())
    reader = Reader(feed.notifications())
    try:
        yield feed, reader
    finally:
        feed.close()
        reader.stop()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await transport.close()
