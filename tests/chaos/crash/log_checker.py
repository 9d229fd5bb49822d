"""What was acknowledged against what the log says, by rules that share no code with the service.

* Every acknowledged command is in the log, with the effect that its answer told of, at the
  position that its answer named.
* The log holds nothing else: each of these events was asked for once, and acknowledged.
* At no instant do two agents hold one contact.

Each finding is a sentence; a log that is as it should be gives none.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeAlias

import orjson

from quorate.domain.shared.records import record
from quorate.eventlog.recorded_event import RecordedEvent
from tests.chaos.crash.clients import Acknowledged

Data: TypeAlias = Mapping[str, Any]
OK, CONFLICT = 200, 409
ENDS = ("LeaseReleased", "LeaseExpired", "LeaseRevoked")
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


@record
class Event:
    sequence: int
    type: str
    at: int
    data: Data


def inquest(answers: Sequence[Acknowledged], log: Sequence[RecordedEvent]) -> list[str]:
    """All that is wrong with one tenant's log."""
    told = History(log)
    return [
        *_gaps(log),
        *(finding for answer in answers for finding in _finding(answer, told)),
        *_nothing_else(answers, told),
        *_one_holder(told),
    ]


class History:
    """One tenant's log, and where to find things in it."""

    def __init__(self, log: Sequence[RecordedEvent]) -> None:
        self.events = [
            Event(sequence=one.sequence, type=one.type, at=one.at, data=orjson.loads(one.data))
            for one in log
        ]
        self._by_sequence = {event.sequence: event for event in self.events}
        self._by_id: dict[tuple[str, Any], list[Event]] = defaultdict(list)
        for event in self.events:
            for name in ("leaseId", "requestId", "voteId", "agentId"):
                if name in event.data:
                    self._by_id[name, event.data[name]].append(event)

    def at(self, sequence: int) -> Event:
        """What stands at a sequence; an event of no type where there is nothing."""
        return self._by_sequence.get(sequence) or Event(sequence=sequence, type="", at=0, data={})

    def about(self, name: str, value: Any, until: int, *types: str) -> Iterator[Event]:  # noqa: ANN401
        for event in self._by_id[name, value]:
            if event.sequence <= until and event.type in types:
                yield event

    def of(self, type_: str) -> Iterator[Event]:
        return (event for event in self.events if event.type == type_)


def _gaps(log: Sequence[RecordedEvent]) -> Iterator[str]:
    for place, event in enumerate(log, start=1):
        if event.sequence != place:
            yield f"sequence {event.sequence} stands at place {place}"
            return
    for earlier, later in pairwise(log):
        if later.at < earlier.at:
            yield f"time went back at sequence {later.sequence}"


# -- Each answer, and what the log must say for it -----------------------------


def _finding(answer: Acknowledged, told: History) -> Iterator[str]:
    if not PROOFS[answer.what](answer, told):
        what = f"{answer.what} by {answer.agent} answered {answer.status} at {answer.sequence}"
        yield f"{what}: {answer.answer} is not in the log"


def _acquired(answer: Acknowledged, told: History) -> bool:
    if answer.status != OK:
        return answer.status == CONFLICT and _refused(answer, told)
    lease, fence = answer.answer["id"], answer.answer["fence"]
    granted = told.at(fence)
    terms = told.about("leaseId", lease, answer.sequence, "LeaseAcquired", "LeaseRenewed")
    return (
        fence <= answer.sequence
        and granted.type == "LeaseAcquired"
        and granted.data["leaseId"] == lease
        and granted.data["agentId"] == answer.answer["agentId"]
        and granted.data["contactEmail"] == answer.answer["contactEmail"]
        and answer.answer["expiresAt"] in [event.data["expiresAt"] for event in terms]
    )


def _refused(answer: Acknowledged, told: History) -> bool:
    """Told who holds it, and recorded at that very sequence."""
    if answer.answer["code"] == "agent_inactive":
        return _lapsed(answer, told)
    event = told.at(answer.sequence)
    return (
        answer.answer["code"] == "lease_conflict"
        and event.type == "LeaseConflicted"
        and event.data["agentName"] == answer.agent
        and event.data["contactEmail"] == answer.asked["contactEmail"]
        and event.data["holderId"] == answer.answer["leaseHolder"]["agentId"]
    )


def _lapsed(answer: Acknowledged, told: History) -> bool:
    agent_id = answer.answer["agentId"]
    return any(told.about("agentId", agent_id, answer.sequence, "AgentLapsed"))


def _released(answer: Acknowledged, told: History) -> bool:
    lease = answer.path.rsplit("/", 1)[1]
    return answer.status == OK and any(told.about("leaseId", lease, answer.sequence, *ENDS))


def _beat(answer: Acknowledged, told: History) -> bool:
    types = ("HeartbeatReceived", "AgentRegistered", "AgentReregistered")
    if answer.status != OK:
        return False
    beats = told.about("agentId", answer.answer["agentId"], answer.sequence, *types)
    return answer.answer["activeUntil"] in [event.data["activeUntil"] for event in beats]


def _registered(answer: Acknowledged, told: History) -> bool:
    event = told.at(answer.sequence)
    return (
        answer.status == OK
        and event.type in {"AgentRegistered", "AgentReregistered"}
        and event.data["agentId"] == answer.answer["id"]
        and event.data["incarnation"] == answer.answer["incarnation"]
        and event.data["agentRole"] == answer.asked["agentRole"]
    )


def _proposed(answer: Acknowledged, told: History) -> bool:
    if answer.status != OK:
        return answer.answer["code"] == "agent_inactive" and _lapsed(answer, told)
    event = told.at(answer.sequence)
    return event.type == "ConsensusRequested" and event.data["requestId"] == answer.answer["id"]


def _voted(answer: Acknowledged, told: History) -> bool:
    if answer.status != OK:
        return answer.status == CONFLICT and _vote_refused(answer, told)
    vote = answer.answer
    cast = told.about("voteId", vote["id"], answer.sequence, "VoteCast")
    return [event.data["vote"] for event in cast] == [vote["vote"]] and _stands(
        vote["consensusRequestId"], vote["consensusStatus"], answer.sequence, told
    )


def _vote_refused(answer: Acknowledged, told: History) -> bool:
    match answer.answer["code"]:
        case "agent_inactive":
            return _lapsed(answer, told)
        case "consensus_closed":
            request = answer.path.split("/")[-2]
            return _stands(request, answer.answer["consensusStatus"], answer.sequence, told)
        case "already_voted":
            return True
        case _:
            return False


def _stands(request: str, status: str, until: int, told: History) -> bool:
    ends = told.about("requestId", request, until, "ConsensusDecided", "ConsensusExpired")
    outcomes = [event.data.get("status", "expired") for event in ends]
    return outcomes == ([] if status == "pending" else [status])


PROOFS: Mapping[str, Callable[[Acknowledged, History], bool]] = {
    "acquire": _acquired,
    "release": _released,
    "heartbeat": _beat,
    "register": _registered,
    "propose": _proposed,
    "vote": _voted,
}

# -- Nothing that was not asked for, and nothing twice -------------------------


def _nothing_else(answers: Sequence[Acknowledged], told: History) -> Iterator[str]:
    """Every command was asked until it was answered, so answers and events are one to one."""
    acknowledged = {
        "LeaseAcquired": {a.answer["id"] for a in _of(answers, "acquire", OK)},
        "ConsensusRequested": {a.answer["id"] for a in _of(answers, "propose", OK)},
        "VoteCast": {a.answer["id"] for a in _of(answers, "vote", OK)},
    }
    ids = {"LeaseAcquired": "leaseId", "ConsensusRequested": "requestId", "VoteCast": "voteId"}
    for type_, expected in acknowledged.items():
        recorded = Counter(event.data[ids[type_]] for event in told.of(type_))
        yield from (f"{type_} {id_} was never acknowledged" for id_ in recorded - Counter(expected))
        yield from (f"{type_} {id_} is not in the log" for id_ in expected - set(recorded))
    refused = [a for a in _of(answers, "acquire", CONFLICT) if a.answer["code"] == "lease_conflict"]
    conflicts = {event.sequence for event in told.of("LeaseConflicted")}
    if conflicts != {a.sequence for a in refused} or len(conflicts) != len(refused):
        yield f"{len(conflicts)} conflicts are in the log, {len(refused)} were acknowledged"
    registered = Counter((a.answer["id"], a.answer["incarnation"]) for a in _registrations(answers))
    recorded = Counter(
        (event.data["agentId"], event.data["incarnation"])
        for type_ in ("AgentRegistered", "AgentReregistered")
        for event in told.of(type_)
    )
    if registered != recorded:
        yield "registrations in the log are not those that were acknowledged"


def _of(answers: Sequence[Acknowledged], what: str, status: int) -> list[Acknowledged]:
    return [answer for answer in answers if (answer.what, answer.status) == (what, status)]


def _registrations(answers: Sequence[Acknowledged]) -> list[Acknowledged]:
    return _of(answers, "register", OK)


# -- One holder at a time ------------------------------------------------------


def _one_holder(told: History) -> Iterator[str]:
    """S1: a sweep over each contact's leases, and over each agent's times of activity."""
    until: dict[str, int] = {}  # The earliest moment at which a contact is free again.
    holding: dict[str, str] = {}
    for event in told.events:
        key = event.data.get("contactKey", "")
        if event.type == "LeaseAcquired":
            if event.at < until.get(key, 0) or key in holding:
                yield f"{key} was given away at {event.sequence} while it was held"
            holding[key] = event.data["leaseId"]
            until[key] = milliseconds(event.data["expiresAt"])
        elif event.type == "LeaseRenewed" and holding.get(key) == event.data["leaseId"]:
            until[key] = milliseconds(event.data["expiresAt"])
        elif event.type in ENDS:
            if holding.pop(key, None) != event.data["leaseId"]:
                yield f"{event.type} at {event.sequence} ends what was not held"
            if event.type == "LeaseExpired" and event.at < until.get(key, 0):
                yield f"{key} expired at {event.sequence}, before its time"
            until[key] = min(event.at, until.get(key, event.at))


def milliseconds(text: str) -> int:
    return round((datetime.fromisoformat(text) - EPOCH).total_seconds() * 1_000)
