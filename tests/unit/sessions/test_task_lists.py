"""Rules of task lists: transitions, blockers, versions, claims that lapse, policies, followers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.domain.identity.agents import AgentInactive, AgentNotFound, AgentRef
from quorate.domain.registry import notifications_of
from quorate.domain.sessions import task_lists
from quorate.domain.sessions.list_items import (
    CLAIMS_PER_AGENT_MAX,
    ListItemReleased,
    TooManyClaims,
)
from quorate.domain.sessions.policies import SessionAccessDenied, ToolDenied
from quorate.domain.sessions.task_lists import (
    FOLLOWERS_MAX,
    LISTS_PER_TENANT_MAX,
    BlockedInCircle,
    BlockerNotFound,
    TaskListNotEmpty,
    TaskListNotFound,
    TooManyFollowers,
    TooManyListItems,
    TooManyTaskLists,
)
from quorate.eventlog.serialization import encode
from tests.unit.sessions.list_model import Lists, Refused
from tests.unit.support.sample_commands import TENANT_KEY, deregister, heartbeat, register
from tests.unit.support.specification import after


@pytest.fixture
def lists() -> Lists:
    return Lists()


def refused(action: Callable[[], Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        action()
    return caught.value


# -- Transitions ---------------------------------------------------------------


def test_item_is_pending_then_in_progress_then_completed(lists: Lists) -> None:
    assert (lists.create().number, lists.status()) == (1, ("pending", None))
    assert lists.claim("bob").version == 2
    assert lists.status() == ("in_progress", "bob")
    lists.complete("bob")
    assert lists.status() == ("completed", "bob")


def test_released_item_is_pending_without_an_owner(lists: Lists) -> None:
    lists.create()
    lists.claim("bob")
    assert lists.release("bob").version == 3
    assert lists.status() == ("pending", None)
    lists.claim("ann")
    lists.update("ann", status="pending")
    assert lists.status() == ("pending", None)


@pytest.mark.parametrize(
    ("first", "then", "text"),
    [
        ((), "completed", "task 1 cannot go from pending to completed"),
        (("in_progress", "completed"), "pending", "task 1 cannot go from completed to pending"),
        (("in_progress", "completed"), "in_progress", "from completed to in_progress"),
    ],
)
def test_no_other_transition_is_legal(
    lists: Lists, first: tuple[str, ...], then: str, text: str
) -> None:
    lists.create()
    for status in first:
        lists.update("ann", status=status)
    assert text in refused(lambda: lists.update("ann", status=then)).text


def test_claimed_item_cannot_be_claimed_by_another_agent(lists: Lists) -> None:
    lists.create()
    lists.claim("ann")
    text = refused(lambda: lists.claim("bob")).text
    assert text == "task 1 cannot be claimed: current status is in_progress"
    assert lists.claim("ann").version == 2, "a repetition changes nothing"
    lists.complete("ann")
    assert "current status is completed" in refused(lambda: lists.claim("ann")).text


@pytest.mark.parametrize("action", ["complete", "release", "delete"])
def test_only_the_owner_or_a_tenant_key_ends_a_claim(lists: Lists, action: str) -> None:
    lists.create()
    lists.claim("ann")
    end = getattr(lists, action)
    assert refused(lambda: end("bob")).text == "task 1 is claimed by ann"
    end("bob", by=TENANT_KEY, agent=AgentRef(name="bob"))
    assert lists.notified[0][1] == ("ann",), "who loses the item is notified"


def test_unknown_item_is_not_found(lists: Lists) -> None:
    lists.create()
    for id_ in ("2", "item_9", "0"):
        assert refused(partial(lists.claim, "ann", id_)).text == f"task not found: {id_}"
    assert lists.claim("ann", "item_1", list_id="other").number == 1, "its id names its list"


def test_version_that_was_expected_is_compared(lists: Lists) -> None:
    lists.create()
    lists.update("ann", subject="new", expected_version=1)
    error = refused(lambda: lists.claim("bob", expected_version=1))
    assert error.text == "task 1 has version 2, not 1"
    assert lists.claim("bob", expected_version=2).version == 3


def test_update_without_a_change_records_nothing(lists: Lists) -> None:
    lists.create(subject="s", description="d")
    lists.update("ann", subject="s", description="d", blocked_by=(), status="pending")
    assert lists.outcome.events == ()
    both = lists.update("ann", subject="t", status="in_progress")
    assert (both.version, both.subject, both.status) == (3, "t", "in_progress")


# -- Claims --------------------------------------------------------------------


def test_claims_end_when_their_agent_times_out(lists: Lists) -> None:
    lists.create()
    lists.create(list_id="other")
    lists.follow("cid")
    lists.claim("ann")
    lists.claim("ann", "1", list_id="other")
    lists.at(after(minutes=4)).run(heartbeat("bob"))
    lists.at(after(minutes=6))
    assert lists.claim("bob").owner_name == "bob", "the lapse is recorded before the decision"
    released = [one for one in lists.outcome.events if isinstance(one, ListItemReleased)]
    assert [(one.list_id, one.reason) for one in released] == [
        ("default", "agent_inactive"),
        ("other", "agent_inactive"),
    ]
    assert ("ListItemReleased", ("cid", "ann")) in lists.notified


def test_claims_end_when_their_agent_deregisters(lists: Lists) -> None:
    lists.create()
    lists.claim("ann")
    lists.run(deregister("ann"))
    assert lists.status() == ("pending", None)
    assert [one.reason for one in lists.outcome.events if isinstance(one, ListItemReleased)] == [
        "agent_deregistered"
    ]


def test_completed_item_keeps_its_agent_after_a_lapse(lists: Lists) -> None:
    lists.create()
    lists.claim("ann")
    lists.complete("ann")
    lists.at(after(minutes=6)).run(heartbeat("ann"))
    assert lists.status() == ("completed", "ann")


def test_inactive_agent_claims_nothing(lists: Lists) -> None:
    lists.create()
    lists.at(after(minutes=6))
    assert refused(lambda: lists.claim("ann")).kind is AgentInactive


def test_agent_claims_a_limited_number_of_items(lists: Lists) -> None:
    for number in range(CLAIMS_PER_AGENT_MAX + 1):
        lists.create()
        if number < CLAIMS_PER_AGENT_MAX:
            lists.claim("ann", str(number + 1))
    last = str(CLAIMS_PER_AGENT_MAX + 1)
    assert refused(lambda: lists.claim("ann", last)).kind is TooManyClaims
    assert refused(lambda: lists.update("bob", last, owner_name="ann")).kind is TooManyClaims
    lists.claim("bob", last)


def test_item_is_handed_over_to_an_active_agent(lists: Lists) -> None:
    lists.create()
    lists.update("ann", owner_name="Bob")
    assert lists.status() == ("in_progress", "bob")
    assert lists.notified == [("ListItemClaimed", ("bob",))]
    assert refused(lambda: lists.update("ann", owner_name="ann")).text == "task 1 is claimed by bob"
    lists.update("bob", owner_name="cid")
    assert lists.status() == ("in_progress", "cid")
    assert refused(lambda: lists.update("cid", owner_name="nobody")).kind is AgentNotFound
    lists.at(after(minutes=4)).run(heartbeat("cid"))
    lists.at(after(minutes=6))
    assert refused(lambda: lists.update("cid", owner_name="bob")).kind is AgentInactive


# -- Blockers ------------------------------------------------------------------


def test_blocked_item_is_neither_claimed_nor_completed(lists: Lists) -> None:
    lists.create()
    lists.create()
    lists.create(blocked_by=(1, 2))
    text = "task 3 is blocked by incomplete tasks: 1, 2"
    assert refused(lambda: lists.claim("ann", "3")).text == text
    assert refused(lambda: lists.update("ann", "3", status="in_progress")).text == text
    assert refused(lambda: lists.update("ann", "3", owner_name="bob")).text == text
    lists.claim("bob", "1")
    lists.complete("bob", "1")
    assert refused(lambda: lists.claim("ann", "3")).text.endswith(": 2")
    lists.claim("bob", "2")
    lists.complete("bob", "2")
    lists.claim("ann", "3")
    lists.create()
    lists.update("ann", "3", blocked_by=(4,))
    assert refused(lambda: lists.complete("ann", "3")).text.endswith(": 4")
    lists.update("ann", "3", blocked_by=(), status="completed")
    assert lists.status(3) == ("completed", "ann")


def test_blocker_must_exist_in_the_list(lists: Lists) -> None:
    lists.create(list_id="other")
    assert refused(lambda: lists.create(blocked_by=(1,))).kind is BlockedInCircle, "itself"
    assert refused(lambda: lists.create(blocked_by=(2,))).kind is BlockerNotFound
    lists.create()
    assert refused(lambda: lists.update("ann", blocked_by=(9,))).kind is BlockerNotFound


def test_circle_of_blockers_is_refused(lists: Lists) -> None:
    for number in range(3):
        lists.create(blocked_by=(number,) if number else ())
    error = refused(lambda: lists.update("ann", "1", blocked_by=(3,)))
    assert error.text == "blocked_by makes a circle: 1 -> 3 -> 2 -> 1"


def test_item_that_blocks_others_is_not_deleted(lists: Lists) -> None:
    lists.create()
    lists.create(blocked_by=(1,))
    assert refused(lambda: lists.delete("ann")).text == "task 1 blocks tasks: 2"
    lists.claim("ann")
    lists.complete("ann")
    lists.delete("ann")
    assert refused(lambda: lists.update("ann", blocked_by=())).text == "task not found: 1"
    lists.claim("ann", "2")
    assert lists.create().number == 3, "a number is not given again"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.lists(st.integers(1, 6), max_size=3, unique=True)),
        max_size=25,
    )
)
def test_blockers_never_make_a_circle(edges: list[tuple[int, list[int]]]) -> None:
    """A graph is free of circles if its nodes can be removed one by one, free ones first."""
    lists = Lists()
    for _ in range(6):
        lists.create()
    for number, blockers in edges:
        graph = {one: set(lists.item(one).blocked_by) for one in range(1, 7)}
        graph[number] = set(blockers)
        while free := [one for one, left in graph.items() if not left & graph.keys()]:
            for one in free:
                del graph[one]
        try:
            lists.update("ann", str(number), blocked_by=tuple(blockers))
            assert not graph
        except Refused:
            assert graph


# -- Lists ---------------------------------------------------------------------


def test_numbers_are_counted_for_each_list(lists: Lists) -> None:
    assert [lists.create(list_id=one).number for one in ("a", "b", "a")] == [1, 1, 2]


def test_list_has_a_limited_number_of_items(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.domain.sessions.list_item_commands.ITEMS_PER_LIST_MAX", 2)
    lists.create()
    lists.create()
    assert refused(lists.create).kind is TooManyListItems
    lists.delete("ann")
    assert lists.create().number == 3


def test_tenant_has_a_limited_number_of_lists(lists: Lists) -> None:
    full = LISTS_PER_TENANT_MAX
    assert refused(lambda: lists.create(count=full)).kind is TooManyTaskLists
    assert refused(lambda: lists.follow("ann", count=full)).kind is TooManyTaskLists
    lists.create(count=full - 1)
    lists.create(count=full)


def test_only_an_empty_list_is_deleted(lists: Lists) -> None:
    assert refused(lambda: lists.delete_list("ann")).kind is TaskListNotFound
    lists.create()
    assert refused(lambda: lists.delete_list("ann")).kind is TaskListNotEmpty
    lists.delete("ann")
    lists.delete_list("ann")
    assert refused(lambda: lists.delete_list("ann")).kind is TaskListNotFound
    assert lists.create().number == 1, "a new list counts from 1"


def test_followers_are_notified_of_each_change(lists: Lists) -> None:
    lists.follow("cid")
    lists.follow("cid")
    assert not lists.outcome.events
    lists.create()
    events: tuple[Any, ...] = tuple(lists.outcome.events)
    event = events[0]
    (sent,) = notifications_of("ListItemCreated", orjson.loads(encode(event)))
    assert (sent.recipient, sent.name) == ("agent_cid", "list_item_changed")
    assert sent.data["change"] == "created"
    assert sent.data["id"] == "1"
    lists.claim("cid")
    lists.update("bob", subject="t")
    assert lists.notified == [("ListItemUpdated", ("cid",))], "follower and owner once"
    lists.unfollow("cid")
    lists.complete("cid")
    assert not lists.notified


def test_list_has_a_limited_number_of_followers(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FOLLOWERS_MAX >= 2
    monkeypatch.setattr(task_lists, "FOLLOWERS_MAX", 1)
    lists.follow("ann")
    assert refused(lambda: lists.follow("bob")).kind is TooManyFollowers


# -- Policies ------------------------------------------------------------------


def test_policy_without_the_tool_permits_no_change(lists: Lists) -> None:
    lists.preset("observer", tools={"allow": ["sessions_list"]})
    lists.create()
    actions: tuple[Callable[..., Any], ...] = (lists.create, lists.follow, lists.claim)
    for action in (*actions, lists.delete):
        assert refused(partial(action, "bob", presets=("observer",))).kind is ToolDenied


def test_policy_on_sessions_limits_lists_to_its_own(lists: Lists) -> None:
    lists.preset("own", sessions={"can_send": True})
    lists.preset("named", sessions={"allowed_keys": ["list:default"]})
    lists.preset("all", sessions={"cross_agent": True})
    lists.create("ann")
    error = refused(lambda: lists.claim("bob", presets=("own",)))
    assert error.text == "session access denied: list:default"
    assert refused(lambda: lists.create("bob", presets=("own",))).kind is SessionAccessDenied
    assert refused(lambda: lists.claim("bob", "9", presets=("own",))).kind is SessionAccessDenied
    lists.create("bob", "mine", presets=("own",))
    assert refused(lambda: lists.create("ann", "b", presets=("named",))).kind is SessionAccessDenied
    lists.claim("bob", presets=("named",))
    lists.release("bob", presets=("all",))
    assert refused(lambda: lists.claim("bob", presets=("gone",))).kind is ToolDenied


def test_agent_that_registers_again_keeps_its_claims(lists: Lists) -> None:
    lists.create()
    lists.claim("ann")
    lists.run(register("ann"))
    assert lists.status() == ("in_progress", "ann")
