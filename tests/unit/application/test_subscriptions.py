"""Who waits is woken by what concerns it and by the end, by nothing else, and frees its place."""

import asyncio
import itertools
import json
import socket
from collections.abc import Collection, MutableMapping
from contextlib import ExitStack
from typing import Any

import pytest

from quorate.api import event_streams
from quorate.api.event_streams import Frames, stream, waiting
from quorate.api.gate import Gate
from quorate.application import subscriptions as waiting_places
from quorate.application.operations import Call, Endpoint, Reply, Streamed
from quorate.application.subscriptions import Subscriptions
from quorate.contracts.problems import Problem
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.runtime.asgi import Receive, Scope, Send
from tests.conformance.eventlog.conformance import until
from tests.integration.api.http_server import get, listening
from tests.integration.api.raw_clients import wait_until

LONG_SECONDS = 60.0
IDLE_TURNS = 20


def committed(type_: str, tenant: str = "acme", **data: object) -> RecordedEvent:
    return RecordedEvent(
        position=1,
        tenant=tenant,
        sequence=1,
        id="id",
        stream="stream",
        type=type_,
        version=1,
        at=Timestamp(0),
        actor="actor",
        command_id="cause",
        data=json.dumps(data).encode(),
        hash=b"",
    )


CONFLICT = committed(
    "LeaseConflicted",
    agentId="bob",
    holderId="ann",
    holderName="Ann",
    expiresAt="2026-03-01T12:30:00.000Z",
)
TO_ALL = committed("AgentRegistered", agentId="dee")
SILENT = committed("HeartbeatReceived", agentId="ann")
ENDED = committed(
    "LeaseExpired",
    agentId="ann",
    leaseId="lease",
    contactKey="kim",
    contactEmail="Kim",
    contenders=["bob", "cid"],
)


@pytest.fixture
def tails() -> Subscriptions:
    return Subscriptions()


# -- What wakes ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "woken"),
    [
        (CONFLICT, {"ann", "bob"}),
        (ENDED, {"ann", "bob", "cid"}),
        (TO_ALL, {"ann", "bob", "cid", "dee"}),
        (SILENT, set()),
        (committed("AgentRegistered", "globex", agentId="ann"), set()),
    ],
    ids=["conflict", "end", "to all", "silent", "of others"],
)
def test_an_agent_is_woken_by_what_it_is_told(
    tails: Subscriptions, row: RecordedEvent, woken: set[str]
) -> None:
    with ExitStack() as stack:
        places = {
            name: stack.enter_context(tails.notifications("acme", name, f"key-{name}"))
            for name in ("ann", "bob", "cid", "dee")
        }
        tails.wake([SILENT, row])

        assert {name for name, place in places.items() if place.woken.is_set()} == woken


def test_all_places_of_one_agent_are_woken(tails: Subscriptions) -> None:
    with (
        tails.notifications("acme", "ann", "k1") as first,
        tails.notifications("acme", "ann", "k2") as second,
    ):
        tails.wake([CONFLICT])

        assert first.woken.is_set()
        assert second.woken.is_set()


def test_who_follows_the_log_is_woken_by_everything_of_its_tenant(tails: Subscriptions) -> None:
    with tails.log("acme", "k1") as ours, tails.log("globex", "k2") as theirs:
        tails.wake([SILENT])

        assert (ours.woken.is_set(), theirs.woken.is_set()) == (True, False)


def test_who_has_left_is_forgotten(tails: Subscriptions) -> None:
    with tails.notifications("acme", "ann", "k1") as left, tails.log("acme", "k2") as gone:
        pass
    with tails.notifications("acme", "ann", "k1") as stays:
        with tails.notifications("acme", "ann", "k1"):
            pass
        tails.wake([CONFLICT])

        assert stays.woken.is_set()
    assert not left.woken.is_set()
    assert not gone.woken.is_set()
    assert vars(tails) == vars(Subscriptions()), "nothing is kept of anybody"


# -- How many ---------------------------------------------------------------------


def test_when_every_place_is_taken_the_next_is_told_to_come_again(
    tails: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_places, "WAITING_MAX", 2)
    with tails.log("acme", "k1"):
        with tails.notifications("globex", "eve", "k2"):
            for place in (tails.log("acme", "k3"), tails.notifications("initech", "dan", "k4")):
                with pytest.raises(Problem) as refused, place:
                    pass
                assert (refused.value.code, refused.value.status) == ("too_many_streams", 503)
                assert int(refused.value.headers["Retry-After"]) > 0
        with tails.notifications("globex", "eve", "k2"):
            pass
    assert vars(tails) == vars(Subscriptions())


def test_however_many_wait_for_one_tenant_others_find_a_place(
    tails: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_places, "WAITING_MAX", 8)
    with ExitStack() as taken:
        held = {
            tenant: _takes_all_it_can(taken, tails, tenant) for tenant in ("acme", "globex", "ini")
        }

    assert held == {"acme": 4, "globex": 2, "ini": 1}
    assert vars(tails) == vars(Subscriptions())


def test_one_agent_does_not_take_the_places_of_its_tenant(
    tails: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_places, "OF_ONE_AGENT_MAX", 2)
    with tails.notifications("acme", "ann", "k1"), tails.notifications("acme", "ann", "k2"):
        with pytest.raises(Problem), tails.notifications("acme", "ann", "k1"):
            pass
        with tails.notifications("acme", "bob", "k3"), tails.notifications("globex", "ann", "k4"):
            pass
    assert vars(tails) == vars(Subscriptions())


def _takes_all_it_can(taken: ExitStack, tails: Subscriptions, tenant: str) -> int:
    for number in itertools.count():
        try:
            taken.enter_context(tails.log(tenant, "key"))
        except Problem:
            return number
    raise AssertionError


# -- The end ----------------------------------------------------------------------


def test_when_the_service_ends_everybody_is_woken_and_nobody_comes_in(tails: Subscriptions) -> None:
    with tails.log("acme", "k1") as one, tails.notifications("acme", "ann", "k2") as other:
        tails.close()

        assert all(place.over and place.woken.is_set() for place in (one, other))
        assert not any(place.revoked for place in (one, other))
    with pytest.raises(Problem), tails.log("acme", "k3"):
        pass


class Keys:
    """Which stand, and how often that was asked."""

    def __init__(self, *good: str) -> None:
        self.good = set(good)
        self.asked: list[set[str]] = []
        self.broken = False

    async def standing(self, keys: Collection[str]) -> Collection[str]:
        self.asked.append(set(keys))
        if self.broken:
            self.broken = False
            raise DatabaseUnavailable("planted")
        return self.good & set(keys)


async def until_asked(keys: Keys, times: int) -> None:
    await until(lambda: len(keys.asked) >= times)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_places, "RECHECK_SECONDS", 0)


@pytest.mark.usefixtures("_at_once")
async def test_a_revoked_key_ends_its_own_places_and_no_others(tails: Subscriptions) -> None:
    keys = Keys("stands", "falls")
    checking = asyncio.create_task(tails.end_revoked(keys.standing))
    with (
        tails.notifications("acme", "ann", "stands") as stays,
        tails.notifications("acme", "ann", "falls") as first,
        tails.log("acme", "falls") as second,
        tails.notifications("acme", "ann", "") as shown_none,
    ):
        await until_asked(keys, 2)
        assert not any(place.over for place in (stays, first, second, shown_none))
        keys.good.remove("falls")
        keys.broken = True  # Once: what cannot be checked now is checked soon.
        await until_asked(keys, len(keys.asked) + 4)

        assert [place.revoked for place in (first, second)] == [True, True]
        assert all(place.over and place.woken.is_set() for place in (first, second))
        assert not any(place.over for place in (stays, shown_none))
    checking.cancel()
    assert all(asked == {"stands", "falls"} for asked in keys.asked), "all with one question"


@pytest.mark.usefixtures("_at_once")
async def test_where_nobody_waits_no_key_is_looked_up(tails: Subscriptions) -> None:
    keys = Keys()
    checking = asyncio.create_task(tails.end_revoked(keys.standing))
    for _ in range(10):
        await asyncio.sleep(0)
    checking.cancel()

    assert keys.asked == []


# -- Streams -----------------------------------------------------------------------


class Caller:
    """Somebody who follows the log in this process, and how often it was looked into for it."""

    def __init__(self, tails: Subscriptions) -> None:
        self.looked = 0
        self.heard: list[bytes] = []
        self.frames: list[Frames] = []
        self.hangs_up = asyncio.Event()
        call = Call({}, {})
        call.receive, call.send = self._receive, self._send
        self.following = asyncio.create_task(stream(call, tails.log("acme", "k1"), 0, self._look))

    async def _receive(self) -> MutableMapping[str, Any]:
        await self.hangs_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        self.heard.append(message.get("body", b""))

    async def _look(self, after: int) -> Frames:
        self.looked += 1
        nothing = Frames(body=b"", after=after, more=False)
        return self.frames.pop(0) if self.frames else nothing

    async def until_looked(self, times: int) -> None:
        await until(lambda: self.looked >= times)
        for _ in range(IDLE_TURNS):  # Whoever looked too often would have had the time for it.
            await asyncio.sleep(0)
        assert self.looked == times


async def test_a_stream_looks_at_first_and_then_only_when_it_is_woken(tails: Subscriptions) -> None:
    caller = Caller(tails)
    await caller.until_looked(1)
    for times in (2, 3):
        tails.wake([SILENT])
        await caller.until_looked(times)
    tails.close()
    await caller.following

    assert caller.heard[-1] == b"", "it has ended, and was not broken off"


async def test_what_is_there_is_said_at_once_page_by_page(tails: Subscriptions) -> None:
    caller = Caller(tails)
    caller.frames = [
        Frames(body=b"one", after=1, more=True),
        Frames(body=b"", after=2, more=True),
        Frames(body=b"two", after=3, more=False),
    ]
    await caller.until_looked(3)
    caller.hangs_up.set()
    await caller.following

    assert [one for one in caller.heard if one] == [b"one", b"two"]


async def test_a_silent_stream_says_that_it_is_there(
    tails: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "KEEPALIVE_SECONDS", 0.01)
    caller = Caller(tails)
    await until(lambda: len(caller.heard) >= 4)
    tails.close()
    await caller.following

    assert {one for one in caller.heard if one} == {b": still here\n\n"}


# -- Hanging up --------------------------------------------------------------------


class Service:
    """Two addresses that wait for what never comes, through the real gate and over real HTTP."""

    def __init__(self) -> None:
        self.tails = Subscriptions()
        self._gates = {
            f"/{name}": Gate(_endpoint(name), handler, _nobody)
            for name, handler in (("poll", self._poll), ("stream", self._stream))
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gates[scope["path"]](scope, receive, send)

    @property
    def taken(self) -> int:
        return len(self.tails._places)

    async def _poll(self, call: Call) -> Reply:
        async with waiting(call, self.tails.notifications("acme", "ann", "k1")) as wait:
            wait.begin()
            await wait.for_news(LONG_SECONDS)
        return Reply(body=b"{}")

    async def _stream(self, call: Call) -> Streamed:
        async def look(after: int) -> Frames:
            return Frames(body=b"", after=after, more=False)

        return await stream(call, self.tails.log("acme", "k1"), 0, look)


def _endpoint(name: str) -> Endpoint:
    async def not_called(_service: object, _call: Call) -> Reply:
        raise NotImplementedError

    return Endpoint(method="GET", path=f"/{name}", name=name, summary="", handler=not_called)


async def _nobody(_text: str, _scope: Scope) -> None:
    return None


@pytest.mark.parametrize("path", ["/poll", "/stream"])
def test_who_hangs_up_frees_its_place(path: str) -> None:
    service = Service()
    with listening(service) as there:
        with socket.create_connection(("127.0.0.1", there.port)) as caller:
            caller.sendall(get(path))
            wait_until(lambda: service.taken == 1)
        wait_until(lambda: service.taken == 0)
