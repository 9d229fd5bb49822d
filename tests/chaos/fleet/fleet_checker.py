"""What the agents wrote down against what the log says, by rules that share little with either.

* By their own clocks, no two agents held one contact at one moment.
* The log grants a contact to one agent at a time, and its chain holds.
* The send gate let through who held the contact then, under the fence of that very lease.
* Each agent heard of all that concerns it, in order, once. (Whom an event concerns is a rule of
  the domain, and taken from there.)
* Whoever was stopped past its lease found it lost, and in the end every agent worked again.

Each finding is a sentence; papers that are as they should be give none.
"""

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import zip_longest
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar

from quorate.domain.notifications import ToAgent, notifications
from quorate.domain.shared.records import record
from quorate.eventlog.archive.export_format import Damaged, line, verify
from tests.chaos.fleet.diary import (
    NANOSECONDS_PER_SECOND,
    Began,
    Ended,
    Entry,
    Failed,
    Heard,
    Held,
    Recovered,
    Relied,
    Sent,
)

Json: TypeAlias = Mapping[str, Any]
Told: TypeAlias = tuple[
    int, str, Json
]  # A notification: its event's sequence, its name, its facts.
T = TypeVar("T", bound=Entry)

ENDS = ("LeaseReleased", "LeaseExpired", "LeaseRevoked")
RECOVERY_SECONDS_MAX = 30.0


@record
class Stopped:
    """Who was stopped while it held a lease, and when; it went on when that was over."""

    agent: str
    lease: str
    at: int


@record
class Papers:
    diaries: Mapping[str, Sequence[Entry]]
    log: Sequence[dict[str, Any]]  # As the API tells it, to the last event.
    settled: int  # The last event of which the agents had time enough to hear.
    stopped: Sequence[Stopped]
    killed: Sequence[str]  # "nats-server" and "service", as they were killed.


def inquest(papers: Papers) -> list[str]:
    return [
        *_two_holders(papers),
        *_chain(papers),
        *_grants(papers),
        *_gate(papers),
        *_unheard(papers),
        *_never_found_out(papers),
        *_out_of_work(papers),
    ]


def of(kind: type[T], entries: Sequence[Entry]) -> list[T]:
    return [entry for entry in entries if isinstance(entry, kind)]


# -- By the agents' own clocks ---------------------------------------------------


@record
class Hold:
    agent: str
    contact: str
    lease: str
    begin: int
    end: int


def holds(entries: Sequence[Entry]) -> list[Hold]:
    """From when each lease was granted to the last moment at which it was relied upon.

    Had the agent been asked between two entries, it would have said what its own deadline says:
    so a hold lasts until that, unless the agent let go before.
    """
    found: dict[int, Hold] = {}
    latest: dict[str, int] = {}  # Each lease's hold, if it was granted more than once.
    for place, entry in enumerate(entries):
        match entry:
            case Held():
                latest[entry.lease] = place
                found[place] = Hold(
                    agent=entry.agent,
                    contact=entry.contact,
                    lease=entry.lease,
                    begin=entry.at,
                    end=entry.at,
                )
            case Relied():
                hold = found[latest[entry.lease]]
                end = max(hold.end, entry.at, entry.until)
                found[latest[entry.lease]] = replace(hold, end=end)
            case Ended():
                hold = found[latest[entry.lease]]
                found[latest[entry.lease]] = replace(hold, end=min(hold.end, entry.at))
            case _:
                pass
    return [*found.values()]


def _two_holders(papers: Papers) -> Iterator[str]:
    by_contact: dict[str, list[Hold]] = defaultdict(list)
    for entries in papers.diaries.values():
        for hold in holds(entries):
            if hold.begin < hold.end:
                by_contact[hold.contact].append(hold)
    for contact, all_holds in by_contact.items():
        latest: dict[str, Hold] = {}  # Each agent's hold that ends last.
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


def _chain(papers: Papers) -> Iterator[str]:
    """Complete from the first event, each sequence following the one before, each hash right."""
    try:
        verified = verify(io.BytesIO(b"".join(line(event) for event in papers.log)))
    except Damaged as damage:
        yield f"the log does not hold together: {damage}"
        return
    if verified is None or verified.first != 1 or verified.head.sequence != len(papers.log):
        yield "the log is not whole"


@record
class Grant:
    lease: str
    agent_id: str
    fence: int
    until: float


@record
class Authorized:
    """A send that the log says was let through, and the lease that was valid then."""

    event: Json
    grant: Grant | None


class Replay:
    """The log once more, for leases alone: who held what at each send, and what is amiss."""

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
                over = grant is None or _seconds(event["at"]) >= grant.until
                self.authorized.append(Authorized(event=event, grant=None if over else grant))

    def _acquired(self, event: Json, data: Json) -> None:
        if data["contactKey"] in self._valid:
            self._find(event, "gives away what another holds")
        if data["fence"] <= self._fence:
            self._find(event, "carries a fence that is not the highest")
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
            self._find(event, "renews what is over")
            return
        until = _seconds(data["expiresAt"])
        if until < known.until:
            self._find(event, "makes a lease shorter")
        self._valid[data["contactKey"]] = replace(known, until=until)

    def _ended(self, event: Json, data: Json) -> None:
        known = self._valid.get(data["contactKey"])
        if known is None or known.lease != data["leaseId"]:
            self._find(event, "ends a lease that nobody has")
            return
        if event["type"] == "LeaseExpired" and _seconds(event["at"]) < known.until:
            self._find(event, "comes before its time")
        del self._valid[data["contactKey"]]

    def _find(self, event: Json, what: str) -> None:
        self.findings.append(f"{event['type']} at {event['sequence']} {what}")


def _grants(papers: Papers) -> Iterator[str]:
    yield from Replay(papers.log).findings


# -- The send gate ---------------------------------------------------------------


def _gate(papers: Papers) -> Iterator[str]:
    """In the order of the log; the fence is the one for which the agent says that it sent."""
    sent = {sent.send: sent for entries in papers.diaries.values() for sent in of(Sent, entries)}
    authorized = {send for send, said in sent.items() if said.authorized}
    recorded = set()
    highest: dict[str, int] = defaultdict(int)
    for send in Replay(papers.log).authorized:
        data = send.event["data"]
        recorded.add(data["sendId"])
        which = f"the send at {send.event['sequence']} to {data['contactEmail']}"
        if send.grant is None or send.grant.agent_id != data["agentId"]:
            yield f"{which} was let through though the sender held nothing"
        said = sent.get(data["sendId"])  # Unless the answer never came.
        if said is None:
            continue
        if send.grant is None or send.grant.fence != said.fence:
            yield f"{which} was let through under the stale fence {said.fence}"
        if said.fence < highest[said.contact]:
            yield f"{which} was let through after a higher fence than {said.fence}"
        highest[said.contact] = max(highest[said.contact], said.fence)
    if authorized != recorded & set(sent):
        yield "the gate's answers are not those of the log"


# -- What each agent heard -------------------------------------------------------


class Due:
    """What each agent must be told of, in order."""

    def __init__(self, log: Sequence[Json]) -> None:
        self._to_all: list[Told] = []
        self._to_agent: dict[str, list[Told]] = defaultdict(list)
        for event in log:
            for notification in notifications(event["type"], event["data"]):
                told = (event["sequence"], notification.name, notification.facts)
                if isinstance(notification.audience, ToAgent):
                    self._to_agent[notification.audience.agent_id].append(told)
                else:
                    self._to_all.append(told)

    def to(self, agent_id: str) -> list[Told]:
        return sorted([*self._to_all, *self._to_agent[agent_id]], key=itemgetter(0))


def _unheard(papers: Papers) -> Iterator[str]:
    """What came after all was settled may be cut off, and nothing else."""
    all_due = Due(papers.log)
    for name, entries in papers.diaries.items():
        began = of(Began, entries)
        if not began:
            yield f"{name} never began"
            continue
        due = [told for told in all_due.to(began[0].agent_id) if told[0] > began[0].after]
        heard = [(one.sequence, one.name, one.data) for one in of(Heard, entries)]
        for place, (wanted, got) in enumerate(zip_longest(due, heard), start=1):
            if got is None and wanted is not None and wanted[0] > papers.settled:
                break
            if wanted != got:
                yield f"{name} heard {_said(got)} as its notification {place}, due was {_said(wanted)}"
                break


def _said(told: Told | None) -> str:
    return "nothing" if told is None else f"{told[1]} of event {told[0]} {dict(told[2])}"


# -- What became of them ---------------------------------------------------------


def _never_found_out(papers: Papers) -> Iterator[str]:
    for stopped in papers.stopped:
        lost = [
            ended
            for ended in of(Ended, papers.diaries[stopped.agent])
            if (ended.lease, ended.how) == (stopped.lease, "lost") and ended.at > stopped.at
        ]
        if not lost:
            yield f"{stopped.agent} never found out that it lost {stopped.lease}"


def _out_of_work(papers: Papers) -> Iterator[str]:
    for name, entries in papers.diaries.items():
        yield from (f"{name}: {failed.what}" for failed in of(Failed, entries))
        recovered = of(Recovered, entries)
        if not recovered:
            yield f"{name} did not work again"
        elif recovered[-1].seconds > RECOVERY_SECONDS_MAX:
            yield f"{name} took {recovered[-1].seconds:.1f} s to work again"


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
