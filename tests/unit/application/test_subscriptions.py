"""Subscriptions are woken by matching events and by their end, and free their capacity."""

import asyncio
import itertools
import json
from collections.abc import Collection
from contextlib import ExitStack

import pytest

from quorate.application import subscriptions as subscriptions_module
from quorate.application.subscriptions import Subscriptions
from quorate.contracts.problems import Problem
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable
from tests.conformance.eventlog.conformance import until
from tests.unit.application.subscription_state import has_no_state


def committed(type_: str, tenant: str = "acme", sequence: int = 1, **data: object) -> RecordedEvent:
    return RecordedEvent(
        position=sequence,
        tenant=tenant,
        sequence=sequence,
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
REGISTRATION = committed("AgentRegistered", agentId="dee")
HEARTBEAT = committed("HeartbeatReceived", agentId="ann")
ENDED = committed(
    "LeaseExpired",
    agentId="ann",
    leaseId="lease",
    contactKey="kim",
    contactEmail="Kim",
    contenders=["bob", "cid"],
)


@pytest.fixture
def subscriptions() -> Subscriptions:
    return Subscriptions()


# -- What wakes ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "woken"),
    [
        (CONFLICT, {"ann", "bob"}),
        (ENDED, {"ann", "bob", "cid"}),
        (REGISTRATION, {"ann", "bob", "cid", "dee"}),
        (HEARTBEAT, set()),
        (committed("AgentRegistered", "globex", agentId="ann"), set()),
    ],
    ids=["conflict", "end", "for all", "for no agent", "other tenant"],
)
def test_subscription_of_an_agent_is_woken_by_its_notifications(
    subscriptions: Subscriptions, row: RecordedEvent, woken: set[str]
) -> None:
    with ExitStack() as stack:
        open_subscriptions = {
            name: stack.enter_context(
                subscriptions.subscribe_to_notifications("acme", name, f"key-{name}")
            )
            for name in ("ann", "bob", "cid", "dee")
        }
        subscriptions.wake([HEARTBEAT, row])

        assert {
            name for name, subscription in open_subscriptions.items() if subscription.woken.is_set()
        } == woken


def test_all_subscriptions_of_an_agent_are_woken(subscriptions: Subscriptions) -> None:
    with (
        subscriptions.subscribe_to_notifications("acme", "ann", "k1") as first,
        subscriptions.subscribe_to_notifications("acme", "ann", "k2") as second,
    ):
        subscriptions.wake([CONFLICT])

        assert first.woken.is_set()
        assert second.woken.is_set()


def test_log_subscription_is_woken_by_every_event_of_its_tenant(
    subscriptions: Subscriptions,
) -> None:
    with (
        subscriptions.subscribe_to_log("acme", "k1") as own,
        subscriptions.subscribe_to_log("globex", "k2") as other,
    ):
        subscriptions.wake([HEARTBEAT])

        assert (own.woken.is_set(), other.woken.is_set()) == (True, False)


def test_closed_subscription_leaves_no_state(subscriptions: Subscriptions) -> None:
    with (
        subscriptions.subscribe_to_notifications("acme", "ann", "k1") as left,
        subscriptions.subscribe_to_log("acme", "k2") as gone,
    ):
        pass
    with subscriptions.subscribe_to_notifications("acme", "ann", "k1") as kept:
        with subscriptions.subscribe_to_notifications("acme", "ann", "k1"):
            pass
        subscriptions.wake([CONFLICT])

        assert kept.woken.is_set()
    assert not left.woken.is_set()
    assert not gone.woken.is_set()
    assert has_no_state(subscriptions)


# -- Waiting claims -----------------------------------------------------------------


def offer(task_id: str, preset: str = "coder", tenant: str = "acme") -> RecordedEvent:
    return committed("TaskOffered", tenant, taskId=task_id, preset=preset)


def test_offer_wakes_one_claim_the_longest_waiting_one_first(subscriptions: Subscriptions) -> None:
    tasks = subscriptions.tasks
    with (
        tasks.subscribe_to_offers("globex", ["coder"], "k0") as foreign,
        tasks.subscribe_to_offers("acme", ["writer"], "k1") as writer,
        tasks.subscribe_to_offers("acme", ["coder", "writer"], "k2") as first,
        tasks.subscribe_to_offers("acme", ["coder"], "k3") as second,
    ):
        subscriptions.wake([HEARTBEAT, offer("task_1")])
        assert [one.woken.is_set() for one in (first, second)] == [True, False]

        subscriptions.wake([offer("task_2")])
        assert second.woken.is_set()
        assert not writer.woken.is_set()
        assert not foreign.woken.is_set()
    assert has_no_state(subscriptions)


def test_claim_that_ends_without_a_task_passes_its_turn_on(subscriptions: Subscriptions) -> None:
    tasks = subscriptions.tasks
    with ExitStack() as stack:
        with tasks.subscribe_to_offers("acme", ["coder"], "k1"):
            second = stack.enter_context(tasks.subscribe_to_offers("acme", ["coder"], "k2"))
            subscriptions.wake([offer("task_1")])
            assert not second.woken.is_set()
        assert second.woken.is_set()
    assert has_no_state(subscriptions)


def test_claim_that_took_a_task_passes_no_turn_on(subscriptions: Subscriptions) -> None:
    tasks = subscriptions.tasks
    with ExitStack() as stack:
        with tasks.subscribe_to_offers("acme", ["coder"], "k1") as first:
            second = stack.enter_context(tasks.subscribe_to_offers("acme", ["coder"], "k2"))
            subscriptions.wake([offer("task_1")])
            tasks.took(first)
        assert not second.woken.is_set()
    assert has_no_state(subscriptions)


def test_reader_of_a_task_is_woken_by_its_events_only(subscriptions: Subscriptions) -> None:
    tasks = subscriptions.tasks
    with (
        tasks.subscribe_to_task("acme", "task_1", "k1") as own,
        tasks.subscribe_to_task("acme", "task_2", "k1") as other,
        tasks.subscribe_to_task("globex", "task_1", "k2") as foreign,
    ):
        subscriptions.wake([HEARTBEAT, offer("task_1")])

        assert own.woken.is_set()
        assert not other.woken.is_set()
        assert not foreign.woken.is_set()
    assert has_no_state(subscriptions)


# -- Limits -----------------------------------------------------------------------


def test_subscription_is_rejected_when_none_is_free(
    subscriptions: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions_module, "SUBSCRIPTIONS_MAX", 2)
    with subscriptions.subscribe_to_log("acme", "k1"):
        with subscriptions.subscribe_to_notifications("globex", "eve", "k2"):
            for subscription in (
                subscriptions.subscribe_to_log("acme", "k3"),
                subscriptions.subscribe_to_notifications("initech", "dan", "k4"),
            ):
                with pytest.raises(Problem) as rejected, subscription:
                    pass
                assert (rejected.value.code, rejected.value.status) == ("too_many_streams", 503)
                assert int(rejected.value.headers["Retry-After"]) > 0
        with subscriptions.subscribe_to_notifications("globex", "eve", "k2"):
            pass
    assert has_no_state(subscriptions)


def test_tenant_cannot_take_all_subscriptions(
    subscriptions: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions_module, "SUBSCRIPTIONS_MAX", 8)
    with ExitStack() as stack:
        held = {
            tenant: _open_all_possible(stack, subscriptions, tenant)
            for tenant in ("acme", "globex", "ini")
        }

    assert held == {"acme": 4, "globex": 2, "ini": 1}
    assert has_no_state(subscriptions)


def test_agent_cannot_take_all_subscriptions_of_its_tenant(
    subscriptions: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions_module, "SUBSCRIPTIONS_PER_AGENT_MAX", 2)
    with (
        subscriptions.subscribe_to_notifications("acme", "ann", "k1"),
        subscriptions.subscribe_to_notifications("acme", "ann", "k2"),
    ):
        with pytest.raises(Problem), subscriptions.subscribe_to_notifications("acme", "ann", "k1"):
            pass
        with (
            subscriptions.subscribe_to_notifications("acme", "bob", "k3"),
            subscriptions.subscribe_to_notifications("globex", "ann", "k4"),
        ):
            pass
    assert has_no_state(subscriptions)


def _open_all_possible(stack: ExitStack, subscriptions: Subscriptions, tenant: str) -> int:
    for number in itertools.count():
        try:
            stack.enter_context(subscriptions.subscribe_to_log(tenant, "key"))
        except Problem:
            return number
    raise AssertionError


# -- The end ----------------------------------------------------------------------


def test_close_wakes_all_subscriptions_and_rejects_new_ones(subscriptions: Subscriptions) -> None:
    with (
        subscriptions.subscribe_to_log("acme", "k1") as one,
        subscriptions.subscribe_to_notifications("acme", "ann", "k2") as other,
    ):
        subscriptions.close()

        assert all(
            subscription.has_ended and subscription.woken.is_set() for subscription in (one, other)
        )
        assert not any(subscription.is_revoked for subscription in (one, other))
    with pytest.raises(Problem), subscriptions.subscribe_to_log("acme", "k3"):
        pass


class Keys:
    """Valid keys, and the queries for them."""

    def __init__(self, *valid: str) -> None:
        self.valid = set(valid)
        self.queries: list[set[str]] = []
        self.broken = False

    async def find_active_keys(self, keys: Collection[str]) -> Collection[str]:
        self.queries.append(set(keys))
        if self.broken:
            self.broken = False
            raise DatabaseUnavailable("planted")
        return self.valid & set(keys)


async def until_queried(keys: Keys, times: int) -> None:
    await until(lambda: len(keys.queries) >= times)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions_module, "RECHECK_SECONDS", 0)


@pytest.mark.usefixtures("_at_once")
async def test_revocation_ends_only_the_subscriptions_of_the_key(
    subscriptions: Subscriptions,
) -> None:
    keys = Keys("valid", "revoked")
    checking = asyncio.create_task(subscriptions.end_revoked(keys.find_active_keys))
    with (
        subscriptions.subscribe_to_notifications("acme", "ann", "valid") as kept,
        subscriptions.subscribe_to_notifications("acme", "ann", "revoked") as first,
        subscriptions.subscribe_to_log("acme", "revoked") as second,
        subscriptions.subscribe_to_notifications("acme", "ann", "") as without_key,
    ):
        await until_queried(keys, 2)
        assert not any(
            subscription.has_ended for subscription in (kept, first, second, without_key)
        )
        keys.valid.remove("revoked")
        keys.broken = True  # Once: a failed check is repeated.
        await until_queried(keys, len(keys.queries) + 4)

        assert [subscription.is_revoked for subscription in (first, second)] == [True, True]
        assert all(
            subscription.has_ended and subscription.woken.is_set()
            for subscription in (first, second)
        )
        assert not any(subscription.has_ended for subscription in (kept, without_key))
    checking.cancel()
    assert all(query == {"valid", "revoked"} for query in keys.queries), "one query for all keys"


@pytest.mark.usefixtures("_at_once")
async def test_recheck_queries_no_key_without_subscriptions(subscriptions: Subscriptions) -> None:
    keys = Keys()
    checking = asyncio.create_task(subscriptions.end_revoked(keys.find_active_keys))
    for _ in range(10):
        await asyncio.sleep(0)
    checking.cancel()

    assert keys.queries == []
