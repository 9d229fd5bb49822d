"""Check the journals of the agents against the log, with rules mostly independent of both.

* By the local clocks, no two agents held one contact at the same time.
* The log grants a contact to one agent at a time, and its hash chain is valid.
* The send gate authorized only the holder of the contact, with the fence of that lease.
* Each agent received every notification for it once and in order. The recipients of an event come
  from the domain rules.
* An agent that was stopped past its lease detected the loss, and in the end every agent recovered.

Each finding is a sentence; a correct run has no findings.
"""

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import zip_longest
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar

from quorate.domain.registry import notifications_of
from quorate.domain.shared.notifications import ToAgent
from quorate.domain.shared.records import record
from quorate.eventlog.archive.export_format import FileCorrupted, encode_line, verify
from tests.chaos.fleet.journal import (
    NANOSECONDS_PER_SECOND,
    Acquired,
    Connected,
    Ended,
    Entry,
    Failed,
    Received,
    Recovered,
    ReliedOn,
    Sent,
)

Json: TypeAlias = Mapping[str, Any]
# A notification: the sequence of its event, its name, its data.
NotificationRecord: TypeAlias = tuple[int, str, Json]
T = TypeVar("T", bound=Entry)

ENDS = ("LeaseReleased", "LeaseExpired", "LeaseRevoked")
RECOVERY_SECONDS_MAX = 30.0


@record
class StoppedAgent:
    """An agent that was stopped while it held a lease, until the lease had ended."""

    agent: str
    lease: str
    at: int


@record
class Evidence:
    journals: Mapping[str, Sequence[Entry]]
    log: Sequence[dict[str, Any]]  # All events, as the API returns them.
    settled_sequence: int  # The agents had time to receive all events up to this one.
    stopped: Sequence[StoppedAgent]
    killed: Sequence[str]  # "nats-server" and "service", in the order of the kills.


def check_run(evidence: Evidence) -> list[str]:
    return [
        *_concurrent_holders(evidence),
        *_chain(evidence),
        *_grants(evidence),
        *_gate(evidence),
        *_wrongly_received(evidence),
        *_undetected_losses(evidence),
        *_not_recovered(evidence),
    ]


def of(kind: type[T], entries: Sequence[Entry]) -> list[T]:
    return [entry for entry in entries if isinstance(entry, kind)]


# -- Local lease validity --------------------------------------------------------


@record
class Hold:
    agent: str
    contact: str
    lease: str
    begin: int
    end: int


def holds(entries: Sequence[Entry]) -> list[Hold]:
    """Return the time span in which the agent relied on each lease.

    Between two entries the agent would rely on its local deadline. A hold therefore lasts until
    that deadline, unless the agent released the lease before.
    """
    found: dict[int, Hold] = {}
    latest: dict[str, int] = {}  # The latest hold of each lease, which may be granted again.
    for place, entry in enumerate(entries):
        match entry:
            case Acquired():
                latest[entry.lease] = place
                found[place] = Hold(
                    agent=entry.agent,
                    contact=entry.contact,
                    lease=entry.lease,
                    begin=entry.at,
                    end=entry.at,
                )
            case ReliedOn():
                hold = found[latest[entry.lease]]
                end = max(hold.end, entry.at, entry.until)
                found[latest[entry.lease]] = replace(hold, end=end)
            case Ended():
                hold = found[latest[entry.lease]]
                found[latest[entry.lease]] = replace(hold, end=min(hold.end, entry.at))
            case _:
                pass
    return [*found.values()]


def _concurrent_holders(evidence: Evidence) -> Iterator[str]:
    by_contact: dict[str, list[Hold]] = defaultdict(list)
    for entries in evidence.journals.values():
        for hold in holds(entries):
            if hold.begin < hold.end:
                by_contact[hold.contact].append(hold)
    for contact, all_holds in by_contact.items():
        latest: dict[str, Hold] = {}  # The latest end of a hold per agent.
        for hold in sorted(all_holds, key=lambda hold: hold.begin):
            for other in latest.values():
                if other.agent != hold.agent and hold.begin < other.end:
                    seconds = (other.end - hold.begin) / NANOSECONDS_PER_SECOND
                    both = f"{other.agent} ({other.lease}) and {hold.agent} ({hold.lease})"
                    yield f"{contact} was held by {both} for {seconds:.3f} s"
            known = latest.get(hold.agent)
            if known is None or known.end < hold.end:
                latest[hold.agent] = hold


# -- The log ---------------------------------------------------------------------


def _chain(evidence: Evidence) -> Iterator[str]:
    """The log must be complete from the first event, with valid sequences and hashes."""
    try:
        verified = verify(io.BytesIO(b"".join(encode_line(event) for event in evidence.log)))
    except FileCorrupted as error:
        yield f"the log is corrupted: {error}"
        return
    if verified is None or verified.first != 1 or verified.head.sequence != len(evidence.log):
        yield "the log is incomplete"


@record
class Grant:
    lease: str
    agent_id: str
    fence: int
    until: float


@record
class Authorized:
    """An authorized send in the log, and the lease that was valid then."""

    event: Json
    grant: Grant | None


class Replay:
    """Replays the leases of the log: the holder at each send, and rule violations."""

    def __init__(self, log: Sequence[Json]) -> None:
        self.findings: list[str] = []
        self.authorized: list[Authorized] = []
        self._valid: dict[str, Grant] = {}
        self._fence = 0
        for event in log:
            self._follow(event, event["data"])

    def _follow(self, event: Json, data: Json) -> None:
        match event["type"]:
            case "LeaseAcquired":
                self._acquired(event, data)
            case "LeaseRenewed":
                self._renewed(event, data)
            case type_ if type_ in ENDS:
                self._ended(event, data)
            case "SendAuthorized":
                grant = self._valid.get(data["contactKey"])
                has_ended = grant is None or _seconds(event["at"]) >= grant.until
                self.authorized.append(Authorized(event=event, grant=None if has_ended else grant))

    def _acquired(self, event: Json, data: Json) -> None:
        if data["contactKey"] in self._valid:
            self._find(event, "grants a contact that another agent holds")
        if data["fence"] <= self._fence:
            self._find(event, "has a fence that is not the highest")
        self._fence = data["fence"]
        self._valid[data["contactKey"]] = Grant(
            lease=data["leaseId"],
            agent_id=data["agentId"],
            fence=data["fence"],
            until=_seconds(data["expiresAt"]),
        )

    def _renewed(self, event: Json, data: Json) -> None:
        known = self._valid.get(data["contactKey"])
        if known is None or known.lease != data["leaseId"] or _seconds(event["at"]) >= known.until:
            self._find(event, "renews an ended lease")
            return
        until = _seconds(data["expiresAt"])
        if until < known.until:
            self._find(event, "shortens a lease")
        self._valid[data["contactKey"]] = replace(known, until=until)

    def _ended(self, event: Json, data: Json) -> None:
        known = self._valid.get(data["contactKey"])
        if known is None or known.lease != data["leaseId"]:
            self._find(event, "ends a lease that no agent holds")
            return
        if event["type"] == "LeaseExpired" and _seconds(event["at"]) < known.until:
            self._find(event, "is too early")
        del self._valid[data["contactKey"]]

    def _find(self, event: Json, what: str) -> None:
        self.findings.append(f"{event['type']} at {event['sequence']} {what}")


def _grants(evidence: Evidence) -> Iterator[str]:
    yield from Replay(evidence.log).findings


# -- The send gate ---------------------------------------------------------------


def _gate(evidence: Evidence) -> Iterator[str]:
    """Check the sends in the order of the log, with the fence in the journal of the agent."""
    sent = {sent.send: sent for entries in evidence.journals.values() for sent in of(Sent, entries)}
    authorized = {send for send, journaled in sent.items() if journaled.authorized}
    recorded = set()
    highest: dict[str, int] = defaultdict(int)
    for send in Replay(evidence.log).authorized:
        data = send.event["data"]
        recorded.add(data["sendId"])
        which = f"the send at {send.event['sequence']} to {data['contactEmail']}"
        if send.grant is None or send.grant.agent_id != data["agentId"]:
            yield f"{which} was authorized although the sender held no lease"
        journaled = sent.get(data["sendId"])  # None if the response was lost.
        if journaled is None:
            continue
        if send.grant is None or send.grant.fence != journaled.fence:
            yield f"{which} was authorized with the stale fence {journaled.fence}"
        if journaled.fence < highest[journaled.contact]:
            yield f"{which} was authorized after a higher fence than {journaled.fence}"
        highest[journaled.contact] = max(highest[journaled.contact], journaled.fence)
    if authorized != recorded & set(sent):
        yield "the decisions of the send gate differ from the log"


# -- Received notifications ------------------------------------------------------


class ExpectedNotifications:
    """The notifications that each agent must receive, in order."""

    def __init__(self, log: Sequence[Json]) -> None:
        self._to_all: list[NotificationRecord] = []
        self._to_agent: dict[str, list[NotificationRecord]] = defaultdict(list)
        for event in log:
            for notification in notifications_of(event["type"], event["data"]):
                expected = (event["sequence"], notification.name, notification.data)
                if isinstance(notification.audience, ToAgent):
                    self._to_agent[notification.audience.agent_id].append(expected)
                else:
                    self._to_all.append(expected)

    def for_agent(self, agent_id: str) -> list[NotificationRecord]:
        return sorted([*self._to_all, *self._to_agent[agent_id]], key=itemgetter(0))


def _wrongly_received(evidence: Evidence) -> Iterator[str]:
    """Only notifications after ``settled_sequence`` may be missing."""
    all_expected = ExpectedNotifications(evidence.log)
    for name, entries in evidence.journals.items():
        connections = of(Connected, entries)
        if not connections:
            yield f"{name} never connected"
            continue
        expected = [
            one
            for one in all_expected.for_agent(connections[0].agent_id)
            if one[0] > connections[0].after
        ]
        received = [(one.sequence, one.name, one.data) for one in of(Received, entries)]
        for place, (wanted, got) in enumerate(zip_longest(expected, received), start=1):
            if got is None and wanted is not None and wanted[0] > evidence.settled_sequence:
                break
            if wanted != got:
                subject = f"{name} received {_describe(got)} as notification {place}"
                yield f"{subject}, expected {_describe(wanted)}"
                break


def _describe(notification: NotificationRecord | None) -> str:
    return (
        "nothing"
        if notification is None
        else f"{notification[1]} of event {notification[0]} {dict(notification[2])}"
    )


# -- Recovery --------------------------------------------------------------------


def _undetected_losses(evidence: Evidence) -> Iterator[str]:
    for stopped in evidence.stopped:
        lost = [
            ended
            for ended in of(Ended, evidence.journals[stopped.agent])
            if (ended.lease, ended.reason) == (stopped.lease, "lost") and ended.at > stopped.at
        ]
        if not lost:
            yield f"{stopped.agent} did not detect the loss of {stopped.lease}"


def _not_recovered(evidence: Evidence) -> Iterator[str]:
    for name, entries in evidence.journals.items():
        yield from (f"{name}: {failed.error}" for failed in of(Failed, entries))
        recovered = of(Recovered, entries)
        if not recovered:
            yield f"{name} did not recover"
        elif recovered[-1].seconds > RECOVERY_SECONDS_MAX:
            yield f"{name} took {recovered[-1].seconds:.1f} s to recover"


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
