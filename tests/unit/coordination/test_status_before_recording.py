"""Deadlines take effect for queries before their events are recorded; queries record nothing."""

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
    agent_lapsed,
    decided,
    heartbeat_received,
    proposal_expired,
    proposed,
    registered,
    released,
    revoked,
    voted,
)
from tests.unit.support.specification import WINDOW, Scenario, after, given

SOON = after(minutes=2)
AT_THE_WINDOW = after(milliseconds=WINDOW)
PAST_THE_WINDOW = after(milliseconds=WINDOW + 1)


def status_at(scenario: Scenario, at: Timestamp) -> leases.Status:
    lease = scenario.tenant_state[LEASES]["lease"]
    return lease_status(lease, scenario.tenant_state[AGENTS][lease.agent_id], at)


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
def test_lease_status_equals_the_status_recorded_later(
    until: Timestamp, at: Timestamp, status: leases.Status
) -> None:
    scenario = given(registered("ann"), acquired("ann", fence=2, until=until))
    before = len(scenario.events)

    assert status_at(scenario, at) == status
    assert len(scenario.events) == before

    scenario.execute(RecordDue(aggregate="agent", id="agent_ann"), at)
    scenario.execute(RecordDue(aggregate="lease", id="lease"), at)
    assert scenario.tenant_state[LEASES]["lease"].status == status


def test_recorded_lease_status_is_final() -> None:
    taken = given(registered("ann"), acquired("ann", fence=2)).and_given(released("ann"))
    lost = given(registered("ann"), acquired("ann", fence=2)).and_given(
        agent_lapsed("ann", at=PAST_THE_WINDOW),
        revoked("ann", at=PAST_THE_WINDOW),
        heartbeat_received("ann", at=PAST_THE_WINDOW),
    )

    assert status_at(taken, after(hours=1)) == "released"
    assert status_at(lost, PAST_THE_WINDOW) == "revoked"


@pytest.mark.parametrize(
    ("at", "status"),
    [
        (Timestamp(IN_FIVE_MINUTES - 1), "pending"),
        (IN_FIVE_MINUTES, "expired"),
        (after(hours=1), "expired"),
    ],
)
def test_proposal_status_equals_the_status_recorded_later(
    at: Timestamp, status: consensus.Status
) -> None:
    scenario = given(registered("ann"), proposed("ann", among=1))

    assert request_status(scenario.tenant_state[CONSENSUS]["request"], at) == status
    scenario.execute(RecordDue(aggregate="consensus", id="request"), at)
    assert scenario.tenant_state[CONSENSUS]["request"].status == status


def test_recorded_proposal_status_is_final() -> None:
    scenario = given(registered("ann"), proposed("ann", among=1))
    approved = given(
        *scenario.events,
        voted("ann", "approve"),
        decided("approved", among=("ann",), approvals=1),
    )
    expired = given(*scenario.events, proposal_expired("ann", at=IN_FIVE_MINUTES))

    for ended, status in ((approved, "approved"), (expired, "expired")):
        request = ended.tenant_state[CONSENSUS]["request"]
        assert request_status(request, after(hours=1)) == status
