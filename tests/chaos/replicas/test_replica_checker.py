"""The inquest gives no finding where all is as it should be, and one for each wrong."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from quorate.eventlog.recorded_event import RecordedEvent
from tests.chaos.crash.clients import Acknowledged
from tests.chaos.crash.test_log_checker import event as recorded
from tests.chaos.replicas.listeners import Heard
from tests.chaos.replicas.replica_checker import Listened, due_to, held_by_two, unheard

WINDOW_SECONDS = 3.0
LONG_MINUTES, SHORT_MINUTES = 30.0, 1 / 60
LEASE = "/v1/agent/coordination/lease"


# -- By the agents' own clocks -----------------------------------------------------


def said(agent: str, what: str, at: float, lease: str = "", minutes: float = 0.0) -> Acknowledged:
    """Asked a moment before it was answered."""
    return Acknowledged(
        agent=agent,
        what=what,
        path=f"{LEASE}/{lease}",
        asked={"contactEmail": "Kim@x.y", "durationMinutes": minutes},
        status=200,
        sequence=0,
        answer={"id": lease},
        asked_at=at - 0.01,
        answered_at=at,
    )


ANNS = [
    said("ann", "register", 0.0),
    said("ann", "acquire", 1.0, "L1", LONG_MINUTES),
    said("ann", "heartbeat", 2.0),
    said("ann", "release", 3.0, "L1"),
]
BOBS = [said("bob", "register", 2.5), said("bob", "acquire", 3.1, "L2", LONG_MINUTES)]


def held(answers: Sequence[Acknowledged]) -> list[str]:
    return list(held_by_two(answers, WINDOW_SECONDS))


def test_one_after_the_other_is_no_finding() -> None:
    assert held([*ANNS, *BOBS]) == []


def test_a_lease_that_was_not_let_go_is_held_still() -> None:
    (finding,) = held([*ANNS[:3], *BOBS])
    assert finding.startswith("kim@x.y was held by ann (L1) and bob (L2)")


@pytest.mark.parametrize("missing", [1, 2])
def test_whoever_had_no_reason_to_believe_held_nothing(missing: int) -> None:
    """It was granted nothing, or its heartbeats ended long before."""
    anns = [*ANNS[:missing], *ANNS[missing + 1 : 3]]
    late = [said("bob", "register", 2.5), said("bob", "acquire", 2.99, "L2", LONG_MINUTES)]

    assert held([*anns, *late]) == []


def test_a_short_lease_ends_by_itself() -> None:
    short = replace(ANNS[1], asked={**ANNS[1].asked, "durationMinutes": SHORT_MINUTES})

    assert held([ANNS[0], short, ANNS[2], *BOBS]) == []


# -- What was heard ----------------------------------------------------------------


def event(sequence: int, type_: str, **data: str) -> RecordedEvent:
    return recorded(sequence, 0, type_, **data)


LOG = [
    event(1, "LeaseExpired", leaseId="L1", agentId="A", contactKey="k", contactEmail="k"),
    event(2, "HeartbeatReceived", agentId="A"),
    event(3, "LeaseExpired", leaseId="L2", agentId="B", contactKey="k", contactEmail="k"),
    event(4, "LeaseExpired", leaseId="L3", agentId="A", contactKey="k", contactEmail="k"),
]
FOLLOWED = Listened(name="who follows", heard=due_to(Listened(name="", heard=()), LOG))
ANN = due_to(Listened(name="", heard=(), agent_id="A"), LOG)


def test_whoever_heard_all_in_order_gives_no_finding() -> None:
    assert list(unheard(FOLLOWED, LOG)) == []
    assert [told.sequence for told in ANN] == [1, 4]
    assert list(unheard(Listened(name="ann", heard=ANN, agent_id="A"), LOG)) == []


@pytest.mark.parametrize(
    ("order", "finding"),
    [
        ([1, 3, 4], "who follows heard LeaseExpired at 3 as its number 2, and HeartbeatReceived"),
        ([1, 3, 2, 4], "HeartbeatReceived at 2 as number 3"),
        ([1, 2, 2, 3, 4], "HeartbeatReceived at 2 as its number 3, due was LeaseExpired at 3"),
        ([1, 2, 3], "heard nothing as its number 4, due was LeaseExpired at 4"),
        ([1, 2, 3, 4, 4], "as its number 5, due was nothing"),
    ],
)
def test_what_was_missed_swapped_or_told_twice_is_found(order: list[int], finding: str) -> None:
    heard = [FOLLOWED.heard[sequence - 1] for sequence in order]
    (found,) = unheard(replace(FOLLOWED, heard=heard), LOG)

    assert finding in found


def test_another_event_in_the_place_of_one_is_found() -> None:
    forged = Heard(sequence=2, id="9", name="HeartbeatReceived")
    (found,) = unheard(replace(FOLLOWED, heard=[FOLLOWED.heard[0], forged]), LOG)

    assert "heard HeartbeatReceived at 2 as its number 2" in found


def test_a_notification_that_was_missed_is_found() -> None:
    (found,) = unheard(Listened(name="ann", heard=ANN[1:], agent_id="A"), LOG)

    assert "lease_expired at 1 never" in found
