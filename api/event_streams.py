"""Server-sent events and long polls: wait for a change, then read.

* A wait ends when the caller disconnects, its key is revoked, the service stops, or the timeout
  expires.
* Each wait holds a ``Subscription`` and reads only after the subscription was woken.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TypeAlias

from quorate.application.operations import Call, Streamed
from quorate.application.rendering import dump
from quorate.application.subscriptions import Subscription
from quorate.contracts.problems import Problem
from quorate.contracts.wire_models import SEQUENCE_MAX
from quorate.domain.shared.records import record
from quorate.eventlog.event_store import Gap

KEEPALIVE_SECONDS = 15.0
_KEEPALIVE = b": still here\n\n"


@record
class Frames:
    """Frames to send now; ``after`` is the next position, ``more`` whether to read at once."""

    body: bytes
    after: int
    more: bool


ReadFrames: TypeAlias = Callable[[int], Awaitable[Frames]]


def frame(sequence: int, event: str, data: bytes) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (sequence, event.encode(), data)


def gap_range(gap: Gap) -> dict[str, int]:
    """The truncated range, in the form that all responses share."""
    return {"after": gap.after, "until": gap.until}


def gap_frame(gap: Gap) -> bytes:
    return frame(gap.until, "gap", dump(gap_range(gap)))


def start_after(call: Call) -> int:
    """Return the sequence after which a stream starts: ``Last-Event-ID``, else ``after``."""
    last = call.headers.get(b"last-event-id")
    if last is None:
        return call.query.after or 0
    if not last.isdigit() or len(last) > len(str(SEQUENCE_MAX)):
        raise Problem("malformed_request", "Last-Event-ID must be a sequence.")
    return int(last)


async def stream(
    call: Call,
    subscription: AbstractContextManager[Subscription],
    after: int,
    read_frames: ReadFrames,
) -> Streamed:
    """Send the existing entries and then each new one, until the wait ends.

    Raises Problem if the subscription is refused, because no response has begun at that time.
    """
    frames = _read_until_end(call, subscription, after, read_frames)
    await anext(frames)
    return Streamed(frames=frames)


async def _read_until_end(
    call: Call,
    subscription: AbstractContextManager[Subscription],
    after: int,
    read_frames: ReadFrames,
) -> AsyncGenerator[bytes]:
    async with wait_while_connected(call, subscription) as wait:
        yield b""  # The subscription exists.
        while not wait.has_ended:
            wait.begin()
            frames = await read_frames(after)
            after = frames.after
            if frames.body:
                yield frames.body
            if not frames.more and not await wait.for_change(KEEPALIVE_SECONDS):
                yield _KEEPALIVE


class SubscriptionWait:
    """A wait on a subscription that ends when the caller disconnects."""

    def __init__(self, subscription: Subscription, disconnected: "asyncio.Task[None]") -> None:
        self._subscription = subscription
        self._disconnected = disconnected

    @property
    def has_ended(self) -> bool:
        return self._subscription.has_ended or self._disconnected.done()

    @property
    def is_revoked(self) -> bool:
        return self._subscription.is_revoked

    def begin(self) -> None:
        """Clear the wake-up flag; call this before each read so that no change is missed."""
        self._subscription.woken.clear()

    async def for_change(self, seconds_max: float) -> bool:
        """Return True after a possible change or the end of the wait, False after the timeout."""
        if self.has_ended:
            return True
        change = asyncio.ensure_future(self._subscription.woken.wait())
        try:
            done, _ = await asyncio.wait(
                {change, self._disconnected},
                timeout=seconds_max,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            change.cancel()
        return bool(done)


@asynccontextmanager
async def wait_while_connected(
    call: Call, subscription: AbstractContextManager[Subscription]
) -> AsyncIterator[SubscriptionWait]:
    """Hold a subscription, and end the wait when the caller disconnects."""
    with subscription as held:
        disconnected = asyncio.create_task(_client_disconnected(call))
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
