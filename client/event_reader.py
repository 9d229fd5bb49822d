"""Read the event log of a tenant from a position to its head, and follow it from there.

Guarantees:

* Events are in log order, each once, also when the stream is reconnected.
* All pages and streams are of one log. Another one, for example after a restore from a backup,
  raises ``LogMismatchError``.
* No event is skipped. Events that the service has moved to archive files raise
  ``EventsArchivedError``, which names the range.
"""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import TYPE_CHECKING

import orjson

from quorate.client import requests
from quorate.client.callers import AsyncCaller, BlockingCaller
from quorate.client.errors import QuorateError, RequestFailedError, UnavailableError
from quorate.client.outages import Outage
from quorate.client.request_builder import Request
from quorate.client.results import GAP
from quorate.client.serialization import NOT_QUORATE
from quorate.contracts.event_log import STREAM_EVENTS, EventInfo, EventsInfo
from quorate.contracts.wire_models import PAGE_LENGTH_MAX

if TYPE_CHECKING:
    import httpx2

PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 5.0


class EventsArchivedError(QuorateError):
    """The events after ``after``, up to ``until``, are in archive files of the operator.

    Read these from the files, and continue with ``client.events(after=error.until)``.
    """

    def __init__(self, after: int, until: int) -> None:
        super().__init__(after, until)
        self.after = after
        self.until = until

    def __str__(self) -> str:
        return f"The events after {self.after}, up to {self.until}, were moved to archive files"


class _Reading:
    """The position in the log, and the pauses between attempts to follow it. No I/O."""

    def __init__(self, after: int) -> None:
        self.position = after
        self.log_id: str | None = None
        self._pause = PAUSE_SECONDS_MIN
        self._outage = Outage("The event stream")

    def next_page(self) -> Request[EventsInfo]:
        return requests.list_events(after=self.position, limit=PAGE_LENGTH_MAX, log_id=self.log_id)

    def accept_page(self, page: EventsInfo) -> bool:
        """Advance to the end of the page; return whether it is the last one."""
        if page.gap is not None:
            raise EventsArchivedError(page.gap.after, page.gap.until)
        if page.next < page.head and page.next <= self.position:
            raise stalled_log(self.position)
        self.position, self.log_id = page.next, page.log_id
        return page.next >= page.head

    def accept_frame(self, frame: "httpx2.ServerSentEvent") -> EventInfo | None:
        """Advance by one event of the stream; return None for a duplicate."""
        try:
            json = orjson.loads(frame.data)
            if frame.event == GAP:
                raise EventsArchivedError(json["after"], json["until"])
            event = EventInfo.from_json(json)
        except (KeyError, TypeError, ValueError) as error:
            raise RequestFailedError(NOT_QUORATE) from error
        if event.sequence <= self.position:
            return None
        self.position, self._pause = event.sequence, PAUSE_SECONDS_MIN
        self._outage.record_success()
        return event

    def pause_after(self, failure: UnavailableError | None) -> float:
        """Return the seconds until the next attempt: exponential backoff with jitter."""
        requested = 0.0
        if failure is not None:
            self._outage.record_failure(failure)
            requested = failure.retry_after_seconds or 0.0
        pause, self._pause = self._pause, min(2 * self._pause, PAUSE_SECONDS_MAX)
        return requested + pause * (1 + random.random()) / 2  # noqa: S311 - no secret.


def stalled_log(after: int) -> RequestFailedError:
    return RequestFailedError(
        f"The service returns nothing after {after}, although its log continues"
    )


def read_events(caller: BlockingCaller, after: int, *, follow: bool) -> Iterator[EventInfo]:
    """Yield the events after ``after``; ``Events.__call__`` describes the exceptions."""
    reading, is_last = _Reading(after), False
    while not is_last:
        page = caller.execute(reading.next_page())
        is_last = reading.accept_page(page)
        yield from page.events
    while follow:
        failure = None
        try:
            with closing(
                caller.stream(STREAM_EVENTS.path, reading.position, reading.log_id)
            ) as frames:
                for frame in frames:
                    if (event := reading.accept_frame(frame)) is not None:
                        yield event
        except UnavailableError as error:
            failure = error
        caller.sleep(reading.pause_after(failure))


async def read_events_async(
    caller: AsyncCaller, after: int, *, follow: bool
) -> AsyncIterator[EventInfo]:
    """Yield the events after ``after``; ``Events.__call__`` describes the exceptions."""
    reading, is_last = _Reading(after), False
    while not is_last:
        page = await caller.execute(reading.next_page())
        is_last = reading.accept_page(page)
        for event in page.events:
            yield event
    while follow:
        failure = None
        try:
            async with aclosing(
                caller.stream(STREAM_EVENTS.path, reading.position, reading.log_id)
            ) as frames:
                async for frame in frames:
                    if (found := reading.accept_frame(frame)) is not None:
                        yield found
        except UnavailableError as error:
            failure = error
        await caller.sleep(reading.pause_after(failure))
