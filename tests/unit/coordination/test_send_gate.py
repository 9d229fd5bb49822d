"""A lease only helps if the guarded action asks first. A block is information, not an error."""

from dataclasses import replace

import pytest

from quorate.domain.coordination.send_gate import SendAuthorized, SendBlocked
from quorate.domain.identity.agents import ActingAsAnother, AgentNotFound, AgentRef
from quorate.domain.registry import stream_of
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_events import (
    IN_HALF_AN_HOUR,
    acquired,
    authorized,
    beat,
    blocked,
    expired,
    lapsed,
    registered,
    released,
    revoked,
)
from tests.unit.support.scenario import LEE, send
from tests.unit.support.specification import WINDOW, Story, after, given

SOON = after(minutes=2)


def ann_holds_kim(*, until: Timestamp = IN_HALF_AN_HOUR) -> Story:
    return given(registered("ann"), registered("bob"), acquired("ann", fence=3, until=until))


def bob_followed_ann() -> Story:
    """Ann's lease ran out while she was paused; Bob holds the contact now, under fence 5."""
    return ann_holds_kim(until=SOON).and_given(
        expired("ann", until=SOON, at=SOON),
        acquired("bob", lease="next", fence=5, until=after(minutes=32), at=SOON),
    )


def test_the_holder_may_send() -> None:
    ann_holds_kim().when(send("ann")).then(authorized("ann", fence=3))


def test_the_holder_may_send_under_its_fence() -> None:
    ann_holds_kim().when(send("ann", fence=3)).then(authorized("ann", fence=3))


def test_what_another_agent_holds_is_blocked() -> None:
    ann_holds_kim().when(send("bob")).then(
        blocked("bob", "lease_conflict", holder="ann", until=IN_HALF_AN_HOUR)
    )


def test_a_contact_that_nobody_holds_is_free_to_send_to() -> None:
    ann_holds_kim().when(send("bob", LEE)).then(authorized("bob", LEE))


def test_a_fence_is_no_pass_where_another_agent_holds() -> None:
    ann_holds_kim().when(send("bob", fence=3)).then(
        blocked("bob", "lease_conflict", holder="ann", until=IN_HALF_AN_HOUR, fence=3)
    )


@pytest.mark.parametrize("fence", [0, 2, 4, 10**15])
def test_another_fence_than_that_of_the_lease_is_stale(fence: int) -> None:
    ann_holds_kim().when(send("ann", fence=fence)).then(blocked("ann", "stale_fence", fence=fence))


def test_a_fence_for_a_contact_that_is_free_is_stale() -> None:
    ann_holds_kim().and_given(released("ann")).when(send("ann", fence=3)).then(
        blocked("ann", "stale_fence", fence=3)
    )


def test_a_holder_that_was_paused_past_its_lease_is_blocked_when_another_holds() -> None:
    bob_followed_ann().when(send("ann", fence=3)).then(
        blocked("ann", "lease_conflict", holder="bob", until=after(minutes=32), fence=3, at=SOON)
    )


def test_a_holder_that_was_paused_past_its_lease_is_blocked_even_where_nobody_holds() -> None:
    ann_holds_kim(until=SOON).when(send("ann", fence=3), at=SOON).then(
        expired("ann", until=SOON, at=SOON), blocked("ann", "stale_fence", fence=3, at=SOON)
    )


def test_until_the_last_millisecond_the_fence_is_good() -> None:
    at = Timestamp(SOON - 1)

    ann_holds_kim(until=SOON).when(send("ann", fence=3), at=at).then(
        authorized("ann", fence=3, at=at)
    )


def test_a_fence_that_came_back_to_the_same_agent_is_still_stale() -> None:
    ann_holds_kim().and_given(released("ann"), acquired("ann", lease="next", fence=5)).when(
        send("ann", fence=3)
    ).then(blocked("ann", "stale_fence", fence=3))


def test_once_a_fence_was_let_through_no_smaller_one_is() -> None:
    story = bob_followed_ann().and_given(beat("ann", at=SOON))
    story.when(send("bob", fence=5)).then(authorized("bob", fence=5, at=SOON))

    for name in ("ann", "bob"):
        for fence in range(5):
            answer = story.ask(send(name, fence=fence), SOON)
            assert isinstance(answer.outcome, SendBlocked)


def test_a_holder_that_lapsed_is_blocked_under_its_fence() -> None:
    late = after(milliseconds=WINDOW + 1)

    ann_holds_kim().when(send("ann", fence=3), at=late).then(
        lapsed("ann", at=late),
        revoked("ann", at=late),
        blocked("ann", "stale_fence", fence=3, at=late),
    )


def test_a_lapsed_holder_blocks_nobody() -> None:
    late = after(milliseconds=WINDOW + 1)

    ann_holds_kim().and_given(beat("bob", at=SOON)).when(send("bob"), at=late).then(
        lapsed("ann", at=late), revoked("ann", at=late), authorized("bob", at=late)
    )


def test_who_is_unknown_is_not_found() -> None:
    given().when(send("ann")).then_refused(AgentNotFound())


def test_nobody_sends_in_the_name_of_another() -> None:
    command = replace(send("bob"), agent=AgentRef(id="agent_ann"))

    ann_holds_kim().when(command).then_refused(ActingAsAnother("agent_bob"))


def test_the_answer_is_the_fact() -> None:
    assert isinstance(ann_holds_kim().when(send("ann")).answer.outcome, SendAuthorized)
    assert isinstance(ann_holds_kim().when(send("bob")).answer.outcome, SendBlocked)


def test_the_sends_to_a_contact_are_one_stream() -> None:
    facts = (authorized("ann"), blocked("bob", "stale_fence", fence=1))

    assert {stream_of(fact.event) for fact in facts} == {"send-kim@example.com"}
