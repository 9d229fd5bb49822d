"""The inquest itself: it finds nothing wrong with a right log, and each wrong that is planted."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import orjson
import pytest

from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.recorded_event import RecordedEvent
from tests.chaos.crash.clients import Acknowledged
from tests.chaos.crash.log_checker import inquest

Log: TypeAlias = list[RecordedEvent]
KIM = {"contactKey": "kim@x.y", "contactEmail": "Kim@x.y"}


def at(second: int) -> str:
    return f"1970-01-01T00:00:{second:02}.000Z"


def event(sequence: int, second: int, type_: str, **data: Any) -> RecordedEvent:  # noqa: ANN401 - JSON.
    return RecordedEvent(
        position=sequence,
        tenant="default",
        sequence=sequence,
        id=str(sequence),
        stream="s",
        type=type_,
        version=1,
        at=Timestamp(second * 1_000),
        actor="a",
        command_id="c",
        data=orjson.dumps(data),
        hash=b"",
    )


def answer(what: str, sequence: int, body: Any, status: int = 200, **asked: Any) -> Acknowledged:  # noqa: ANN401
    path = asked.pop("path", "/v1/agent")
    return Acknowledged(
        agent="ann",
        what=what,
        path=path,
        asked=asked,
        status=status,
        sequence=sequence,
        answer=body,
    )


LOG: Log = [
    event(1, 0, "AgentRegistered", agentId="A", agentRole="r", incarnation=1, activeUntil=at(40)),
    event(2, 1, "LeaseAcquired", leaseId="L1", agentId="A", expiresAt=at(9), **KIM),
    event(3, 2, "LeaseConflicted", leaseId="L1", agentId="B", agentName="ann", holderId="A", **KIM),
    event(4, 3, "LeaseReleased", leaseId="L1", agentId="A", contactKey="kim@x.y"),
    event(5, 4, "LeaseAcquired", leaseId="L2", agentId="B", expiresAt=at(10), **KIM),
    event(6, 10, "LeaseExpired", leaseId="L2", agentId="B", expiresAt=at(10), **KIM),
    event(7, 11, "HeartbeatReceived", agentId="A", activeUntil=at(51)),
    event(8, 12, "ConsensusRequested", requestId="R", agentId="A"),
    event(9, 13, "VoteCast", voteId="V", requestId="R", agentId="A", vote="approve"),
    event(10, 13, "ConsensusDecided", requestId="R", agentId="A", status="approved"),
]
GRANTED = {"agentId": "A", "contactEmail": "Kim@x.y"}
ANSWERS = [
    answer("register", 1, {"id": "A", "incarnation": 1, "activeUntil": at(40)}, agentRole="r"),
    answer("acquire", 2, {**GRANTED, "id": "L1", "fence": 2, "expiresAt": at(9)}),
    answer(
        "acquire",
        3,
        {"code": "lease_conflict", "leaseHolder": {"agentId": "A"}},
        409,
        contactEmail="Kim@x.y",
    ),
    answer("release", 4, {"released": True}, path="/v1/agent/coordination/lease/L1"),
    answer("acquire", 5, {**GRANTED, "agentId": "B", "id": "L2", "fence": 5, "expiresAt": at(10)}),
    answer("heartbeat", 7, {"agentId": "A", "activeUntil": at(51)}),
    answer("propose", 8, {"id": "R"}),
    answer(
        "vote",
        10,
        {"id": "V", "vote": "approve", "consensusRequestId": "R", "consensusStatus": "approved"},
    ),
    answer(
        "vote",
        10,
        {"code": "consensus_closed", "consensusStatus": "approved"},
        409,
        path="/v1/agent/coordination/consensus/R/vote",
    ),
]


def test_a_right_log_gives_no_finding() -> None:
    assert inquest(ANSWERS, LOG) == []


@pytest.mark.parametrize("lost", range(len(LOG)), ids=[one.type for one in LOG])
def test_every_lost_event_is_found_though_the_others_close_up(lost: int) -> None:
    rest = [*LOG[:lost], *LOG[lost + 1 :]]
    closed_up = [replace(one, sequence=place) for place, one in enumerate(rest, start=1)]

    assert inquest(ANSWERS, closed_up) != []


@pytest.mark.parametrize("lost", range(len(LOG)), ids=[one.type for one in LOG])
def test_every_lost_end_is_found(lost: int) -> None:
    assert inquest(ANSWERS, LOG[:lost]) != []


@pytest.mark.parametrize("forgotten", [1, 2, 4, 6, 7, 0])
def test_an_event_that_nobody_was_told_of_is_found(forgotten: int) -> None:
    """A phantom: its caller asked once more, and it happened twice."""
    assert inquest([*ANSWERS[:forgotten], *ANSWERS[forgotten + 1 :]], LOG) != []


def _overlapping(log: Log) -> Log:
    return [*log[:3], replace(log[3], type="SendAuthorized"), *log[4:]]


def _too_early(log: Log) -> Log:
    return [*log[:5], replace(log[5], at=Timestamp(9_999)), *log[6:]]


def _back_in_time(log: Log) -> Log:
    return [*log[:6], replace(log[6], at=Timestamp(1)), *log[7:]]


def _with_a_gap(log: Log) -> Log:
    return [*log[:9], replace(log[9], sequence=11)]


def _given_to_another(log: Log) -> Log:
    data = orjson.loads(log[1].data) | {"agentId": "C"}
    return [log[0], replace(log[1], data=orjson.dumps(data)), *log[2:]]


def _decided_otherwise(log: Log) -> Log:
    data = orjson.loads(log[9].data) | {"status": "rejected"}
    return [*log[:9], replace(log[9], data=orjson.dumps(data))]


PLANTED: Sequence[tuple[Callable[[Log], Log], str]] = [
    (_overlapping, "while it was held"),
    (_too_early, "before its time"),
    (_back_in_time, "time went back"),
    (_with_a_gap, "stands at place"),
    (_given_to_another, "is not in the log"),
    (_decided_otherwise, "is not in the log"),
]


@pytest.mark.parametrize(("plant", "finding"), PLANTED)
def test_each_wrong_is_found_for_what_it_is(plant: Callable[[Log], Log], finding: str) -> None:
    assert any(finding in one for one in inquest(ANSWERS, plant(LOG)))


@pytest.mark.parametrize("status", [404, 500])
def test_an_answer_that_nobody_should_get_is_found(status: int) -> None:
    for one in ANSWERS:
        wrong = replace(one, status=status, answer={"code": "whatever"})
        assert inquest([wrong], LOG) != []
