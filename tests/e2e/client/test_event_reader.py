"""``client.events`` yields each event once and in order, and reports what it cannot read."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias

import httpx2
import orjson
import pytest

from quorate.client import AsyncClient, Client, EventsArchivedError
from quorate.client.errors import RequestFailedError, UnauthorizedError, UnavailableError

Frames: TypeAlias = list[bytes | Exception]


def event(sequence: int) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "id": f"event-{sequence}",
        "stream": "lease-1",
        "type": "LeaseRenewed",
        "version": 1,
        "at": "2026-03-01T12:00:00.000Z",
        "actor": "agent_1",
        "commandId": "command-1",
        "data": {},
        "hash": "00",
    }


def frame(sequence: int) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (sequence, orjson.dumps(event(sequence)))


class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The frames of one stream; an exception breaks the connection."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames

    def __iter__(self) -> Iterator[bytes]:
        for one in self._frames:
            if isinstance(one, Exception):
                raise one
            yield one

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for one in self:
            yield one


class FakeLog:
    """A log of events with pages of two, and one prepared stream for each connection."""

    def __init__(self, head: int, *streams: Frames | httpx2.Response) -> None:
        self.head = head
        self.gap: dict[str, int] | None = None
        self.is_stalled = False
        self.streams = list(streams)
        self.resumed_after: list[int] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/stream"):
            self.resumed_after.append(int(request.headers["Last-Event-ID"]))
            stream = self.streams.pop(0)
            if isinstance(stream, httpx2.Response):
                return stream
            headers = {"Content-Type": "text/event-stream"}
            return httpx2.Response(200, headers=headers, stream=Body(stream))
        after = int(request.url.params["after"])
        until = after if self.is_stalled else min(after + 2, self.head)
        events = [event(sequence) for sequence in range(after + 1, until + 1)]
        page = {"events": events, "head": self.head, "next": until, "gap": self.gap}
        return httpx2.Response(200, json=page)


Read: TypeAlias = Callable[..., Any]


async def read_blocking(log: FakeLog, count: int | None = None, **options: Any) -> list[int]:  # noqa: ANN401
    transport = httpx2.MockTransport(log)
    found: list[int] = []
    with Client("http://quorate.test", "k", transport=transport, sleep=log.pauses.append) as client:
        for one in client.events(**options):
            found.append(one.sequence)
            if len(found) == count:
                break
    return found


async def read_async(log: FakeLog, count: int | None = None, **options: Any) -> list[int]:  # noqa: ANN401
    async def sleep(seconds: float) -> None:
        log.pauses.append(seconds)

    transport = httpx2.MockTransport(log)
    found: list[int] = []
    async with AsyncClient("http://quorate.test", "k", transport=transport, sleep=sleep) as client:
        async for one in client.events(**options):
            found.append(one.sequence)
            if len(found) == count:
                break
    return found


@pytest.fixture(params=[read_blocking, read_async])
def read(request: pytest.FixtureRequest) -> Read:
    reader: Read = request.param
    return reader


async def test_events_end_at_the_head(read: Read) -> None:
    assert await read(FakeLog(5)) == [1, 2, 3, 4, 5]
    assert await read(FakeLog(5), after=3) == [4, 5]
    assert await read(FakeLog(0)) == []


async def test_follow_resumes_a_lost_stream_after_the_last_event(read: Read) -> None:
    lost = httpx2.ReadError("cut")
    log = FakeLog(3, [frame(4), lost], [lost], [frame(4), frame(5)], [frame(6)])

    assert await read(log, count=6, follow=True) == [1, 2, 3, 4, 5, 6]
    assert log.resumed_after == [3, 4, 4, 5]
    first, second, third = log.pauses
    assert 0 < first < second <= 0.2
    assert third <= 0.1, "an event resets the backoff"


async def test_follow_waits_as_long_as_the_service_asks(read: Read) -> None:
    problem = {"code": "too_many_streams", "detail": "Later."}
    busy = httpx2.Response(503, json=problem, headers={"Retry-After": "7"})

    log = FakeLog(0, busy, [frame(1)])
    assert await read(log, count=1, follow=True) == [1]
    assert log.pauses[0] > 7


async def test_archived_events_are_reported(read: Read) -> None:
    log = FakeLog(9)
    log.gap = {"after": 0, "until": 6}
    with pytest.raises(EventsArchivedError, match="up to 6, were moved") as caught:
        await read(log)
    assert (caught.value.after, caught.value.until) == (0, 6)

    gap = b'event: gap\ndata: {"after": 3, "until": 8}\n\n'
    with pytest.raises(EventsArchivedError, match="after 3, up to 8"):
        await read(FakeLog(3, [gap]), follow=True)


async def test_rejection_ends_the_iteration(read: Read) -> None:
    revoked = httpx2.Response(401, json={"code": "unauthorized", "detail": "No."})

    with pytest.raises(UnauthorizedError):
        await read(FakeLog(0, revoked), follow=True)


async def test_response_of_another_service_is_detected(read: Read) -> None:
    with pytest.raises(RequestFailedError, match="not from Quorate"):
        await read(FakeLog(0, [b"data: {}\n\n"]), follow=True)
    log = FakeLog(2)
    log.is_stalled = True
    with pytest.raises(RequestFailedError, match="nothing after 0"):
        await read(log)


async def test_unavailable_page_is_raised_after_its_retries(read: Read) -> None:
    log = FakeLog(2)
    log.gap = {"after": 0}  # Not a page of Quorate: it is not retried.
    with pytest.raises(RequestFailedError) as caught:
        await read(log)
    assert not isinstance(caught.value, UnavailableError)
