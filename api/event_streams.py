"""Server-sent events, and every other answer that waits: until there is news, or it is over.

It is over when the caller hangs up, when its key is revoked, when the service ends, or when its
time is up. Whoever waits holds a place (``Tails``) and looks only when it was woken.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TypeAlias

from quorate.application.operations import Call, Streamed
from quorate.application.subscriptions import Subscription
from quorate.contracts.problems import Problem
from quorate.contracts.requests import SEQUENCE_MAX
from quorate.contracts.responses import dump
from quorate.domain.shared.records import record
from quorate.eventlog.event_store import Gap

KEEPALIVE_SECONDS = 15.0
_KEEPALIVE = b": still here\n\n"
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


@record
class Frames:
    """What is to be said now; ``after`` is where to go on, at once if there is more."""

    body: bytes
    after: int
    more: bool


Look: TypeAlias = Callable[[int], Awaitable[Frames]]


def frame(sequence: int, event: str, data: bytes) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (sequence, event.encode(), data)


def gap_facts(gap: Gap) -> dict[str, int]:
    """What is not kept any more, as every answer says it."""
    return {"after": gap.after, "until": gap.until}


def gap_frame(gap: Gap) -> bytes:
    return frame(gap.until, "gap", dump(gap_facts(gap)))


def start(call: Call) -> int:
    """Where a stream begins: behind what was seen last."""
    last = call.headers.get(b"last-event-id")
    if last is None:
        return call.query.after or 0
    if not last.isdigit() or len(last) > len(str(SEQUENCE_MAX)):
        raise Problem("malformed_request", "Last-Event-ID must be a sequence.")
    return int(last)


async def stream(
    call: Call, place: AbstractContextManager[Subscription], after: int, look: Look
) -> Streamed:
    """Say what there is and then what comes, until it is over."""
    async with waiting(call, place) as wait:
        headers = [*_HEADERS, (b"x-request-id", call.request_id.encode())]
        await call.send({"type": "http.response.start", "status": 200, "headers": headers})
        while not wait.over:
            wait.begin()
            said = await look(after)
            after = said.after
            if said.body:
                await _say(call, said.body)
            if not said.more and not await wait.for_news(KEEPALIVE_SECONDS):
                await _say(call, _KEEPALIVE)
    await call.send({"type": "http.response.body", "body": b""})
    return Streamed()


async def _say(call: Call, body: bytes) -> None:
    await call.send({"type": "http.response.body", "body": body, "more_body": True})


class Wait:
    """Waiting in a place for as long as the caller is there."""

    def __init__(self, place: Subscription, gone: "asyncio.Task[None]") -> None:
        self._place = place
        self._gone = gone

    @property
    def over(self) -> bool:
        return self._place.over or self._gone.done()

    @property
    def revoked(self) -> bool:
        return self._place.revoked

    def begin(self) -> None:
        """From now on nothing is missed: look only after this."""
        self._place.woken.clear()

    async def for_news(self, seconds_max: float) -> bool:
        """Whether there may be news, or it is over; False when the time has passed."""
        if self.over:
            return True
        news = asyncio.ensure_future(self._place.woken.wait())
        try:
            done, _ = await asyncio.wait(
                {news, self._gone}, timeout=seconds_max, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            news.cancel()
        return bool(done)


@asynccontextmanager
async def waiting(call: Call, place: AbstractContextManager[Subscription]) -> AsyncIterator[Wait]:
    """Hold a place, and notification when the caller hangs up."""
    with place as taken:
        gone = asyncio.create_task(_hung_up(call))
        try:
            yield Wait(taken, gone)
        finally:
            gone.cancel()


async def _hung_up(call: Call) -> None:
    """Return when the caller has; a call that came over NATS has nothing that could hang up."""
    receive = getattr(call, "receive", None)
    if receive is None:
        await asyncio.Event().wait()
        return
    while (await receive())["type"] != "http.disconnect":
        pass
