"""Event streams: what they read, what they send, and how many are woken at a time."""

import asyncio
from collections.abc import MutableMapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from quorate.api import event_streams
from quorate.api.event_streams import Frames, stream
from quorate.application import subscriptions as subscriptions_module
from quorate.application.operations import Call
from quorate.application.subscriptions import CommittedEvent, Subscriptions
from quorate.eventlog.recorded_event import RecordedEvent
from tests.conformance.eventlog.conformance import until
from tests.unit.application.subscription_state import has_no_state
from tests.unit.application.test_subscriptions import HEARTBEAT, committed

IDLE_TURNS = 20


@pytest.fixture
def subscriptions() -> Subscriptions:
    return Subscriptions()


def make_frame(event: RecordedEvent) -> bytes:
    return b"%d" % event.sequence


class Caller:
    """A client that follows the log in this process, and the number of reads for it."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self.reads = self.counted = 0
        self.received: list[bytes] = []
        self.pages: list[Frames] = []
        self.disconnects = asyncio.Event()
        call = Call({}, {})
        call.receive = self._receive
        self.following = asyncio.create_task(self._follow(call, subscriptions))

    async def _follow(self, call: Call, subscriptions: Subscriptions) -> None:
        subscription = subscriptions.subscribe_to_log("acme", "k1")
        streamed = await stream(call, subscription, 0, self)
        async for frame in streamed.frames:
            self.received.append(frame)

    async def _receive(self) -> MutableMapping[str, Any]:
        await self.disconnects.wait()
        return {"type": "http.disconnect"}

    async def read(self, after: int) -> Frames:
        self.reads += 1
        nothing = Frames(body=b"", after=after, more=False)
        return self.pages.pop(0) if self.pages else nothing

    async def frames(self, committed: Sequence[CommittedEvent]) -> bytes:
        return b"".join([one.made(make_frame) for one in committed])

    async def count(self, size: int) -> None:
        self.counted += size

    async def until_read(self, times: int) -> None:
        await until(lambda: self.reads >= times)
        for _ in range(IDLE_TURNS):  # Time in which unwanted reads would happen.
            await asyncio.sleep(0)
        assert self.reads == times


async def test_stream_that_has_caught_up_sends_committed_events_without_reading(
    subscriptions: Subscriptions,
) -> None:
    caller = Caller(subscriptions)
    await caller.until_read(1)
    for sequence in (1, 2, 3):
        subscriptions.wake([committed("HeartbeatReceived", sequence=sequence)])
    await until(lambda: b"".join(caller.received) == b"123")
    subscriptions.wake([committed("HeartbeatReceived", sequence=3)])  # Read and received.
    await caller.until_read(1)
    subscriptions.close()
    await caller.following  # The stream ends cleanly.

    assert b"".join(caller.received) == b"123"
    assert caller.counted == 3


async def test_event_is_serialized_once_for_all_streams(
    subscriptions: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    callers = [Caller(subscriptions) for _ in range(100)]

    def make(event: RecordedEvent) -> bytes:
        made.append(event.sequence)
        return b"frame"

    monkeypatch.setitem(globals(), "make_frame", make)
    await until(lambda: all(caller.reads for caller in callers))
    subscriptions.wake([HEARTBEAT])
    await until(lambda: all(b"frame" in caller.received for caller in callers))
    subscriptions.close()
    await asyncio.gather(*(caller.following for caller in callers))

    assert made == [1]
    assert {caller.reads for caller in callers} == {1}


@pytest.mark.parametrize("limit", ["PENDING_MAX", "PENDING_BYTES_MAX"])
async def test_slow_stream_reads_the_log_instead_of_keeping_its_events(
    subscriptions: Subscriptions, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(subscriptions_module, limit, 3)
    caller = Caller(subscriptions)
    await caller.until_read(1)
    caller.pages = [Frames(body=b"page", after=9, more=False)]
    subscriptions.wake([committed("HeartbeatReceived", sequence=one) for one in range(1, 10)])
    await caller.until_read(2)
    subscriptions.wake([committed("HeartbeatReceived", sequence=10)])
    await until(lambda: b"10" in caller.received)
    caller.disconnects.set()
    await caller.following

    assert [one for one in caller.received if one] == [b"page", b"10"]


async def test_streams_read_again_what_was_committed_before_the_commit_feed_began(
    subscriptions: Subscriptions,
) -> None:
    caller = Caller(subscriptions)
    await caller.until_read(1)
    subscriptions.read_again()
    await caller.until_read(2)
    caller.disconnects.set()
    await caller.following


async def test_many_streams_are_woken_over_many_turns_of_the_event_loop(
    subscriptions: Subscriptions,
) -> None:
    at_once = subscriptions_module.WAKES_AT_ONCE_MAX
    with ExitStack() as stack:
        busy = [
            stack.enter_context(subscriptions.subscribe_to_log("acme", "k1")) for _ in range(99)
        ]
        other = stack.enter_context(subscriptions.subscribe_to_log("globex", "k2"))
        subscriptions.wake([HEARTBEAT, committed("HeartbeatReceived", "globex")])
        assert sum(one.woken.is_set() for one in (*busy, other)) == at_once
        assert other.woken.is_set(), "tenants take turns"
        subscriptions.wake([HEARTBEAT])
        assert sum(one.woken.is_set() for one in busy) < at_once, "one turn is in progress"
        await until(lambda: all(one.woken.is_set() for one in busy))

    assert has_no_state(subscriptions)


async def test_stream_sends_existing_pages_at_once(subscriptions: Subscriptions) -> None:
    caller = Caller(subscriptions)
    caller.pages = [
        Frames(body=b"one", after=1, more=True),
        Frames(body=b"", after=2, more=True),
        Frames(body=b"two", after=3, more=False),
    ]
    await caller.until_read(3)
    caller.disconnects.set()
    await caller.following

    assert [one for one in caller.received if one] == [b"one", b"two"]


async def test_idle_stream_sends_keepalives(
    subscriptions: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "KEEPALIVE_SECONDS", 0.01)
    caller = Caller(subscriptions)
    await until(lambda: len(caller.received) >= 4)
    subscriptions.close()
    await caller.following

    assert {one for one in caller.received if one} == {b": still here\n\n"}
