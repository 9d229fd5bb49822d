"""The replica checker accepts a correct run and detects every planted error."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from quorate.eventlog.recorded_event import RecordedEvent
from tests.chaos.crash.clients import AcknowledgedCommand
from tests.chaos.crash.test_log_checker import event as recorded
from tests.chaos.replicas.listeners import Received
from tests.chaos.replicas.replica_checker import (
    ListenerResult,
    expected_for,
    held_by_two,
    wrongly_received,
)

WINDOW_SECONDS = 3.0
LONG_MINUTES, SHORT_MINUTES = 30.0, 1 / 60
LEASE = "/v1/agent/coordination/lease"


# -- Local lease validity ----------------------------------------------------------


def acknowledged(
    agent: str, operation: str, at: float, lease: str = "", minutes: float = 0.0
) -> AcknowledgedCommand:
    """Return a command whose response arrived at ``at``, 10 ms after the request."""
    return AcknowledgedCommand(
        agent=agent,
        operation=operation,
        path=f"{LEASE}/{lease}",
        body={"contactEmail": "Kim@x.y", "durationMinutes": minutes},
        status=200,
        sequence=0,
        response={"id": lease},
        requested_at=at - 0.01,
        responded_at=at,
    )


ANNS = [
    acknowledged("ann", "register", 0.0),
    acknowledged("ann", "acquire", 1.0, "L1", LONG_MINUTES),
    acknowledged("ann", "heartbeat", 2.0),
    acknowledged("ann", "release", 3.0, "L1"),
]
BOBS = [
    acknowledged("bob", "register", 2.5),
    acknowledged("bob", "acquire", 3.1, "L2", LONG_MINUTES),
]


def held(commands: Sequence[AcknowledgedCommand]) -> list[str]:
    return list(held_by_two(commands, WINDOW_SECONDS))


def test_checker_accepts_consecutive_leases() -> None:
    assert held([*ANNS, *BOBS]) == []


def test_checker_detects_two_holders_without_a_release() -> None:
    (finding,) = held([*ANNS[:3], *BOBS])
    assert finding.startswith("kim@x.y was held by ann (L1) and bob (L2)")


def test_checker_detects_two_instances_of_one_agent() -> None:
    first, second = (
        replace(one, body={**one.body, "holder": name})
        for one, name in (
            (ANNS[1], "first"),
            (acknowledged("ann", "acquire", 2.1, "L2", LONG_MINUTES), "second"),
        )
    )

    (finding,) = held([ANNS[0], first, ANNS[2], second])
    assert finding.startswith("kim@x.y was held by ann/first (L1) and ann/second (L2)")


def test_checker_accepts_a_lease_that_supersedes_another_of_its_holder() -> None:
    again = acknowledged("ann", "acquire", 2.1, "L9", LONG_MINUTES)
    released = acknowledged("ann", "release", 3.0, "L9")

    assert held([*ANNS[:3], again, released, *BOBS]) == []


@pytest.mark.parametrize("missing", [1, 2])
def test_checker_ignores_an_agent_without_a_valid_lease(missing: int) -> None:
    """The agent had no lease, or its heartbeats had ended long before."""
    anns = [*ANNS[:missing], *ANNS[missing + 1 : 3]]
    late = [
        acknowledged("bob", "register", 2.5),
        acknowledged("bob", "acquire", 2.99, "L2", LONG_MINUTES),
    ]

    assert held([*anns, *late]) == []


def test_checker_accepts_a_grant_after_expiration() -> None:
    short = replace(ANNS[1], body={**ANNS[1].body, "durationMinutes": SHORT_MINUTES})

    assert held([ANNS[0], short, ANNS[2], *BOBS]) == []


# -- Received events ---------------------------------------------------------------


def event(sequence: int, type_: str, **data: str) -> RecordedEvent:
    return recorded(sequence, 0, type_, **data)


LOG = [
    event(1, "LeaseExpired", leaseId="L1", agentId="A", contactKey="k", contactEmail="k"),
    event(2, "HeartbeatReceived", agentId="A"),
    event(3, "LeaseExpired", leaseId="L2", agentId="B", contactKey="k", contactEmail="k"),
    event(4, "LeaseExpired", leaseId="L3", agentId="A", contactKey="k", contactEmail="k"),
]
FOLLOWED = ListenerResult(
    name="the stream listener", received=expected_for(ListenerResult(name="", received=()), LOG)
)
ANN = expected_for(ListenerResult(name="", received=(), agent_id="A"), LOG)


def test_checker_accepts_complete_and_ordered_events() -> None:
    assert list(wrongly_received(FOLLOWED, LOG)) == []
    assert [one.sequence for one in ANN] == [1, 4]
    assert list(wrongly_received(ListenerResult(name="ann", received=ANN, agent_id="A"), LOG)) == []


@pytest.mark.parametrize(
    ("order", "finding"),
    [
        (
            [1, 3, 4],
            "the stream listener received LeaseExpired at 3 as its number 2, and HeartbeatReceived",
        ),
        ([1, 3, 2, 4], "HeartbeatReceived at 2 as number 3"),
        ([1, 2, 2, 3, 4], "HeartbeatReceived at 2 as its number 3, expected LeaseExpired at 3"),
        ([1, 2, 3], "received nothing as its number 4, expected LeaseExpired at 4"),
        ([1, 2, 3, 4, 4], "as its number 5, expected nothing"),
    ],
)
def test_checker_detects_missing_swapped_and_duplicate_events(
    order: list[int], finding: str
) -> None:
    received = [FOLLOWED.received[sequence - 1] for sequence in order]
    (found,) = wrongly_received(replace(FOLLOWED, received=received), LOG)

    assert finding in found


def test_checker_detects_a_forged_event() -> None:
    forged = Received(sequence=2, id="9", name="HeartbeatReceived")
    (found,) = wrongly_received(replace(FOLLOWED, received=[FOLLOWED.received[0], forged]), LOG)

    assert "received HeartbeatReceived at 2 as its number 2" in found


def test_checker_detects_a_missing_notification() -> None:
    (found,) = wrongly_received(ListenerResult(name="ann", received=ANN[1:], agent_id="A"), LOG)

    assert "lease_expired at 1 never" in found
