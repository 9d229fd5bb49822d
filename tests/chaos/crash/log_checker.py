"""Check a tenant's log against the acknowledged commands, with rules independent of the service.

* Every acknowledged command is in the log, with the effect and at the position in its response.
* The log holds nothing else: each event belongs to exactly one acknowledged command.
* At no time do two holders have one contact. A holder is an agent with one of its instances, or
  with none. Only the holder renews, and no request of the holder is rejected.

Each finding is a sentence; a correct log has no findings.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeAlias

import orjson

from quorate.domain.shared.records import record
from quorate.eventlog.recorded_event import RecordedEvent
from tests.chaos.crash.clients import AcknowledgedCommand

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


def check_log(commands: Sequence[AcknowledgedCommand], log: Sequence[RecordedEvent]) -> list[str]:
    """Return the findings for the log of one tenant."""
    history = History(log)
    return [
        *_gaps(log),
        *(finding for command in commands for finding in _missing_effect(command, history)),
        *_unacknowledged(commands, history),
        *_one_holder(history),
    ]


class History:
    """The log of one tenant, with indexes."""

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
        """Return the event at a sequence, or an event without a type if none exists."""
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
            yield f"sequence {event.sequence} is at place {place}"
            return
    for earlier, later in pairwise(log):
        if later.at < earlier.at:
            yield f"time went back at sequence {later.sequence}"


# -- The effect of each response in the log ------------------------------------


def _missing_effect(command: AcknowledgedCommand, history: History) -> Iterator[str]:
    if not CHECKS[command.operation](command, history):
        subject = f"{command.operation} by {command.agent} at {command.sequence}"
        yield f"{subject}: {command.status} {command.response} is not in the log"


def _acquired(command: AcknowledgedCommand, history: History) -> bool:
    if command.status != OK:
        is_over = command.response["code"] == "lease_ended"
        check = _granted_and_over if is_over else _rejected
        return command.status == CONFLICT and check(command, history)
    lease, fence = command.response["id"], command.response["fence"]
    granted = history.at(fence)
    terms = history.about("leaseId", lease, command.sequence, "LeaseAcquired", "LeaseRenewed")
    return (
        fence <= command.sequence
        and granted.type == "LeaseAcquired"
        and granted.data["leaseId"] == lease
        and granted.data["agentId"] == command.response["agentId"]
        and granted.data["contactEmail"] == command.response["contactEmail"]
        and granted.data.get("holder") == command.response.get("holder")
        and granted.data.get("holder") == command.body.get("holder")
        and command.response["expiresAt"] in [event.data["expiresAt"] for event in terms]
    )


def _granted_and_over(command: AcknowledgedCommand, history: History) -> bool:
    """A repeated request: the lease was granted to its holder, and ended before the response."""
    lease = command.response["leaseId"]
    grants = history.about("leaseId", lease, command.sequence, "LeaseAcquired")
    return ([event.data.get("holder") for event in grants] == [command.body.get("holder")]) and any(
        history.about("leaseId", lease, command.sequence, *ENDS)
    )


def _rejected(command: AcknowledgedCommand, history: History) -> bool:
    """The response names the holder, and the conflict is recorded at its sequence."""
    if command.response["code"] == "agent_inactive":
        return _timed_out(command, history)
    event = history.at(command.sequence)
    holder = command.response.get("leaseHolder", {})
    requested = (event.data.get("agentId"), event.data.get("requestedHolder"))
    return (
        command.response["code"] == "lease_conflict"
        and event.type == "LeaseConflicted"
        and event.data["agentName"] == command.agent
        and event.data["contactEmail"] == command.body["contactEmail"]
        and event.data["holderId"] == holder["agentId"]
        and event.data.get("holder") == holder.get("holder")
        and event.data.get("requestedHolder") == command.body.get("holder")
        and (holder["agentId"], holder.get("holder")) != requested
    )


def _timed_out(command: AcknowledgedCommand, history: History) -> bool:
    agent_id = command.response["agentId"]
    return any(history.about("agentId", agent_id, command.sequence, "AgentLapsed"))


def _released(command: AcknowledgedCommand, history: History) -> bool:
    lease = command.path.rsplit("/", 1)[1]
    return command.status == OK and any(history.about("leaseId", lease, command.sequence, *ENDS))


def _beat(command: AcknowledgedCommand, history: History) -> bool:
    types = ("HeartbeatReceived", "AgentRegistered", "AgentReregistered")
    if command.status != OK:
        return False
    beats = history.about("agentId", command.response["agentId"], command.sequence, *types)
    return command.response["activeUntil"] in [event.data["activeUntil"] for event in beats]


def _registered(command: AcknowledgedCommand, history: History) -> bool:
    """The response to a repeated registration has a later sequence than its event."""
    if command.status != OK:
        return False
    types = ("AgentRegistered", "AgentReregistered")
    expected = (command.response["incarnation"], command.body["agentRole"])
    return expected in [
        (event.data["incarnation"], event.data["agentRole"])
        for event in history.about("agentId", command.response["id"], command.sequence, *types)
    ]


def _proposed(command: AcknowledgedCommand, history: History) -> bool:
    if command.status != OK:
        return command.response["code"] == "agent_inactive" and _timed_out(command, history)
    event = history.at(command.sequence)
    return event.type == "ConsensusRequested" and event.data["requestId"] == command.response["id"]


def _voted(command: AcknowledgedCommand, history: History) -> bool:
    if command.status != OK:
        return command.status == CONFLICT and _vote_rejected(command, history)
    vote = command.response
    cast = history.about("voteId", vote["id"], command.sequence, "VoteCast")
    return [event.data["vote"] for event in cast] == [vote["vote"]] and _has_status(
        vote["consensusRequestId"], vote["consensusStatus"], command.sequence, history
    )


def _vote_rejected(command: AcknowledgedCommand, history: History) -> bool:
    match command.response["code"]:
        case "agent_inactive":
            return _timed_out(command, history)
        case "consensus_closed":
            request = command.path.split("/")[-2]
            return _has_status(
                request, command.response["consensusStatus"], command.sequence, history
            )
        case "already_voted":
            return True
        case _:
            return False


def _has_status(request: str, status: str, until: int, history: History) -> bool:
    ends = history.about("requestId", request, until, "ConsensusDecided", "ConsensusExpired")
    outcomes = [event.data.get("status", "expired") for event in ends]
    return outcomes == ([] if status == "pending" else [status])


CHECKS: Mapping[str, Callable[[AcknowledgedCommand, History], bool]] = {
    "acquire": _acquired,
    "release": _released,
    "heartbeat": _beat,
    "register": _registered,
    "propose": _proposed,
    "vote": _voted,
}

# -- No phantom and no duplicate -----------------------------------------------


def _unacknowledged(commands: Sequence[AcknowledgedCommand], history: History) -> Iterator[str]:
    """Every command was repeated until it had a response, so both correspond one to one."""
    acknowledged = {
        "LeaseAcquired": {a.response["id"] for a in _of(commands, "acquire", OK)}
        | {
            a.response["leaseId"]
            for a in _of(commands, "acquire", CONFLICT)
            if a.response["code"] == "lease_ended"
        },
        "ConsensusRequested": {a.response["id"] for a in _of(commands, "propose", OK)},
        "VoteCast": {a.response["id"] for a in _of(commands, "vote", OK)},
    }
    ids = {"LeaseAcquired": "leaseId", "ConsensusRequested": "requestId", "VoteCast": "voteId"}
    for type_, expected in acknowledged.items():
        recorded = Counter(event.data[ids[type_]] for event in history.of(type_))
        yield from (f"{type_} {id_} was never acknowledged" for id_ in recorded - Counter(expected))
        yield from (f"{type_} {id_} is not in the log" for id_ in expected - set(recorded))
    rejected = [
        a for a in _of(commands, "acquire", CONFLICT) if a.response["code"] == "lease_conflict"
    ]
    conflicts = {event.sequence for event in history.of("LeaseConflicted")}
    if conflicts != {a.sequence for a in rejected} or len(conflicts) != len(rejected):
        yield f"{len(conflicts)} conflicts are in the log, {len(rejected)} were acknowledged"
    registered = Counter(
        (a.response["id"], a.response["incarnation"]) for a in _registrations(commands)
    )
    recorded = Counter(
        (event.data["agentId"], event.data["incarnation"])
        for type_ in ("AgentRegistered", "AgentReregistered")
        for event in history.of(type_)
    )
    if registered != recorded:
        yield "the registrations in the log differ from the acknowledged ones"


def _of(
    commands: Sequence[AcknowledgedCommand], what: str, status: int
) -> list[AcknowledgedCommand]:
    return [
        command for command in commands if (command.operation, command.status) == (what, status)
    ]


def _registrations(commands: Sequence[AcknowledgedCommand]) -> list[AcknowledgedCommand]:
    return _of(commands, "register", OK)


# -- One holder at a time ------------------------------------------------------


def _one_holder(history: History) -> Iterator[str]:
    """S1: sweep over the leases of each contact."""
    until: dict[str, int] = {}  # The earliest time at which a contact is free again.
    holding: dict[str, str] = {}
    holders: dict[str, Any] = {}  # The instance of the agent, by the contact.
    for event in history.events:
        key = event.data.get("contactKey", "")
        if event.type == "LeaseAcquired":
            if event.at < until.get(key, 0) or key in holding:
                yield f"{key} was granted at {event.sequence} while it was held"
            holding[key] = event.data["leaseId"]
            holders[key] = event.data.get("holder")
            until[key] = milliseconds(event.data["expiresAt"])
        elif event.type == "LeaseRenewed" and holding.get(key) == event.data["leaseId"]:
            if event.data.get("holder") != holders[key]:
                yield f"{key} was renewed at {event.sequence} by another holder"
            until[key] = milliseconds(event.data["expiresAt"])
        elif event.type in ENDS:
            if holding.pop(key, None) != event.data["leaseId"]:
                yield f"{event.type} at {event.sequence} ends what was not held"
            if event.type == "LeaseExpired" and event.at < until.get(key, 0):
                yield f"{key} expired at {event.sequence}, before its time"
            until[key] = min(event.at, until.get(key, event.at))


def milliseconds(text: str) -> int:
    return round((datetime.fromisoformat(text) - EPOCH).total_seconds() * 1_000)
