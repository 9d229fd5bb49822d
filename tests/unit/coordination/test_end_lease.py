"""An operator ends a lease of any agent, once."""

import orjson
import pytest

from quorate.domain.coordination.leases import LEASES, EndLease, LeaseNotFound
from quorate.domain.coordination.send_gate import SendBlocked
from quorate.domain.registry import notifications_of
from quorate.eventlog.serialization import encode
from tests.unit.support.sample_commands import (
    KIM,
    TENANT_KEY,
    acquire,
    id_of,
    key_of,
    release,
    send,
)
from tests.unit.support.sample_events import (
    IN_HALF_AN_HOUR,
    acquired,
    expired,
    heartbeat_received,
    lease_held,
    registered,
    released,
    revoked,
)
from tests.unit.support.specification import TimedEvent, after, given

HELD = (registered("ann"), registered("bob"), acquired("ann", fence=3))
MINUTE = after(minutes=1)
END = EndLease(lease_id="lease", detail="Kim asked for a pause")


def ended(*contenders: str) -> TimedEvent:
    detail = "Kim asked for a pause"
    return revoked("ann", reason="operator", detail=detail, contenders=contenders, at=MINUTE)


def test_operator_ends_a_lease_and_says_why() -> None:
    execution = given(*HELD).when(END, at=MINUTE)

    execution.then(ended())
    assert execution.outcome.result.status == "revoked"
    assert execution.outcome.result.ended_at == MINUTE


def test_lease_is_ended_once() -> None:
    scenario = given(*HELD).when(END, at=MINUTE).then(ended())

    again = scenario.when(EndLease(lease_id="lease", detail="again"), at=after(minutes=2))
    again.then_nothing()
    assert again.outcome.result.status == "revoked"
    assert again.outcome.result.ended_at == MINUTE


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (released("ann", at=MINUTE), "released"),
        (expired("ann", until=IN_HALF_AN_HOUR, at=IN_HALF_AN_HOUR), "expired"),
    ],
    ids=["released", "expired"],
)
def test_lease_that_ended_otherwise_stays_as_it_is(end: TimedEvent, status: str) -> None:
    execution = given(*HELD, end).when(END, at=IN_HALF_AN_HOUR)

    execution.then_nothing()
    assert execution.outcome.result.status == status


def test_lease_that_has_run_out_expires_and_is_not_revoked() -> None:
    late = IN_HALF_AN_HOUR
    active = heartbeat_received("ann", until=after(minutes=60))
    execution = given(*HELD, active).when(END, at=late)

    execution.then(expired("ann", until=late, at=late))
    assert execution.outcome.result.status == "expired"


def test_unknown_lease_cannot_be_ended() -> None:
    given(*HELD).when(EndLease(lease_id="other", detail="x")).then_rejected(LeaseNotFound())


def test_holder_and_contenders_are_notified() -> None:
    scenario = given(*HELD).when(acquire("bob")).then_rejected(lease_held("bob", by="ann"))
    execution = scenario.when(END, at=MINUTE)

    execution.then(ended("bob"))
    (event,) = execution.outcome.events
    found = notifications_of("LeaseRevoked", orjson.loads(encode(event)))
    assert [(one.recipient, one.name) for one in found] == [
        (id_of("ann"), "lease_revoked"),
        (id_of("bob"), "lease_available"),
    ]
    assert found[0].data["detail"] == "Kim asked for a pause"
    assert "detail" not in found[1].data


def test_contact_is_free_for_another_agent_at_once() -> None:
    scenario = given(*HELD).when(END, at=MINUTE).then(ended())

    scenario.when(acquire("bob", lease="next"), at=MINUTE)
    assert scenario.tenant_state[LEASES]["next"].status == "active"
    assert scenario.tenant_state[LEASES]["lease"].status == "revoked"


def test_stale_fence_of_the_holder_is_blocked_and_its_release_changes_nothing() -> None:
    scenario = given(*HELD).when(END, at=MINUTE).then(ended())

    scenario.when(release("lease", by=key_of("ann")), at=MINUTE).then_nothing()
    scenario.when(release("lease", by=TENANT_KEY), at=MINUTE).then_nothing()
    blocked = scenario.when(send("ann", KIM, fence=3), at=MINUTE)
    assert isinstance(blocked.outcome.result, SendBlocked)
