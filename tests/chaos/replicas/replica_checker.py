"""Check acknowledged commands, local lease validity and received events against the final log.

* Acknowledged commands are in the log and nothing else is, as in `tests/chaos/crash`.
* By the local clocks of the agents, no two holders had one contact at the same time. A holder is an
  agent with one of its instances, or with none.
* Each listener on the log received every event once and in order. A reader that has seen 8 never
  sees a new 7. The same holds for the notifications of each agent.

Each finding is a sentence; a correct run has no findings.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from operator import attrgetter

import orjson

from quorate.client.lease_validity import valid_until
from quorate.domain.identity.agents import HEARTBEATS_PER_WINDOW_MAX
from quorate.domain.shared.records import record
from quorate.eventlog.recorded_event import RecordedEvent
from tests.chaos.crash.clients import AcknowledgedCommand
from tests.chaos.fleet.fleet_checker import ExpectedNotifications
from tests.chaos.replicas.listeners import Received

OK = 200
SECONDS_PER_MINUTE = 60

# -- Local lease validity ----------------------------------------------------------


@record
class LocalValidity:
    agent: str
    contact: str
    lease: str
    begin: float
    end: float


def held_by_two(commands: Sequence[AcknowledgedCommand], window_seconds: float) -> Iterator[str]:
    by_contact: dict[str, list[LocalValidity]] = defaultdict(list)
    for validity in local_validities(commands, window_seconds):
        by_contact[validity.contact].append(validity)
    for contact, validities in by_contact.items():
        latest: dict[str, LocalValidity] = {}  # The latest end of a validity per agent.
        for validity in sorted(validities, key=attrgetter("begin")):
            for other in latest.values():
                if other.agent != validity.agent and validity.begin < other.end:
                    both = f"{other.agent} ({other.lease}) and {validity.agent} ({validity.lease})"
                    yield f"{contact} was held by {both} for {other.end - validity.begin:.3f} s"
            known = latest.get(validity.agent)
            if known is None or known.end < validity.end:
                latest[validity.agent] = validity


def local_validities(
    commands: Sequence[AcknowledgedCommand], window_seconds: float
) -> Iterator[LocalValidity]:
    """Return the time span in which each agent relied on each of its leases."""
    by_agent: dict[str, list[AcknowledgedCommand]] = defaultdict(list)
    for command in sorted(commands, key=attrgetter("responded_at")):
        by_agent[command.agent].append(command)
    for of_agent in by_agent.values():
        for command in of_agent:
            if (command.operation, command.status) == ("acquire", OK):
                begin, end = command.responded_at, _end(command, of_agent, window_seconds)
                if begin < end:
                    yield LocalValidity(
                        agent=_holder(command),
                        contact=_contact(command),
                        lease=command.response["id"],
                        begin=begin,
                        end=end,
                    )


def _end(
    granted: AcknowledgedCommand, commands: Sequence[AcknowledgedCommand], window_seconds: float
) -> float:
    seconds = granted.body["durationMinutes"] * SECONDS_PER_MINUTE
    releases = (
        command.requested_at
        for command in commands
        if command.operation == "release"
        and command.path.endswith(granted.response["id"])
        and command.requested_at >= granted.responded_at
    )
    superseding = (
        command.requested_at
        for command in commands
        if (command.operation, command.status) == ("acquire", OK)
        and _contact(command) == _contact(granted)
        and granted.body.get("holder") in {None, command.body.get("holder")}
        and command.response["id"] != granted.response["id"]
        and command.requested_at >= granted.responded_at
    )
    return min(
        valid_until(granted.requested_at, seconds),
        _active_until(granted.responded_at, commands, window_seconds),
        next(releases, float("inf")),
        next(superseding, float("inf")),
    )


def _contact(command: AcknowledgedCommand) -> str:
    return str(command.body["contactEmail"]).lower()


def _holder(command: AcknowledgedCommand) -> str:
    instance = command.body.get("holder")
    return command.agent if instance is None else f"{command.agent}/{instance}"


def _active_until(
    at: float, commands: Sequence[AcknowledgedCommand], window_seconds: float
) -> float:
    """Return until when the agent considers itself active, continuously since ``at``."""
    until = float("-inf")
    for command in commands:
        if command.operation in {"register", "heartbeat"} and command.status == OK:
            if command.responded_at > max(at, until):
                break
            requested_at = command.requested_at - window_seconds / HEARTBEATS_PER_WINDOW_MAX
            until = max(until, valid_until(requested_at, window_seconds))
    return until


# -- Received events ---------------------------------------------------------------


@record
class ListenerResult:
    """The events that a listener received, after enough time for the whole log."""

    name: str
    received: Sequence[Received]
    agent_id: str | None = None  # None: the listener followed the log.


def expected_for(listener: ListenerResult, log: Sequence[RecordedEvent]) -> list[Received]:
    return (
        _expected_notifications(listener.agent_id, log)
        if listener.agent_id
        else _expected_events(log)
    )


def wrongly_received(listener: ListenerResult, log: Sequence[RecordedEvent]) -> Iterator[str]:
    """Return the first event that was received too early, too late, twice or never."""
    later = {one.sequence: place for place, one in enumerate(listener.received, start=1)}
    expected = expected_for(listener, log)
    for place, (wanted, got) in enumerate(zip_longest(expected, listener.received), start=1):
        if got == wanted:
            continue
        subject = f"{listener.name} received {_describe(got)} as its number {place}"
        if wanted is not None and got is not None and wanted.sequence < got.sequence:
            place_later = later.get(wanted.sequence)
            arrival = "never" if place_later is None else f"as number {place_later}"
            yield f"{subject}, and {_describe(wanted)} {arrival}"
        else:
            yield f"{subject}, expected {_describe(wanted)}"
        return


def _expected_events(log: Sequence[RecordedEvent]) -> list[Received]:
    return [Received(sequence=event.sequence, id=event.id, name=event.type) for event in log]


def _expected_notifications(agent_id: str, log: Sequence[RecordedEvent]) -> list[Received]:
    """The recipients of an event come from the domain rules."""
    ids = {event.sequence: event.id for event in log}
    expected = ExpectedNotifications([_fields(event) for event in log]).for_agent(agent_id)
    return [
        Received(sequence=sequence, id=ids[sequence], name=name) for sequence, name, _ in expected
    ]


def _fields(event: RecordedEvent) -> Mapping[str, object]:
    return {"sequence": event.sequence, "type": event.type, "data": orjson.loads(event.data)}


def _describe(received: Received | None) -> str:
    return "nothing" if received is None else f"{received.name} at {received.sequence}"
