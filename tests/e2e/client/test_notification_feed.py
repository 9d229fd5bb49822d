"""The feed delivers every notification in order and once, whatever messages are lost."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from quorate.client import notifications as feeds
from quorate.client.errors import RequestFailedError, UnauthorizedError
from quorate.client.notification_buffer import NotificationBuffer
from quorate.client.results import Notification
from quorate.client.transports.nats import PENDING_NOTIFICATIONS_MAX
from quorate.contracts.notifications import Gap
from tests.e2e.client.fake_service import (
    FakeNatsTransport,
    FakeService,
    Reader,
    notification_json,
    push,
    running_feed,
)


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the delays of the feed."""
    monkeypatch.setattr(feeds, "GRACE_SECONDS", 0.02)
    monkeypatch.setattr(feeds, "PAUSE_SECONDS_MAX", 0.05)


@pytest.fixture
async def service() -> FakeService:
    return FakeService()


def notification(sequence: int) -> Notification:
    return Notification.from_json(notification_json(sequence))


# -- With NATS ---------------------------------------------------------------


async def test_missed_notifications_come_before_pushed_ones(service: FakeService) -> None:
    nats = FakeNatsTransport()
    session = nats.connect()
    await service.publish(3, 5, 8)
    push(session, 8, 9)
    async with running_feed(service, 3, nats) as (_, reader):
        assert await reader.wait_for(3) == [5, 8, 9]


async def test_duplicate_push_is_delivered_once(service: FakeService) -> None:
    nats = FakeNatsTransport()
    session = nats.connect()
    push(session, 1, 2, 2, 1, 3)
    async with running_feed(service, 0, nats) as (_, reader):
        assert await reader.wait_for(3) == [1, 2, 3]


async def test_feed_catches_up_after_a_lost_connection(
    service: FakeService,
) -> None:
    nats = FakeNatsTransport()
    push(nats.connect(), 1)
    async with running_feed(service, 0, nats) as (_, reader):
        await reader.wait_for(1)
        await service.publish(1, 2)  # Number 2 is not pushed.
        nats.disconnect()
        session = nats.connect()
        push(session, 3)

        assert await reader.wait_for(3) == [1, 2, 3]


async def test_feed_polls_while_nats_is_lost(service: FakeService) -> None:
    nats = FakeNatsTransport()
    async with running_feed(service, 0, nats) as (_, reader):
        await service.publish(1)
        assert await reader.wait_for(1) == [1]
        session = nats.connect()
        await service.publish(2)
        await reader.wait_for(2)
        push(session, 3)

        assert await reader.wait_for(3) == [1, 2, 3]


async def test_feed_catches_up_after_a_queue_overflow(service: FakeService) -> None:
    nats = FakeNatsTransport()
    session = nats.connect()
    push(session, *range(1, PENDING_NOTIFICATIONS_MAX + 1))
    session.overflowed = True  # As the error callback of nats-py does: 2049 was dropped.
    dropped = PENDING_NOTIFICATIONS_MAX + 1
    service.page_length = 5_000
    await service.publish(*range(1, dropped + 1))
    async with running_feed(service, 0, nats) as (_, reader):
        await reader.wait_for(dropped)
        push(session, dropped + 1)

        assert await reader.wait_for(dropped + 1) == list(range(1, dropped + 2))


async def test_feed_lists_an_overdue_notification_that_a_heartbeat_named(
    service: FakeService,
) -> None:
    nats = FakeNatsTransport()
    session = nats.connect()
    async with running_feed(service, 0, nats) as (feed, reader):
        push(session, 1)
        await reader.wait_for(1)
        await service.publish(1, 2)
        feed.expect(2)

        assert await reader.wait_for(2) == [1, 2]


async def test_heartbeat_without_a_new_notification_sends_no_request(service: FakeService) -> None:
    nats = FakeNatsTransport()
    session = nats.connect()
    async with running_feed(service, 0, nats) as (feed, reader):
        push(session, 1)
        await reader.wait_for(1)
        requests_before = list(service.received_requests)
        feed.expect(1)
        push(session, 2)
        await reader.wait_for(2)

    assert service.received_requests == requests_before


async def test_feed_survives_a_push_that_is_not_a_notification(service: FakeService) -> None:
    nats = FakeNatsTransport()
    session = nats.connect()
    async with running_feed(service, 0, nats) as (_, reader):
        await service.publish(1)
        push(session, 1)
        await reader.wait_for(1)
        session._received.put_nowait(type("Message", (), {"data": b"hello"})())
        push(session, 2)

        assert await reader.wait_for(2) == [1, 2]


# -- Over HTTP only ----------------------------------------------------------


async def test_feed_reads_the_stream_over_http(service: FakeService) -> None:
    await service.publish(1, 2)
    async with running_feed(service, 1) as (_, reader):
        await service.publish(3)
        assert await reader.wait_for(2) == [2, 3]

    assert service.received_requests == [("stream", 1)]


async def test_broken_stream_is_resumed_at_the_cursor(service: FakeService) -> None:
    async with running_feed(service) as (_, reader):
        await service.publish(1)
        await reader.wait_for(1)
        await service.cut_streams()
        await service.publish(2)

        assert await reader.wait_for(2) == [1, 2]
    assert service.received_requests == [("stream", 0), ("stream", 1)]


async def test_feed_polls_when_streams_do_not_work(service: FakeService) -> None:
    service.supports_streams = False
    async with running_feed(service) as (_, reader):
        await service.publish(1)
        assert await reader.wait_for(1) == [1]
        await service.publish(2)
        assert await reader.wait_for(2) == [1, 2]

    assert ("wait", 1) in service.received_requests


async def test_buffered_stream_is_abandoned_after_a_heartbeat_named_a_newer_notification(
    service: FakeService,
) -> None:
    service.sends_in_stream = False
    async with running_feed(service) as (feed, reader):
        await service.publish(1)
        feed.expect(1)
        assert await reader.wait_for(1) == [1]
        await service.publish(2)
        feed.expect(2)
        assert await reader.wait_for(2) == [1, 2]
        await service.publish(3)  # The feed polls now, so no heartbeat is needed.
        assert await reader.wait_for(3) == [1, 2, 3]

    assert ("wait", 2) in service.received_requests


# -- Gaps and ends -----------------------------------------------------------


async def test_pruned_notifications_are_reported_as_a_gap(service: FakeService) -> None:
    nats = FakeNatsTransport()
    nats.connect()
    await service.publish(5, 8, 9)
    service.pruned_until = 7
    async with running_feed(service, 2, nats) as (feed, reader):
        assert await reader.wait_for(3) == [7, 8, 9]
        gap = reader.received[0]
        assert feed.cursor == 9

    assert gap.is_gap
    assert gap.data == Gap(after=2, until=7)


async def test_log_that_ends_before_the_cursor_ends_the_feed(service: FakeService) -> None:
    nats = FakeNatsTransport()
    nats.connect()
    await service.publish(5)
    async with running_feed(service, 9, nats) as (_, reader):
        with pytest.raises(RequestFailedError, match="ends at 5, before the cursor 9"):
            await reader.wait_for_end()


async def test_revoked_key_ends_the_feed_for_every_reader(service: FakeService) -> None:
    async with running_feed(service) as (_, reader):
        await service.publish(1)
        await reader.wait_for(1)
        problem = {"code": "unauthorized", "detail": "No."}
        service.rejection = httpx2.Response(401, json=problem)
        await service.cut_streams()

        with pytest.raises(UnauthorizedError):
            await reader.wait_for_end()


async def test_response_of_a_proxy_does_not_end_the_feed(service: FakeService) -> None:
    service.rejection = httpx2.Response(200, html="<h1>Please log in</h1>")
    async with running_feed(service) as (_, reader):
        await asyncio.sleep(0)
        service.rejection = None
        await service.publish(1)

        assert await reader.wait_for(1) == [1]


async def test_close_ends_the_readers(service: FakeService) -> None:
    async with running_feed(service) as (feed, reader):
        await service.publish(1)
        await reader.wait_for(1)
        feed.close()
        await reader.wait_for_end()


# -- Readers and the buffer --------------------------------------------------


async def test_each_reader_has_its_own_position(service: FakeService) -> None:
    nats = FakeNatsTransport()
    push(nats.connect(), 1, 2, 3)
    async with running_feed(service, 0, nats) as (feed, reader):
        await reader.wait_for(3)
        from_position = [one.sequence async for one in _first(feed, 2, after=1)]
        from_start = [one.sequence async for one in _first(feed, 3)]

    assert (from_position, from_start) == ([2, 3], [1, 2, 3])


async def test_reader_behind_the_buffer_reads_from_the_service(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        feeds, "NotificationBuffer", lambda cursor: NotificationBuffer(cursor, kept_max=2)
    )
    nats = FakeNatsTransport()
    session = nats.connect()
    service.page_length = 2
    async with running_feed(service, 0, nats) as (feed, reader):
        await service.publish(1, 2, 3, 4, 5, 6)
        push(session, 1, 2, 3, 4, 5, 6)
        await reader.wait_for(6)
        late = [one.sequence async for one in _first(feed, 6)]

    assert late == [1, 2, 3, 4, 5, 6]


async def test_reader_behind_the_buffer_waits_for_an_unavailable_service(
    service: FakeService,
) -> None:
    nats = FakeNatsTransport()
    nats.connect()
    await service.publish(1, 2)
    async with running_feed(service, 2, nats) as (feed, _):
        service.rejection = httpx2.Response(500, html="<h1>Oh</h1>")
        reader = Reader(feed.notifications(after=0))
        await asyncio.sleep(0.02)
        assert reader.received == []
        service.rejection = None

        assert await reader.wait_for(2) == [1, 2]
        reader.stop()


async def _first(
    feed: feeds.NotificationFeed, count: int, after: int | None = None
) -> AsyncIterator[Notification]:
    reading = feed.notifications(after)
    for _ in range(count):
        yield await anext(reading)


def test_buffer_is_limited() -> None:
    buffer = NotificationBuffer(0, kept_max=3)
    added = [buffer.add(notification(sequence)) for sequence in (1, 4, 4, 2, 5, 9)]

    assert added == [True, True, False, False, True, True]
    assert buffer.cursor == 9
    assert [buffer.is_behind(position) for position in (0, 1, 4)] == [True, False, False]
    found = [buffer.next_after(position) for position in (1, 4, 5, 8, 9)]
    assert [one and one.sequence for one in found] == [4, 5, 9, 9, None]


def test_buffer_advances_without_notifications() -> None:
    buffer = NotificationBuffer(3)
    buffer.advance(7)
    buffer.advance(5)

    assert buffer.cursor == 7
    assert not buffer.add(notification(6))
