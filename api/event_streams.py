"""Server-sent events and long polls: wait for a change, then read.

* A wait ends when the caller disconnects, its key is revoked, the service stops, or the timeout
  expires.
* Each wait holds a ``Subscription``. A stream reads the log until it has caught up, and again only
  when its subscription missed events; otherwise it sends the events that the subscription received.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import Protocol

from quorate.application.execution import Service
from quorate.application.operations import Call, Streamed
from quorate.application.rendering import dump
from quorate.application.subscriptions import CommittedEvent, Subscription
from quorate.contracts.problems import Problem
from quorate.contracts.wire_models import SEQUENCE_MAX
from quorate.domain.shared.records import record
from quorate.eventlog.event_store import Gap

KEEPALIVE_SECONDS = 15.0
LOG_ID = b"quorate-log-id"
_KEEPALIVE = b": still here\n\n"


@record
class Frames:
    """Frames to send now; ``after`` is the next position, ``more`` whether to read at once."""

    body: bytes
    after: int
    more: bool


class Source(Protocol):
    """What a stream sends: entries from the log, and those that the subscription receives."""

    async def read(self, after: int) -> Frames:
        """Return a page of the log after this sequence."""

    async def frames(self, committed: Sequence[CommittedEvent]) -> bytes:
        """Return the frames of events, which other streams may have made already."""

    async def count(self, size: int) -> None:
        """Count bytes that were sent, and wait while the caller has used up its budget."""


def frame(sequence: int, event: str, data: bytes) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (sequence, event.encode(), data)


def gap_range(gap: Gap) -> dict[str, int]:
    """The truncated range, in the form that all responses share."""
    return {"after": gap.after, "until": gap.until}


def gap_frame(gap: Gap) -> bytes:
    return frame(gap.until, "gap", dump(gap_range(gap)))


async def start_after(service: Service, call: Call) -> int:
    """Return the sequence after which a stream starts: ``Last-Event-ID``, else ``after``.

    Raises Problem if it is of another log.
    """
    after = _last_event_id(call)
    head = await service.log.committed_sequence(call.principal.tenant)
    check_cursor(service, call.query.log_id, after, head)
    return after


def _last_event_id(call: Call) -> int:
    last = call.headers.get(b"last-event-id")
    if last is None:
        return call.query.after or 0
    if not last.isdigit() or len(last) > len(str(SEQUENCE_MAX)):
        raise Problem("malformed_request", "Last-Event-ID must be a sequence.")
    return int(last)


def check_cursor(service: Service, log_id: str | None, after: int, head: int) -> None:
    """Raise Problem if the cursor is of another log than the one that ends at ``head``.

    A log that was restored from a backup may have grown beyond the cursor. Then only the log id
    shows that its events are not those that the caller has seen.
    """
    if log_id not in {None, service.log.id}:
        detail = f"The cursor is of log {log_id}; this is log {service.log.id}."
    elif after > head:
        detail = f"The log ends at {head}, before the cursor {after}."
    else:
        return
    raise Problem("log_mismatch", detail, logId=service.log.id, head=head)


async def stream(
    call: Call,
    subscription: AbstractContextManager[Subscription],
    after: int,
    source: Source,
    log_id: str = "",
) -> Streamed:
    """Send the existing entries and then each new one, until the wait ends.

    Raises Problem if the subscription is refused, because no response has begun at that time.
    """
    frames = _read_until_end(call, subscription, after, source)
    await anext(frames)
    return Streamed(frames=frames, headers=((LOG_ID, log_id.encode()),))


async def _read_until_end(
    call: Call, subscription: AbstractContextManager[Subscription], after: int, source: Source
) -> AsyncGenerator[bytes]:
    async with wait_while_connected(call, subscription) as wait:
        yield b""  # The subscription exists.
        is_behind = True
        while not wait.has_ended:
            wait.begin()
            if is_behind or wait.has_missed:
                wait.restart()
                frames = await source.read(after)
                after, is_behind, body = frames.after, frames.more, frames.body
            else:
                new = [one for one in wait.take() if one.event.sequence > after]
                body = await source.frames(new) if new else b""
                after = new[-1].event.sequence if new else after
            if body:
                yield body
                await source.count(len(body))
            if not is_behind and not await wait.for_change(KEEPALIVE_SECONDS):
                yield _KEEPALIVE


class SubscriptionWait:
    """A wait on a subscription that ends when the caller disconnects."""

    def __init__(self, subscription: Subscription, disconnected: "asyncio.Task[None]") -> None:
        self._subscription = subscription
        self._disconnected = disconnected
        self.take = subscription.take
        self.restart = subscription.restart

    @property
    def has_ended(self) -> bool:
        return self._subscription.has_ended or self._disconnected.done()

    @property
    def has_missed(self) -> bool:
        return self._subscription.has_missed

    @property
    def is_woken(self) -> bool:
        return self._subscription.woken.is_set()

    @property
    def is_revoked(self) -> bool:
        return self._subscription.is_revoked

    def mark_served(self, took: Callable[[Subscription], None]) -> None:
        """Tell the registry of the subscription that its wake-up was used; not one since."""
        took(self._subscription)

    def begin(self) -> None:
        """Clear the wake-up flag; call this before each read so that no change is missed."""
        self._subscription.woken.clear()

    async def for_change(self, seconds_max: float) -> bool:
        """Return True after a possible change or the end of the wait, False after the timeout."""
        if self.has_ended:
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds_max):
                await self._subscription.woken.wait()
        return self._subscription.woken.is_set()


@asynccontextmanager
async def wait_while_connected(
    call: Call, subscription: AbstractContextManager[Subscription]
) -> AsyncIterator[SubscriptionWait]:
    """Hold a subscription, and end the wait when the caller disconnects."""
    with subscription as held:
        disconnected = asyncio.create_task(_client_disconnected(call))
        disconnected.add_done_callback(lambda _: held.woken.set())
        try:
            yield SubscriptionWait(held, disconnected)
        finally:
            disconnected.cancel()


async def _client_disconnected(call: Call) -> None:
    """Return when the caller disconnects. A call over NATS has no connection to watch."""
    receive = getattr(call, "receive", None)
    if receive is None:
        await asyncio.Event().wait()
        return
    while (await receive())["type"] != "http.disconnect":
        pass
