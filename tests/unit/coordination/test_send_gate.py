"""The send gate authorizes holders and blocks others. A block is a result, not an error."""

from dataclasses import replace

import pytest

from quorate.domain.coordination.send_gate import SendAuthorized, SendBlocked
from quorate.domain.identity.agents import ActingAsAnother, AgentNotFound, AgentRef
from quorate.domain.registry import stream_of
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_commands import LEE, send
from tests.unit.support.sample_events import (
    IN_HALF_AN_HOUR,
    acquired,
    agent_lapsed,
    authorized,
    blocked,
    expired,
    heartbeat_received,
    registered,
    released,
    revoked,
)
from tests.unit.support.specification import WINDOW, Scenario, after, given

SOON = after(minutes=2)


def ann_holds_kim(*, until: Timestamp = IN_HALF_AN_HOUR) -> Scenario:
    return given(registered("ann"), registered("bob"), acquired("ann", fence=3, until=until))


def bob_followed_ann() -> Scenario:
    """The lease of ann expired while ann was paused; bob holds the contact with fence 5."""
    return ann_holds_kim(until=SOON).and_given(
        expired("ann", until=SOON, at=SOON),
        acquired("bob", lease="next", fence=5, until=after(minutes=32), at=SOON),
    )


def test_holder_may_send() -> None:
    ann_holds_kim().when(send("ann")).then(authorized("ann", fence=3))


def test_holder_may_send_with_its_fence() -> None:
    ann_holds_kim().when(send("ann", fence=3)).then(authorized("ann", fence=3))


def test_contact_held_by_another_agent_is_blocked() -> None:
    ann_holds_kim().when(send("bob")).then(
        blocked("bob", "lease_conflict", holder="ann", until=IN_HALF_AN_HOUR)
    )


def test_free_contact_is_authorized() -> None:
    ann_holds_kim().when(send("bob", LEE)).then(authorized("bob", LEE))


def test_fence_does_not_authorize_a_contact_held_by_another_agent() -> None:
    ann_holds_kim().when(send("bob", fence=3)).then(
        blocked("bob", "lease_conflict", holder="ann", until=IN_HALF_AN_HOUR, fence=3)
    )


@pytest.mark.parametrize("fence", [0, 2, 4, 10**15])
def test_fence_that_differs_from_the_lease_is_stale(fence: int) -> None:
    ann_holds_kim().when(send("ann", fence=fence)).then(blocked("ann", "stale_fence", fence=fence))


def test_fence_for_a_free_contact_is_stale() -> None:
    ann_holds_kim().and_given(released("ann")).when(send("ann", fence=3)).then(
        blocked("ann", "stale_fence", fence=3)
    )


def test_paused_holder_is_blocked_when_another_agent_holds_the_contact() -> None:
    bob_followed_ann().when(send("ann", fence=3)).then(
        blocked("ann", "lease_conflict", holder="bob", until=after(minutes=32), fence=3, at=SOON)
    )


def test_paused_holder_is_blocked_when_the_contact_is_free() -> None:
    ann_holds_kim(until=SOON).when(send("ann", fence=3), at=SOON).then(
        expired("ann", until=SOON, at=SOON), blocked("ann", "stale_fence", fence=3, at=SOON)
    )


def test_fence_is_valid_until_the_last_millisecond() -> None:
    at = Timestamp(SOON - 1)

    ann_holds_kim(until=SOON).when(send("ann", fence=3), at=at).then(
        authorized("ann", fence=3, at=at)
    )


def test_old_fence_of_the_current_holder_is_stale() -> None:
    ann_holds_kim().and_given(released("ann"), acquired("ann", lease="next", fence=5)).when(
        send("ann", fence=3)
    ).then(blocked("ann", "stale_fence", fence=3))


def test_no_smaller_fence_is_authorized_after_a_larger_one() -> None:
    scenario = bob_followed_ann().and_given(heartbeat_received("ann", at=SOON))
    scenario.when(send("bob", fence=5)).then(authorized("bob", fence=5, at=SOON))

    for name in ("ann", "bob"):
        for fence in range(5):
            outcome = scenario.execute(send(name, fence=fence), SOON)
            assert isinstance(outcome.result, SendBlocked)


def test_timed_out_holder_is_blocked_with_its_fence() -> None:
    late = after(milliseconds=WINDOW + 1)

    ann_holds_kim().when(send("ann", fence=3), at=late).then(
        agent_lapsed("ann", at=late),
        revoked("ann", at=late),
        blocked("ann", "stale_fence", fence=3, at=late),
    )


def test_timed_out_holder_blocks_no_other_agent() -> None:
    late = after(milliseconds=WINDOW + 1)

    ann_holds_kim().and_given(heartbeat_received("bob", at=SOON)).when(send("bob"), at=late).then(
        agent_lapsed("ann", at=late), revoked("ann", at=late), authorized("bob", at=late)
    )


def test_unknown_agent_is_not_found() -> None:
    given().when(send("ann")).then_rejected(AgentNotFound())


def test_agent_key_sends_for_no_other_agent() -> None:
    command = replace(send("bob"), agent=AgentRef(id="agent_ann"))

    ann_holds_kim().when(command).then_rejected(ActingAsAnother("agent_bob"))


def test_result_is_the_recorded_event() -> None:
    assert isinstance(ann_holds_kim().when(send("ann")).outcome.result, SendAuthorized)
    assert isinstance(ann_holds_kim().when(send("bob")).outcome.result, SendBlocked)


def test_sends_to_a_contact_form_one_stream() -> None:
    events = (authorized("ann"), blocked("bob", "stale_fence", fence=1))

    assert {stream_of(entry.event) for entry in events} == {"send-kim@example.com"}
