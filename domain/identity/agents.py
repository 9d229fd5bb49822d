"""An agent has one name in its tenant, and is active as long as its heartbeats arrive in time.

* Registration is an upsert: the same name, in any case, keeps its id, its first registration and
  its leases. Role and heartbeat are renewed, ``incarnation`` increases by one.
* Active at t: ``t <= active_until``, the last heartbeat plus the window. The event of a heartbeat
  contains that instant, so activity is a fact of the log and not of the current configuration.
* Only registration and heartbeats renew, and neither shortens: the ``active_until`` that an agent
  was given stays true, unless an operator deactivates it. The window is that of its registration.
* A timeout is recorded (``AgentLapsed``), and in the same transaction every lease of the agent
  ends. A later heartbeat makes the agent active again; its leases stay lost.
* An agent can leave (``AgentDeregistered``): its leases end in the same transaction, and it counts
  neither in electorates nor in quotas. Only a registration brings it back, with the same id.
* Heartbeats closer together than a 300th of the window count as one. A flood of them cannot fill
  the log.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal, TypeAlias, assert_never, get_args

from quorate.domain.identity.principals import Principal
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Aggregate, Counter, Deadline, Read, Reads
from quorate.domain.shared.errors import Conflict, Forbidden, NotFound
from quorate.domain.shared.notifications import EVERYONE
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp

AGENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HEARTBEATS_PER_WINDOW_MAX = 300
ROLE_DEFAULT = "general"
Status: TypeAlias = Literal["reserved", "active", "lapsed", "deregistered", "removed"]
DeregistrationReason: TypeAlias = Literal["requested", "key_revoked"]
EVERY_ACTIVE_AGENT: Read = ("agent.active",)  # A read of all agents that are recorded as active.
LAST_NOTIFICATION = "last_notification"  # Reads: last_notification.id and last_notification.name.
HELD_LEASES = "held_leases"  # Reads of an agent's live leases: held_leases.id and held_leases.name.


@record
class AgentRef:
    """The agent that a caller names: by id, by name, or by neither (the caller itself)."""

    id: str | None = None
    name: str | None = None


def name_key(name: str) -> str:
    """Return the key of a name: two names with the same key are one (they are ASCII)."""
    return name.lower()


# -- Events ------------------------------------------------------------------


@record
class AgentRegistered:
    agent_id: str
    agent_name: str
    agent_role: str
    incarnation: int
    active_until: Timestamp
    heartbeat_window_ms: int | None = None  # Absent in events of the first releases.


@record
class AgentReregistered:
    agent_id: str
    agent_name: str
    agent_role: str
    incarnation: int
    active_until: Timestamp
    heartbeat_window_ms: int | None = None


@record
class HeartbeatReceived:
    agent_id: str
    active_until: Timestamp


@record
class AgentLapsed:
    agent_id: str
    agent_name: str
    last_heartbeat: Timestamp
    active_until: Timestamp
    detail: str | None = None  # Why an operator deactivated it; None for a timeout.


@record
class AgentDeregistered:
    """The agent left, at ``active_until`` or later; its leases that were valid then are revoked."""

    agent_id: str
    agent_name: str
    reason: DeregistrationReason
    active_until: Timestamp


Event: TypeAlias = (
    AgentRegistered | AgentReregistered | HeartbeatReceived | AgentLapsed | AgentDeregistered
)


# -- State -------------------------------------------------------------------


@record
class Agent:
    """``reserved``: a key names it, but it never registered. ``removed``: it has no row."""

    id: str
    name: str
    role: str
    incarnation: int
    registered_at: Timestamp
    last_heartbeat: Timestamp
    active_until: Timestamp
    status: Status
    heartbeat_window: int | None = None  # In milliseconds; None for early registrations.

    @property
    def is_registered(self) -> bool:
        return self.status in {"active", "lapsed"}

    @property
    def is_counted(self) -> bool:
        """Return whether the agent's name counts in the quota."""
        return self.status not in {"deregistered", "removed"}

    def is_active(self, at: Timestamp) -> bool:
        return self.status == "active" and at <= self.active_until

    def is_overdue(self, at: Timestamp) -> bool:
        """Return whether the agent has timed out and the log does not record it yet."""
        return self.status == "active" and at > self.active_until


@record
class HeartbeatResult:
    """The result of a heartbeat: ``last_notification`` shows an agent that it missed one."""

    agent: Agent
    last_notification: int  # The last sequence that notified it; or 0.


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class AgentNotFound(NotFound):
    """The agent never registered, or it deregistered. Register it (again)."""

    code, title = "agent_not_found", "Agent not found"


@dataclass(eq=False)
class AgentInactive(Conflict):
    """The heartbeats stopped. The agent must heartbeat or register before it acts again."""

    code, title = "agent_inactive", "The agent is inactive"
    reason = "its last heartbeat was at {last_heartbeat}"
    agent_id: str
    last_heartbeat: Timestamp


@dataclass(eq=False)
class ActingAsAnother(Forbidden):
    """A key bound to one agent acts only as that agent."""

    code, title = "acting_as_another", "The key belongs to another agent"
    agent_id: str


# -- The acting agent --------------------------------------------------------


def resolve_agent(caller: Principal, ref: AgentRef) -> AgentRef:
    """Return the agent that a caller acts for: its own for an agent key, else the named one."""
    if caller.role != "agent":
        return ref
    assert caller.agent_id is not None
    assert caller.agent_name is not None
    names_another = (ref.id is not None and ref.id != caller.agent_id) or (
        ref.name is not None and name_key(ref.name) != name_key(caller.agent_name)
    )
    if names_another:
        raise ActingAsAnother(caller.agent_id)
    return AgentRef(id=caller.agent_id)


def reads_of_agent(
    caller: Principal, ref: AgentRef, *kinds: str, of: tuple[str, ...] = ()
) -> Reads:
    """Read what belongs to the acting agent, under the id or the name that finds it."""
    agent_id = caller.agent_id or ref.id
    if agent_id is not None:
        return tuple([(f"{kind}.id", *of, agent_id) for kind in kinds])
    if ref.name is None:
        return ()
    name = name_key(ref.name)
    return tuple([(f"{kind}.name", *of, name) for kind in kinds])


def acting(caller: Principal, ref: AgentRef, state: TenantState) -> Agent:
    """Return the registered agent that acts, active or not."""
    resolved = resolve_agent(caller, ref)
    agent = find_agent(state, resolved)
    if agent is None or not agent.is_registered:
        raise AgentNotFound
    check_name(agent, resolved)
    return agent


def check_name(agent: Agent, resolved: AgentRef) -> None:
    """Raise AgentNotFound if a reference has both the agent's id and another name."""
    if (
        resolved.id is not None
        and resolved.name is not None
        and name_key(resolved.name) != name_key(agent.name)
    ):
        raise AgentNotFound


def acting_actively(
    caller: Principal, ref: AgentRef, state: TenantState, context: DecisionContext
) -> Agent:
    """Return the registered agent that acts; raise AgentInactive if its heartbeats stopped."""
    agent = acting(caller, ref, state)
    if not agent.is_active(context.now):
        raise AgentInactive(agent.id, agent.last_heartbeat)
    return agent


def find_agent(state: TenantState, ref: AgentRef) -> Agent | None:
    if ref.id is not None:
        return state[AGENTS].get(ref.id)
    return find_agent_by_name(state, ref.name) if ref.name is not None else None


def find_agent_by_name(state: TenantState, name: str) -> Agent | None:
    return state[AGENTS].find("name", name_key(name))


def active_agents(state: TenantState, at: Timestamp) -> frozenset[str]:
    """Return the ids of the loaded agents that are active."""
    return frozenset([agent.id for agent in state[AGENTS].values() if agent.is_active(at)])


# -- Commands ----------------------------------------------------------------


@record
class RegisterAgent:
    caller: Principal
    agent_name: str
    agent_role: str
    new_agent_id: str  # Used only when the name is new to the tenant.

    def reads(self) -> Reads:
        return (*AGENTS.by("name", name_key(self.agent_name)), quotas.COUNTS)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        resolve_agent(self.caller, AgentRef(name=self.agent_name))
        known = find_agent_by_name(state, self.agent_name)
        if known is None or not known.is_counted:
            quotas.check("agents", state.count("agents"), context.quotas)
        if known is None or known.status == "reserved":
            return [
                AgentRegistered(
                    agent_id=known.id if known else self.new_agent_id,
                    agent_name=self.agent_name,
                    agent_role=self.agent_role,
                    incarnation=1,
                    active_until=context.active_until,
                    heartbeat_window_ms=context.window,
                )
            ]
        return [
            AgentReregistered(
                agent_id=known.id,
                agent_name=known.name,
                agent_role=self.agent_role,
                incarnation=known.incarnation + 1,
                active_until=max(known.active_until, context.active_until),
                heartbeat_window_ms=context.window,
            )
        ]

    def result(self, state: TenantState, _events: Sequence[Event]) -> Agent | None:
        return find_agent_by_name(state, self.agent_name)

    def repeat(
        self, _granted: object, state: TenantState, _context: DecisionContext
    ) -> Sequence[Event]:
        """Register once: the response to a repetition is the agent as it is now."""
        acting(self.caller, AgentRef(name=self.agent_name), state)
        return []


@record
class Heartbeat:
    caller: Principal
    agent: AgentRef

    def reads(self) -> Reads:
        agent = reads_of_agent(self.caller, self.agent, AGENTS.name, LAST_NOTIFICATION)
        return (*agent, (f"{LAST_NOTIFICATION}.id", EVERYONE))

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        agent = acting(self.caller, self.agent, state)
        window = agent.heartbeat_window or context.window
        is_too_soon = context.now - agent.last_heartbeat < window // HEARTBEATS_PER_WINDOW_MAX
        if is_too_soon and agent.is_active(context.now):
            return []
        until = max(agent.active_until, Timestamp(context.now + window))
        return [HeartbeatReceived(agent_id=agent.id, active_until=until)]

    def result(self, state: TenantState, _events: Sequence[Event]) -> HeartbeatResult:
        agent = acting(self.caller, self.agent, state)
        return HeartbeatResult(agent=agent, last_notification=state.last_notification(agent.id))

    def repeat(
        self, _granted: object, state: TenantState, context: DecisionContext
    ) -> Sequence[Event]:
        """Count the repetition as a heartbeat if the agent has timed out since the first one."""
        is_active = acting(self.caller, self.agent, state).is_active(context.now)
        return [] if is_active else self.decide(state, context)


# -- Without a command ---------------------------------------------------------


def _timeout_events(agent: Agent) -> Sequence[AgentLapsed]:
    return [
        AgentLapsed(
            agent_id=agent.id,
            agent_name=agent.name,
            last_heartbeat=agent.last_heartbeat,
            active_until=agent.active_until,
        )
    ]


# -- Evolve ------------------------------------------------------------------


def evolve(state: Agent | None, event: Event, at: Timestamp) -> Agent:
    match event:
        case HeartbeatReceived():
            assert state is not None
            # Most events are heartbeats, and ``changed`` takes half as long again.
            return state.__replace__(  # type: ignore[attr-defined, no-any-return]
                last_heartbeat=at, active_until=event.active_until, status="active"
            )
        case AgentRegistered() | AgentReregistered():
            first = state is None or state.status == "reserved"
            return Agent(
                id=event.agent_id,
                name=event.agent_name,
                role=event.agent_role,
                incarnation=event.incarnation,
                registered_at=at if first or state is None else state.registered_at,
                last_heartbeat=at,
                active_until=event.active_until,
                status="active",
                heartbeat_window=event.heartbeat_window_ms,
            )
        case AgentDeregistered():
            assert state is not None
            return changed(state, status="deregistered", active_until=event.active_until)
        case AgentLapsed():
            assert state is not None
            return changed(state, status="lapsed", active_until=event.active_until)
        case _:
            assert_never(event)


AGENTS: Aggregate[Agent] = Aggregate(
    name="agent",
    events=get_args(Event),
    stream=lambda event: f"agent-{event.agent_id.removeprefix('agent_')}",
    commands=(RegisterAgent, Heartbeat),
    id_of=attrgetter("agent_id"),
    evolve=evolve,
    phase_of=attrgetter("name", "status"),
    indexes={"name": lambda agent: None if agent.status == "removed" else name_key(agent.name)},
    counters={"agents": Counter(amount=lambda agent: 1 if agent.is_counted else 0)},
    deadline=Deadline(
        at=lambda agent: agent.active_until,
        has_passed=Agent.is_overdue,
        events=_timeout_events,
        rank=1,
    ),
    is_final=lambda agent: agent.status == "removed",
)
