"""What is due is true before the log says so; a reader sees it at once, and records nothing."""

import pytest

from quorate.domain.coordination import consensus, leases
from quorate.domain.coordination.consensus import CONSENSUS
from quorate.domain.coordination.leases import LEASES
from quorate.domain.coordination.status import lease_status, request_status
from quorate.domain.identity.agents import AGENTS
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_events import (
    IN_FIVE_MINUTES,
    acquired,
    beat,
    decided,
    lapsed,
    proposed,
    registered,
    released,
    revoked,
    timed_out,
    voted,
)
from tests.unit.support.specification import WINDOW, Story, after, given

SOON = after(minutes=2)
AT_THE_WINDOW = after(milliseconds=WINDOW)
PAST_THE_WINDOW = after(milliseconds=WINDOW + 1)


def seen(story: Story, at: Timestamp) -> leases.Status:
    lease = story.tenant_state[LEASES]["lease"]
    return lease_status(lease, story.tenant_state[AGENTS][lease.agent_id], at)


@pytest.mark.parametrize(
    ("until", "at", "status"),
    [
        (SOON, Timestamp(SOON - 1), "active"),
        (SOON, SOON, "expired"),
        (SOON, after(hours=1), "expired"),
        (AT_THE_WINDOW, AT_THE_WINDOW, "expired"),
        (AT_THE_WINDOW, PAST_THE_WINDOW, "expired"),
        (PAST_THE_WINDOW, AT_THE_WINDOW, "active"),
        (PAST_THE_WINDOW, PAST_THE_WINDOW, "revoked"),
        (after(hours=1), AT_THE_WINDOW, "active"),
        (after(hours=1), PAST_THE_WINDOW, "revoked"),
        (after(hours=1), after(hours=2), "revoked"),
    ],
)
def test_a_lease_is_seen_as_it_will_be_recorded(
    until: Timestamp, at: Timestamp, status: leases.Status
) -> None:
    story = given(registered("ann"), acquired("ann", fence=2, until=until))
    before = len(story.facts)

    assert seen(story, at) == status
    assert len(story.facts) == before

    story.ask(RecordDue(aggregate="agent", id="agent_ann"), at)
    story.ask(RecordDue(aggregate="lease", id="lease"), at)
    assert story.tenant_state[LEASES]["lease"].status == status


def test_what_was_recorded_is_seen_for_ever() -> None:
    taken = given(registered("ann"), acquired("ann", fence=2)).and_given(released("ann"))
    lost = given(registered("ann"), acquired("ann", fence=2)).and_given(
        lapsed("ann", at=PAST_THE_WINDOW),
        revoked("ann", at=PAST_THE_WINDOW),
        beat("ann", at=PAST_THE_WINDOW),
    )

    assert seen(taken, after(hours=1)) == "released"
    assert seen(lost, PAST_THE_WINDOW) == "revoked"


@pytest.mark.parametrize(
    ("at", "status"),
    [
        (Timestamp(IN_FIVE_MINUTES - 1), "pending"),
        (IN_FIVE_MINUTES, "expired"),
        (after(hours=1), "expired"),
    ],
)
def test_a_request_is_seen_as_it_will_be_recorded(at: Timestamp, status: consensus.Status) -> None:
    story = given(registered("ann"), proposed("ann", among=1))

    assert request_status(story.tenant_state[CONSENSUS]["request"], at) == status
    story.ask(RecordDue(aggregate="consensus", id="request"), at)
    assert story.tenant_state[CONSENSUS]["request"].status == status


def test_a_request_that_has_ended_is_seen_as_it_ended() -> None:
    story = given(registered("ann"), proposed("ann", among=1))
    approved = given(
        *story.facts,
        voted("ann", "approve"),
        decided("approved", among=("ann",), approvals=1),
    )
    expired = given(*story.facts, timed_out("ann", at=IN_FIVE_MINUTES))

    for ended, status in ((approved, "approved"), (expired, "expired")):
        request = ended.tenant_state[CONSENSUS]["request"]
        assert request_status(request, after(hours=1)) == status
