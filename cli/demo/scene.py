"""What the demo has come to, told by the log alone: who is there, who holds what, how the vote is.

The agents are not asked: what is shown is what the service recorded, event by event. Events of
agents that are not the demo's own are passed over, so that it can run beside them.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from quorate.cli.output.event_text import Names, told
from quorate.domain.shared.records import record

HAPPENINGS_KEPT_MAX = 100
# Signs of life and the gate's yes are shown as what they lead to, not as lines of their own.
QUIET = frozenset({"HeartbeatReceived", "SendAuthorized", "LeaseRenewed"})
Event: TypeAlias = Mapping[str, Any]


@dataclass
class AgentSeen:
    name: str
    heard_at: float
    active_until: float
    lapsed: bool = False
    holds: int = 0


@dataclass
class ContactSeen:
    """``wanted_by`` were refused while the present holder has it."""

    holder: str | None = None
    fence: int | None = None
    since: float = 0.0
    wanted_by: list[str] = field(default_factory=list)


@dataclass
class VoteSeen:
    action: str
    contact: str
    votes: dict[str, str] = field(default_factory=dict)
    outcome: str | None = None
    counts: tuple[int, int, int] | None = None  # For, against, of how many.

    @property
    def result(self) -> str:
        """How it ended, in words; empty while it has not."""
        if self.outcome is None or self.counts is None:
            return self.outcome or ""
        approvals, rejections, size = self.counts
        return f"{self.outcome}, {approvals} to {rejections} of {size}"


@record
class Happening:
    at: float
    type: str
    sentence: str


class Scene:
    """Times are seconds by the service's clock, as its events bear them."""

    def __init__(self, agents: Sequence[str], contacts: Sequence[str]) -> None:
        self._names = Names()
        self._cast = frozenset(agents)
        self._requests: dict[str, VoteSeen] = {}
        self.agents: dict[str, AgentSeen] = {}
        self.contacts = {contact: ContactSeen() for contact in contacts}
        self.vote: VoteSeen | None = None
        self.happenings: deque[Happening] = deque(maxlen=HAPPENINGS_KEPT_MAX)
        self.counts: Counter[str] = Counter()
        self.lapsed_at: dict[str, float] = {}
        self.inherited: tuple[str, float] | None = None  # By whom, and how many seconds later.
        self.now = 0.0
        self._lost: dict[str, float] = {}

    def apply(self, event: Event) -> Happening | None:
        """What is to be told of it; None when it is not ours, or not worth a line."""
        type_, facts = str(event["type"]), event["data"]
        sentence = told(type_, facts, self._names)
        self.now = datetime.fromisoformat(event["at"]).timestamp()
        if self.actor(event) not in self._cast:
            return None
        self.counts[type_] += 1
        again = type_ == "LeaseConflicted" and self._waits(self.actor(event), facts)
        self._change(type_, self.actor(event), facts)
        if type_ in QUIET or again:
            return None
        happening = Happening(at=self.now, type=type_, sentence=sentence)
        self.happenings.append(happening)
        return happening

    def remark(self, type_: str, sentence: str) -> Happening:
        """Something that the log does not know, at the time that it has come to."""
        happening = Happening(at=self.now, type=type_, sentence=sentence)
        self.happenings.append(happening)
        return happening

    def actor(self, event: Event) -> str:
        """The name of the agent that an event is about; empty when it is about none."""
        return self._names.of(event["data"].get("agentId", ""))

    # -- What each event changes ---------------------------------------------

    def _change(self, type_: str, name: str, facts: Event) -> None:
        match type_:
            case "AgentRegistered" | "AgentReregistered" | "HeartbeatReceived":
                self._alive(name, facts)
            case "AgentLapsed":
                self._lapsed(name)
            case "LeaseAcquired":
                self._acquired(name, facts)
            case "LeaseReleased" | "LeaseExpired":
                self._over(name, facts)
            case "LeaseRevoked":
                self._over(name, facts)
                self._lost[facts["contactKey"]] = self.now
            case "LeaseConflicted":
                self._refused(name, facts)
            case "ConsensusRequested":
                self.vote = VoteSeen(action=facts["action"], contact=facts["contactEmail"])
                self._requests[facts["requestId"]] = self.vote
            case "VoteCast" if facts["requestId"] in self._requests:
                self._requests[facts["requestId"]].votes[name] = facts["vote"]
            case "ConsensusDecided" | "ConsensusExpired" if facts["requestId"] in self._requests:
                self._closed(self._requests[facts["requestId"]], facts)

    def _alive(self, name: str, facts: Event) -> None:
        until = datetime.fromisoformat(facts["activeUntil"]).timestamp()
        agent = self.agents.get(name)
        if agent is None:
            self.agents[name] = AgentSeen(name=name, heard_at=self.now, active_until=until)
        else:
            agent.heard_at, agent.active_until, agent.lapsed = self.now, until, False

    def _lapsed(self, name: str) -> None:
        self.lapsed_at[name] = self.now
        if name in self.agents:
            self.agents[name].lapsed = True

    def _acquired(self, name: str, facts: Event) -> None:
        contact = self._contact(facts)
        for other in self.contacts.values():
            if name in other.wanted_by:
                other.wanted_by.remove(name)
        contact.holder, contact.fence, contact.since = name, facts["fence"], self.now
        if name in self.agents:
            self.agents[name].holds += 1
        if (lost_at := self._lost.pop(facts["contactKey"], None)) is not None:
            self.inherited = self.inherited or (name, self.now - lost_at)

    def _over(self, name: str, facts: Event) -> None:
        contact = self._contact(facts)
        if contact.holder == name:
            contact.holder = contact.fence = None

    def _refused(self, name: str, facts: Event) -> None:
        for other in self.contacts.values():
            if name in other.wanted_by:
                other.wanted_by.remove(name)
        self._contact(facts).wanted_by.append(name)

    def _closed(self, vote: VoteSeen, facts: Event) -> None:
        vote.outcome = facts.get("status", "expired")
        if "electorateSize" in facts:
            vote.counts = (facts["approvals"], facts["rejections"], facts["electorateSize"])

    def _waits(self, name: str, facts: Event) -> bool:
        """Whether it was refused before, and asks once more."""
        return name in self._contact(facts).wanted_by

    def _contact(self, facts: Event) -> ContactSeen:
        return self.contacts.setdefault(facts["contactKey"], ContactSeen())
