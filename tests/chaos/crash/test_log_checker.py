"""The log checker accepts a correct log and detects every planted error."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import orjson
import pytest

from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.recorded_event import RecordedEvent
from tests.chaos.crash.clients import AcknowledgedCommand
from tests.chaos.crash.log_checker import check_log

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


def acknowledged(
    operation: str,
    sequence: int,
    response: Any,  # noqa: ANN401 - JSON.
    status: int = 200,
    **body: Any,  # noqa: ANN401 - JSON.
) -> AcknowledgedCommand:
    path = body.pop("path", "/v1/agent")
    return AcknowledgedCommand(
        agent="ann",
        operation=operation,
        path=path,
        body=body,
        status=status,
        sequence=sequence,
        response=response,
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
COMMANDS = [
    acknowledged(
        "register", 1, {"id": "A", "incarnation": 1, "activeUntil": at(40)}, agentRole="r"
    ),
    acknowledged("acquire", 2, {**GRANTED, "id": "L1", "fence": 2, "expiresAt": at(9)}),
    acknowledged(
        "acquire",
        3,
        {"code": "lease_conflict", "leaseHolder": {"agentId": "A"}},
        409,
        contactEmail="Kim@x.y",
    ),
    acknowledged("release", 4, {"released": True}, path="/v1/agent/coordination/lease/L1"),
    acknowledged(
        "acquire", 5, {**GRANTED, "agentId": "B", "id": "L2", "fence": 5, "expiresAt": at(10)}
    ),
    acknowledged("heartbeat", 7, {"agentId": "A", "activeUntil": at(51)}),
    acknowledged("propose", 8, {"id": "R"}),
    acknowledged(
        "vote",
        10,
        {"id": "V", "vote": "approve", "consensusRequestId": "R", "consensusStatus": "approved"},
    ),
    acknowledged(
        "vote",
        10,
        {"code": "consensus_closed", "consensusStatus": "approved"},
        409,
        path="/v1/agent/coordination/consensus/R/vote",
    ),
]


def test_checker_accepts_a_correct_log() -> None:
    assert check_log(COMMANDS, LOG) == []


@pytest.mark.parametrize("lost", range(len(LOG)), ids=[one.type for one in LOG])
def test_checker_detects_a_missing_event_when_the_rest_is_renumbered(lost: int) -> None:
    rest = [*LOG[:lost], *LOG[lost + 1 :]]
    closed_up = [replace(one, sequence=place) for place, one in enumerate(rest, start=1)]

    assert check_log(COMMANDS, closed_up) != []


@pytest.mark.parametrize("lost", range(len(LOG)), ids=[one.type for one in LOG])
def test_checker_detects_a_truncated_log(lost: int) -> None:
    assert check_log(COMMANDS, LOG[:lost]) != []


@pytest.mark.parametrize("omitted", [1, 2, 4, 6, 7, 0])
def test_checker_detects_an_event_without_acknowledgement(omitted: int) -> None:
    """A phantom: the caller repeated the command, and it was executed twice."""
    assert check_log([*COMMANDS[:omitted], *COMMANDS[omitted + 1 :]], LOG) != []


def _overlapping(log: Log) -> Log:
    return [*log[:3], replace(log[3], type="SendAuthorized"), *log[4:]]


def _too_early(log: Log) -> Log:
    return [*log[:5], replace(log[5], at=Timestamp(9_999)), *log[6:]]


def _back_in_time(log: Log) -> Log:
    return [*log[:6], replace(log[6], at=Timestamp(1)), *log[7:]]


def _with_a_gap(log: Log) -> Log:
    return [*log[:9], replace(log[9], sequence=11)]


def _granted_to_another(log: Log) -> Log:
    data = orjson.loads(log[1].data) | {"agentId": "C"}
    return [log[0], replace(log[1], data=orjson.dumps(data)), *log[2:]]


def _decided_otherwise(log: Log) -> Log:
    data = orjson.loads(log[9].data) | {"status": "rejected"}
    return [*log[:9], replace(log[9], data=orjson.dumps(data))]


def _renewed_by_another_holder(log: Log) -> Log:
    data = orjson.loads(log[1].data) | {"holder": "another"}
    return [*log[:2], replace(log[2], type="LeaseRenewed", data=orjson.dumps(data)), *log[3:]]


def _granted_to_another_instance(log: Log) -> Log:
    data = orjson.loads(log[1].data) | {"holder": "another"}
    return [log[0], replace(log[1], data=orjson.dumps(data)), *log[2:]]


def _rejected_for_its_own_lease(log: Log) -> Log:
    data = orjson.loads(log[2].data) | {"agentId": "A"}
    return [*log[:2], replace(log[2], data=orjson.dumps(data)), *log[3:]]


PLANTED: Sequence[tuple[Callable[[Log], Log], str]] = [
    (_overlapping, "while it was held"),
    (_too_early, "before its time"),
    (_back_in_time, "time went back"),
    (_with_a_gap, "is at place"),
    (_granted_to_another, "is not in the log"),
    (_decided_otherwise, "is not in the log"),
    (_renewed_by_another_holder, "by another holder"),
    (_granted_to_another_instance, "is not in the log"),
    (_rejected_for_its_own_lease, "is not in the log"),
]


@pytest.mark.parametrize(("plant", "finding"), PLANTED)
def test_checker_names_each_planted_error(plant: Callable[[Log], Log], finding: str) -> None:
    assert any(finding in one for one in check_log(COMMANDS, plant(LOG)))


def _lease_ended(lease: str, sequence: int) -> AcknowledgedCommand:
    response = {"code": "lease_ended", "leaseId": lease, "leaseStatus": "released"}
    return acknowledged("acquire", sequence, response, 409, contactEmail="Kim@x.y")


def test_checker_accepts_a_repeated_grant_that_is_over() -> None:
    commands = [COMMANDS[0], _lease_ended("L1", 4), *COMMANDS[2:]]

    assert check_log(commands, LOG) == []


@pytest.mark.parametrize(("lease", "sequence"), [("L1", 3), ("L9", 10)])
def test_checker_detects_a_grant_that_is_not_over_or_never_happened(
    lease: str, sequence: int
) -> None:
    commands = [COMMANDS[0], _lease_ended(lease, sequence), *COMMANDS[2:]]

    assert any("is not in the log" in one for one in check_log(commands, LOG))


@pytest.mark.parametrize("status", [404, 500])
def test_checker_detects_an_unexpected_response(status: int) -> None:
    for one in COMMANDS:
        wrong = replace(one, status=status, response={"code": "whatever"})
        assert check_log([wrong], LOG) != []
