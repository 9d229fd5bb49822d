"""State of the demo, computed from the event log: agents, contacts, the proposal and the task.

Only recorded events are shown; the agents are not queried. Events of agents outside the demo are
ignored, so the demo can run beside them.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from quorate.cli.demo.script import CRASHING_AGENT, PRESET
from quorate.cli.output.agent_names import Names
from quorate.cli.output.event_text import describe
from quorate.domain.shared.records import record

MAX_EVENTS = 100
# Shown only through their effects, not as lines.
HIDDEN_EVENTS = frozenset(
    {
        *("HeartbeatReceived", "SendAuthorized", "LeaseRenewed", "TaskClaimRenewed"),
        *("MessageDelivered", "MessageRead"),
    }
)
Event: TypeAlias = Mapping[str, Any]
_TASK_STATUS = {"TaskCompleted": "completed", "TaskFailed": "failed", "TaskCanceled": "cancelled"}
_ACTORS = ("agentId", "workerId", "spawnerId")  # The fields that name the agent of an event.


@dataclass
class AgentView:
    name: str
    last_heartbeat: float
    active_until: float
    has_timed_out: bool = False
    holds: int = 0


@dataclass
class ContactView:
    """``waiting``: agents whose requests were rejected while the holder has the contact."""

    holder: str | None = None
    fence: int | None = None
    since: float = 0.0
    waiting: list[str] = field(default_factory=list)


@dataclass
class ProposalView:
    action: str
    contact: str
    votes: dict[str, str] = field(default_factory=dict)
    outcome: str | None = None
    counts: tuple[int, int, int] | None = None  # For, against, of how many.

    @property
    def result(self) -> str:
        """Describe the decision; empty while the proposal is pending."""
        if self.outcome is None or self.counts is None:
            return self.outcome or ""
        approvals, rejections, size = self.counts
        return f"{self.outcome}, {approvals} to {rejections} of {size}"


@dataclass
class TaskView:
    """``workers``: those that claimed it, in order; ``ended_at``: its completion."""

    id: str
    status: str = "running"
    attempts: int = 0
    workers: list[str] = field(default_factory=list)
    completions: int = 0
    ended_at: float | None = None


@record
class SceneEvent:
    at: float
    type: str
    sentence: str


class Scene:
    """The scene; times are event times in seconds, by the clock of the service."""

    def __init__(self, agents: Sequence[str], contacts: Sequence[str]) -> None:
        self._names = Names()
        self._demo_agents = frozenset(agents)
        self._requests: dict[str, ProposalView] = {}
        self.agents: dict[str, AgentView] = {}
        self.contacts = {contact: ContactView() for contact in contacts}
        self.vote: ProposalView | None = None
        self.task: TaskView | None = None
        self.events: deque[SceneEvent] = deque(maxlen=MAX_EVENTS)
        self.counts: Counter[str] = Counter()
        self.timed_out_at: dict[str, float] = {}
        # The new holder, and the delay in seconds.
        self.reacquired: tuple[str, float] | None = None
        self.now = 0.0
        self._lost: dict[str, float] = {}

    def apply(self, event: Event) -> SceneEvent | None:
        """Apply an event; return it as a line, or None if it is hidden or not of the demo."""
        type_, details = str(event["type"]), event["data"]
        sentence = describe(type_, details, self._names)
        self.now = datetime.fromisoformat(event["at"]).timestamp()
        if self.actor(event) not in self._demo_agents and not self._is_of_task(details):
            return None
        self.counts[type_] += 1
        again = type_ == "LeaseConflicted" and self._is_waiting(self.actor(event), details)
        self._change(type_, self.actor(event), details)
        if type_ in HIDDEN_EVENTS or again:
            return None
        scene_event = SceneEvent(at=self.now, type=type_, sentence=sentence)
        self.events.append(scene_event)
        return scene_event

    def add_note(self, type_: str, sentence: str) -> SceneEvent:
        """Add a line that is not an event, at the time of the last event."""
        scene_event = SceneEvent(at=self.now, type=type_, sentence=sentence)
        self.events.append(scene_event)
        return scene_event

    def record_crash(self, sentence: str) -> SceneEvent:
        """Add a note that the crashing agent was killed; timeouts before that do not count."""
        self.timed_out_at.pop(CRASHING_AGENT, None)
        self._lost.clear()
        self.reacquired = None
        return self.add_note("Crash", sentence)

    def actor(self, event: Event) -> str:
        """Return the name of the agent of an event; empty if it has no agent."""
        data = event["data"]
        return self._names.of(next((data[key] for key in _ACTORS if data.get(key)), ""))

    def _is_of_task(self, details: Event) -> bool:
        return self.task is not None and details.get("taskId") == self.task.id

    # -- Effects of events ---------------------------------------------------

    def _change(self, type_: str, name: str, details: Event) -> None:
        match type_:
            case "AgentRegistered" | "AgentReregistered" | "HeartbeatReceived":
                self._active(name, details)
            case "AgentLapsed":
                self._timed_out(name)
            case "AgentDeregistered":
                self.agents.pop(name, None)
            case "LeaseAcquired":
                self._acquired(name, details)
            case "LeaseReleased" | "LeaseExpired":
                self._ended(name, details)
            case "LeaseRevoked":
                self._ended(name, details)
                if name == CRASHING_AGENT:
                    self._lost[details["contactKey"]] = self.now
            case "LeaseConflicted":
                self._rejected(name, details)
            case "ConsensusRequested":
                self.vote = ProposalView(action=details["action"], contact=details["contactEmail"])
                self._requests[details["requestId"]] = self.vote
            case "VoteCast" if details["requestId"] in self._requests:
                self._requests[details["requestId"]].votes[name] = details["vote"]
            case "ConsensusDecided" | "ConsensusExpired" if details["requestId"] in self._requests:
                self._closed(self._requests[details["requestId"]], details)
            case "TaskSubmitted" if details["preset"] == PRESET:
                self.task = TaskView(id=details["taskId"])
            case "TaskClaimed" | "TaskCompleted" | "TaskFailed" | "TaskCanceled" if (
                self.task is not None and self._is_of_task(details)
            ):
                self._change_task(self.task, type_, name, details)

    def _active(self, name: str, details: Event) -> None:
        until = datetime.fromisoformat(details["activeUntil"]).timestamp()
        agent = self.agents.get(name)
        if agent is None:
            self.agents[name] = AgentView(name=name, last_heartbeat=self.now, active_until=until)
        else:
            agent.last_heartbeat, agent.active_until, agent.has_timed_out = self.now, until, False

    def _timed_out(self, name: str) -> None:
        self.timed_out_at[name] = self.now
        if name in self.agents:
            self.agents[name].has_timed_out = True

    def _acquired(self, name: str, details: Event) -> None:
        contact = self._contact(details)
        for other in self.contacts.values():
            if name in other.waiting:
                other.waiting.remove(name)
        contact.holder, contact.fence, contact.since = name, details["fence"], self.now
        if name in self.agents:
            self.agents[name].holds += 1
        if (lost_at := self._lost.pop(details["contactKey"], None)) is not None:
            self.reacquired = self.reacquired or (name, self.now - lost_at)

    def _ended(self, name: str, details: Event) -> None:
        contact = self._contact(details)
        if contact.holder == name:
            contact.holder = contact.fence = None

    def _rejected(self, name: str, details: Event) -> None:
        for other in self.contacts.values():
            if name in other.waiting:
                other.waiting.remove(name)
        self._contact(details).waiting.append(name)

    def _closed(self, vote: ProposalView, details: Event) -> None:
        vote.outcome = details.get("status", "expired")
        if "electorateSize" in details:
            vote.counts = (details["approvals"], details["rejections"], details["electorateSize"])

    def _change_task(self, task: TaskView, type_: str, name: str, details: Event) -> None:
        if type_ == "TaskClaimed":
            task.attempts = details["attempts"]
            task.workers.append(name)
            return
        task.ended_at = self.now
        task.status = _TASK_STATUS[type_]
        task.completions += type_ == "TaskCompleted"

    def _is_waiting(self, name: str, details: Event) -> bool:
        """Whether the agent was rejected before and retries."""
        return name in self._contact(details).waiting

    def _contact(self, details: Event) -> ContactView:
        return self.contacts.setdefault(details["contactKey"], ContactView())
