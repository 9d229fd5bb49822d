"""Notifications are delivered in order, each once and none left out, whatever becomes of the messages."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from quorate.client import notifications as feeds
from quorate.client.errors import RequestFailedError, UnauthorizedError
from quorate.client.notification_buffer import NotificationBuffer
from quorate.client.results import Notification
from quorate.client.transports.nats import PENDING_NOTIFICATIONS_MAX
from tests.e2e.client.fake_service import Link, Reader, Teller, fed, push, told


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for in vain here is waited for briefly."""
    monkeypatch.setattr(feeds, "GRACE_SECONDS", 0.02)
    monkeypatch.setattr(feeds, "PAUSE_SECONDS_MAX", 0.05)


@pytest.fixture
async def teller() -> Teller:
    return Teller()


def notification(sequence: int) -> Notification:
    return Notification.from_json(told(sequence))


# -- Pushed ------------------------------------------------------------------


async def test_what_was_missed_comes_before_what_is_pushed(teller: Teller) -> None:
    link = Link()
    session = link.connect()
    await teller.tell(3, 5, 8)
    push(session, 8, 9)
    async with fed(teller, 3, link) as (_, reader):
        assert await reader.until(3) == [5, 8, 9]


async def test_a_push_that_comes_twice_is_told_once(teller: Teller) -> None:
    link = Link()
    session = link.connect()
    push(session, 1, 2, 2, 1, 3)
    async with fed(teller, 0, link) as (_, reader):
        assert await reader.until(3) == [1, 2, 3]


async def test_after_a_lost_connection_the_feed_catches_up_before_it_goes_on(
    teller: Teller,
) -> None:
    link = Link()
    push(link.connect(), 1)
    async with fed(teller, 0, link) as (_, reader):
        await reader.until(1)
        await teller.tell(1, 2)  # Nobody pushed this one.
        link.lose()
        session = link.connect()
        push(session, 3)

        assert await reader.until(3) == [1, 2, 3]


async def test_while_nats_is_away_notifications_come_by_asking(teller: Teller) -> None:
    link = Link()
    async with fed(teller, 0, link) as (_, reader):
        await teller.tell(1)
        assert await reader.until(1) == [1]
        session = link.connect()
        await teller.tell(2)
        await reader.until(2)
        push(session, 3)

        assert await reader.until(3) == [1, 2, 3]


async def test_pushes_that_found_no_room_are_caught_up_on(teller: Teller) -> None:
    link = Link()
    session = link.connect()
    push(session, *range(1, PENDING_NOTIFICATIONS_MAX + 1))
    session.overflowed = True  # As nats-py tells us: 2049 was dropped.
    dropped = PENDING_NOTIFICATIONS_MAX + 1
    teller.page_length = 5_000
    await teller.tell(*range(1, dropped + 1))
    async with fed(teller, 0, link) as (_, reader):
        await reader.until(dropped)
        push(session, dropped + 1)

        assert await reader.until(dropped + 1) == list(range(1, dropped + 2))


async def test_a_notification_that_a_heartbeat_names_is_asked_for_when_it_does_not_come(
    teller: Teller,
) -> None:
    link = Link()
    session = link.connect()
    async with fed(teller, 0, link) as (feed, reader):
        push(session, 1)
        await reader.until(1)
        await teller.tell(1, 2)
        feed.expect(2)

        assert await reader.until(2) == [1, 2]


async def test_a_heartbeat_that_names_nothing_new_asks_for_nothing(teller: Teller) -> None:
    link = Link()
    session = link.connect()
    async with fed(teller, 0, link) as (feed, reader):
        push(session, 1)
        await reader.until(1)
        asked = list(teller.asked)
        feed.expect(1)
        push(session, 2)
        await reader.until(2)

    assert teller.asked == asked


async def test_what_is_pushed_and_is_no_notification_breaks_nothing(teller: Teller) -> None:
    link = Link()
    session = link.connect()
    async with fed(teller, 0, link) as (_, reader):
        await teller.tell(1)
        push(session, 1)
        await reader.until(1)
        session._received.put_nowait(type("Message", (), {"data": b"hello"})())
        push(session, 2)

        assert await reader.until(2) == [1, 2]


# -- Over HTTP alone ---------------------------------------------------------


async def test_over_http_they_come_as_a_stream(teller: Teller) -> None:
    await teller.tell(1, 2)
    async with fed(teller, 1) as (_, reader):
        await teller.tell(3)
        assert await reader.until(2) == [2, 3]

    assert teller.asked == [("stream", 1)]


async def test_a_stream_that_breaks_is_resumed_where_it_broke(teller: Teller) -> None:
    async with fed(teller) as (_, reader):
        await teller.tell(1)
        await reader.until(1)
        await teller.cut()
        await teller.tell(2)

        assert await reader.until(2) == [1, 2]
    assert teller.asked == [("stream", 0), ("stream", 1)]


async def test_where_streams_do_not_get_through_the_feed_polls(teller: Teller) -> None:
    teller.streams = False
    async with fed(teller) as (_, reader):
        await teller.tell(1)
        assert await reader.until(1) == [1]
        await teller.tell(2)
        assert await reader.until(2) == [1, 2]

    assert ("wait", 1) in teller.asked


async def test_a_stream_that_somebody_keeps_back_is_given_up_when_a_heartbeat_knows_more(
    teller: Teller,
) -> None:
    teller.says_in_stream = False
    async with fed(teller) as (feed, reader):
        await teller.tell(1)
        feed.expect(1)
        assert await reader.until(1) == [1]
        await teller.tell(2)
        feed.expect(2)
        assert await reader.until(2) == [1, 2]
        await teller.tell(3)  # No heartbeat is needed any more.
        assert await reader.until(3) == [1, 2, 3]

    assert ("wait", 2) in teller.asked


# -- Gaps and ends -----------------------------------------------------------


async def test_what_is_no_longer_kept_is_said(teller: Teller) -> None:
    link = Link()
    link.connect()
    await teller.tell(5, 8, 9)
    teller.pruned_until = 7
    async with fed(teller, 2, link) as (feed, reader):
        assert await reader.until(3) == [7, 8, 9]
        gap = reader.heard[0]
        assert feed.cursor == 9

    assert gap.is_gap
    assert gap.data == {"after": 2, "until": 7}


async def test_a_log_that_ends_before_the_cursor_is_another_log(teller: Teller) -> None:
    link = Link()
    link.connect()
    await teller.tell(5)
    async with fed(teller, 9, link) as (_, reader):
        with pytest.raises(RequestFailedError, match="another"):
            await reader.end()


async def test_a_key_that_was_revoked_ends_the_feed_for_all_who_read_it(teller: Teller) -> None:
    async with fed(teller) as (_, reader):
        await teller.tell(1)
        await reader.until(1)
        problem = {"code": "unauthorized", "detail": "No."}
        teller.refuses = httpx2.Response(401, json=problem)
        await teller.cut()

        with pytest.raises(UnauthorizedError):
            await reader.end()


async def test_a_page_of_something_in_between_ends_nothing(teller: Teller) -> None:
    teller.refuses = httpx2.Response(200, html="<h1>Please log in</h1>")
    async with fed(teller) as (_, reader):
        await asyncio.sleep(0)
        teller.refuses = None
        await teller.tell(1)

        assert await reader.until(1) == [1]


async def test_closing_the_feed_ends_the_reading(teller: Teller) -> None:
    async with fed(teller) as (feed, reader):
        await teller.tell(1)
        await reader.until(1)
        feed.close()
        await reader.end()


# -- Many readers, little memory ---------------------------------------------


async def test_readers_have_places_of_their_own(teller: Teller) -> None:
    link = Link()
    push(link.connect(), 1, 2, 3)
    async with fed(teller, 0, link) as (feed, reader):
        await reader.until(3)
        again = [one.sequence async for one in _first(feed, 2, after=1)]
        anew = [one.sequence async for one in _first(feed, 3)]

    assert (again, anew) == ([2, 3], [1, 2, 3])


async def test_a_reader_that_is_far_behind_reads_from_the_service(
    teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        feeds, "NotificationBuffer", lambda cursor: NotificationBuffer(cursor, kept_max=2)
    )
    link = Link()
    session = link.connect()
    teller.page_length = 2
    async with fed(teller, 0, link) as (feed, reader):
        await teller.tell(1, 2, 3, 4, 5, 6)
        push(session, 1, 2, 3, 4, 5, 6)
        await reader.until(6)
        late = [one.sequence async for one in _first(feed, 6)]

    assert late == [1, 2, 3, 4, 5, 6]


async def test_a_reader_that_is_far_behind_waits_for_a_service_that_is_away(
    teller: Teller,
) -> None:
    link = Link()
    link.connect()
    await teller.tell(1, 2)
    async with fed(teller, 2, link) as (feed, _):
        teller.refuses = httpx2.Response(500, html="<h1>Oh</h1>")
        reader = Reader(feed.notifications(after=0))
        await asyncio.sleep(0.02)
        assert reader.heard == []
        teller.refuses = None

        assert await reader.until(2) == [1, 2]
        reader.stop()


async def _first(
    feed: feeds.NotificationFeed, count: int, after: int | None = None
) -> AsyncIterator[Notification]:
    reading = feed.notifications(after)
    for _ in range(count):
        yield await anext(reading)


def test_a_backlog_keeps_no_more_than_its_limit() -> None:
    buffer = NotificationBuffer(0, kept_max=3)
    added = [buffer.add(notification(sequence)) for sequence in (1, 4, 4, 2, 5, 9)]

    assert added == [True, True, False, False, True, True]
    assert buffer.cursor == 9
    assert [buffer.is_behind(position) for position in (0, 1, 4)] == [True, False, False]
    found = [buffer.next_after(position) for position in (1, 4, 5, 8, 9)]
    assert [one and one.sequence for one in found] == [4, 5, 9, 9, None]


def test_a_backlog_passes_over_what_concerns_others() -> None:
    buffer = NotificationBuffer(3)
    buffer.advance(7)
    buffer.advance(5)

    assert buffer.cursor == 7
    assert not buffer.add(notification(6))
