"""An agent has one name in its tenant, and is active as long as it says so in time.

* Registering is an upsert: the same name, whatever its case, keeps its id, its first
  registration and its leases; role and heartbeat are renewed, ``incarnation`` goes up by one.
* Active at t: ``t <= active_until``, the last heartbeat plus the window. Each heartbeat's event
  names that instant, so that activity is a fact of the log and not of today's configuration.
* Only registering and heartbeats renew. A lapse is a fact: it is recorded, and in the same
  transaction every lease of the agent ends. A later heartbeat makes it active again; its leases
  stay lost.
* Heartbeats closer together than a 300th of the window are one heartbeat: a flood of them
  cannot fill the log, and what an agent is told (``active_until``) stays true.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, assert_never

from quorate.domain.identity.api_keys import KeyIssued, Principal
from quorate.domain.shared import quotas
from quorate.domain.shared.errors import Conflict, Forbidden, NotFound
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp, iso

if TYPE_CHECKING:
    from quorate.domain.tenant_state import DecisionContext, TenantState

AGENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HEARTBEATS_PER_WINDOW_MAX = 300
Status: TypeAlias = Literal["reserved", "active", "lapsed"]


@record
class AgentRef:
    """How a caller names an agent: by id, by name, or not at all (then it means itself)."""

    id: str | None = None
    name: str | None = None


def folded(name: str) -> str:
    """What makes two names the same (names are ASCII, so lower case is enough)."""
    return name.lower()


# -- Commands ----------------------------------------------------------------


@record
class RegisterAgent:
    caller: Principal
    agent_name: str
    agent_role: str
    new_agent_id: str  # Used only when the name is new to the tenant.


@record
class Heartbeat:
    caller: Principal
    agent: AgentRef


@record
class SettleAgent:
    """Record that an agent lapsed, if it did: what the timer asks for."""

    agent_id: str


Command: TypeAlias = RegisterAgent | Heartbeat | SettleAgent

# -- Events ------------------------------------------------------------------


@record
class AgentRegistered:
    agent_id: str
    agent_name: str
    agent_role: str
    incarnation: int
    active_until: Timestamp


@record
class AgentReregistered:
    agent_id: str
    agent_name: str
    agent_role: str
    incarnation: int
    active_until: Timestamp


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


Event: TypeAlias = AgentRegistered | AgentReregistered | HeartbeatReceived | AgentLapsed


def stream(event: Event) -> str:
    return f"agent-{event.agent_id.removeprefix('agent_')}"


# -- State -------------------------------------------------------------------


@record
class Agent:
    """``reserved``: a key names it, but it has not registered yet."""

    id: str
    name: str
    role: str
    incarnation: int
    registered_at: Timestamp
    last_heartbeat: Timestamp
    active_until: Timestamp
    status: Status

    def active(self, at: Timestamp) -> bool:
        return self.status == "active" and at <= self.active_until

    def overdue(self, at: Timestamp) -> bool:
        """It has lapsed, and the log does not say so yet."""
        return self.status == "active" and at > self.active_until


@record
class Heard:
    """What a heartbeat is answered: by ``last_notification`` an agent sees that it missed one."""

    agent: Agent
    last_notification: int  # The last sequence of which it was told; 0 if there is none.


# -- Refusals ----------------------------------------------------------------


@dataclass(eq=False)
class AgentNotFound(NotFound):
    code: ClassVar[str] = "agent_not_found"


@dataclass(eq=False)
class AgentInactive(Conflict):
    """Its heartbeats stopped: it must heartbeat or register before it acts again."""

    code: ClassVar[str] = "agent_inactive"
    agent_id: str
    last_heartbeat: Timestamp

    @property
    def facts(self) -> dict[str, Any]:
        return {"agent_id": self.agent_id, "last_heartbeat": iso(self.last_heartbeat)}


@dataclass(eq=False)
class ActingAsAnother(Forbidden):
    """A key bound to one agent acts only as that agent."""

    code: ClassVar[str] = "acting_as_another"
    agent_id: str


# -- Who acts ----------------------------------------------------------------


def means(caller: Principal, ref: AgentRef) -> AgentRef:
    """The agent a caller speaks for: its own for an agent's key, else the one it names."""
    if caller.role != "agent":
        return ref
    assert caller.agent_id is not None
    assert caller.agent_name is not None
    names_another = (ref.id is not None and ref.id != caller.agent_id) or (
        ref.name is not None and folded(ref.name) != folded(caller.agent_name)
    )
    if names_another:
        raise ActingAsAnother(caller.agent_id)
    return AgentRef(id=caller.agent_id)


def acting(caller: Principal, ref: AgentRef, tenant_state: "TenantState") -> Agent:
    """The registered agent that acts, active or not."""
    meant = means(caller, ref)
    agent = tenant_state.agent(meant)
    if agent is None or agent.status == "reserved":
        raise AgentNotFound
    if meant.id is not None and meant.name is not None and folded(meant.name) != folded(agent.name):
        raise AgentNotFound
    return agent


def acting_actively(
    caller: Principal, ref: AgentRef, tenant_state: "TenantState", moment: "DecisionContext"
) -> Agent:
    agent = acting(caller, ref, tenant_state)
    if not agent.active(moment.now):
        raise AgentInactive(agent.id, agent.last_heartbeat)
    return agent


# -- Decide ------------------------------------------------------------------


def decide(
    command: Command, tenant_state: "TenantState", moment: "DecisionContext"
) -> Sequence[Event]:
    match command:
        case Heartbeat():
            return heartbeat(command, tenant_state, moment)
        case RegisterAgent():
            return register(command, tenant_state, moment)
        case SettleAgent():
            return []  # What was due has been recorded before any decision.
        case _:
            assert_never(command)


def register(
    command: RegisterAgent, tenant_state: "TenantState", moment: "DecisionContext"
) -> Sequence[Event]:
    means(command.caller, AgentRef(name=command.agent_name))
    known = tenant_state.agent_named(command.agent_name)
    if known is None:
        quotas.check("agents", tenant_state.count("agents"), moment)
    if known is None or known.status == "reserved":
        return [
            AgentRegistered(
                agent_id=known.id if known else command.new_agent_id,
                agent_name=command.agent_name,
                agent_role=command.agent_role,
                incarnation=1,
                active_until=moment.active_until,
            )
        ]
    return [
        AgentReregistered(
            agent_id=known.id,
            agent_name=known.name,
            agent_role=command.agent_role,
            incarnation=known.incarnation + 1,
            active_until=moment.active_until,
        )
    ]


def heartbeat(
    command: Heartbeat, tenant_state: "TenantState", moment: "DecisionContext"
) -> Sequence[Event]:
    agent = acting(command.caller, command.agent, tenant_state)
    renewed_by = moment.active_until - agent.active_until
    too_soon = 0 <= renewed_by < moment.window // HEARTBEATS_PER_WINDOW_MAX
    if agent.active(moment.now) and too_soon:
        return []
    return [HeartbeatReceived(agent_id=agent.id, active_until=moment.active_until)]


def outcome(command: Command, tenant_state: "TenantState") -> Agent | Heard | None:
    match command:
        case Heartbeat():
            agent = acting(command.caller, command.agent, tenant_state)
            return Heard(agent=agent, last_notification=tenant_state.last_notification(agent.id))
        case RegisterAgent():
            return tenant_state.agent_named(command.agent_name)
        case SettleAgent():
            return tenant_state.agents.get(command.agent_id)
        case _:
            assert_never(command)


# -- Evolve ------------------------------------------------------------------


def evolve(state: Agent | None, event: Event | KeyIssued, at: Timestamp) -> Agent:
    match event:
        case HeartbeatReceived():
            assert state is not None
            return Agent(
                id=state.id,
                name=state.name,
                role=state.role,
                incarnation=state.incarnation,
                registered_at=state.registered_at,
                last_heartbeat=at,
                active_until=event.active_until,
                status="active",
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
            )
        case AgentLapsed():
            assert state is not None
            return replace(state, status="lapsed")
        case KeyIssued():
            return state or _reserved(event)
        case _:
            assert_never(event)


def _reserved(event: KeyIssued) -> Agent:
    assert event.agent_id is not None
    assert event.agent_name is not None
    never = Timestamp(0)
    return Agent(
        id=event.agent_id,
        name=event.agent_name,
        role="",
        incarnation=0,
        registered_at=never,
        last_heartbeat=never,
        active_until=never,
        status="reserved",
    )
