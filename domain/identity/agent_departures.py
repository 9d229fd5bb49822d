"""How an agent leaves: it deregisters, or is deactivated; later its name can be removed.

* A deactivated agent is inactive like one whose heartbeats stopped: its leases and claims end, and
  its next heartbeat or registration makes it active again.
* A deregistered agent keeps its id, its settings and its keys. It can register again.
* Only the name of an agent without a registration in force and without keys can be removed. Its
  settings go with it. The log keeps all events; a later registration of the name is a new agent.
* The service itself removes names that were inactive for longer than the operator keeps them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.domain.identity.agent_settings import AGENT_SETTINGS, REMOVED_SETTINGS, Settings
from quorate.domain.identity.agents import (
    AGENTS,
    HELD_LEASES,
    Agent,
    AgentDeregistered,
    AgentLapsed,
    AgentNotFound,
    AgentRef,
    check_name,
    find_agent,
    reads_of_agent,
    resolve_agent,
)
from quorate.domain.identity.api_keys import KEYS_OF_AGENT, has_key
from quorate.domain.identity.deregistration import deregister
from quorate.domain.identity.principals import Principal
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Aggregate, Effect, Reads
from quorate.domain.shared.errors import Conflict
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp

# -- Events ------------------------------------------------------------------


@record
class AgentRemoved:
    agent_id: str
    agent_name: str


# -- Results and errors --------------------------------------------------------


@record
class Deregistration:
    """``is_deregistered`` is False when a condition of the request kept the agent registered."""

    agent_id: str
    is_deregistered: bool


@dataclass(eq=False)
class AgentActive(Conflict):
    """An active agent cannot be removed. Deregister it, or wait for its timeout."""

    code, title = "agent_active", "The agent is active"
    reason = "until {active_until} without a further heartbeat"
    agent_id: str
    active_until: Timestamp


@dataclass(eq=False)
class AgentHasKeys(Conflict):
    """An agent with an API key cannot be removed. Revoke the key first."""

    code, title = "agent_has_keys", "The agent has API keys that are valid"
    agent_id: str


# -- Commands ----------------------------------------------------------------


@record
class DeregisterAgent:
    """End the registration of an agent, and its leases. A second time records nothing.

    ``incarnation`` keeps an agent that has registered again since, ``only_if_idle`` one that holds
    a lease: another process of the same agent may need it.
    """

    caller: Principal
    agent: AgentRef
    incarnation: int | None = None
    only_if_idle: bool = False

    def reads(self) -> Reads:
        kinds = (AGENTS.name, HELD_LEASES, quotas.OWNED_COUNT)
        return reads_of_agent(self.caller, self.agent, *kinds)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[AgentDeregistered]:
        agent = _known(self.caller, self.agent, state)
        if self.incarnation not in {None, agent.incarnation}:
            return []
        if self.only_if_idle and state.owned_count("live_leases", agent.id):
            return []
        return deregister(agent, "requested", context.now)

    def result(self, state: TenantState, _events: Sequence[AgentDeregistered]) -> Deregistration:
        agent = _known(self.caller, self.agent, state)
        return Deregistration(agent_id=agent.id, is_deregistered=not agent.is_registered)


@record
class DeactivateAgent:
    """Make an agent inactive as an operator. One that is not active stays as it is."""

    agent_id: str
    detail: str

    def reads(self) -> Reads:
        return (*AGENTS.by("id", self.agent_id), (f"{HELD_LEASES}.id", self.agent_id))

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[AgentLapsed]:
        agent = state[AGENTS].get(self.agent_id)
        if agent is None or agent.status in {"reserved", "removed"}:
            raise AgentNotFound
        if agent.status != "active":
            return []
        return [
            AgentLapsed(
                agent_id=agent.id,
                agent_name=agent.name,
                last_heartbeat=agent.last_heartbeat,
                active_until=min(agent.active_until, context.now),
                detail=self.detail,
            )
        ]

    def result(self, state: TenantState, _events: Sequence[AgentLapsed]) -> Agent:
        return state[AGENTS][self.agent_id]


@record
class RemoveAgent:
    """Remove the name of an agent that is not active."""

    agent_id: str

    def reads(self) -> Reads:
        settings = AGENT_SETTINGS.by("id", self.agent_id)
        return (*AGENTS.by("id", self.agent_id), *settings, (KEYS_OF_AGENT, self.agent_id))

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[AgentRemoved]:
        agent = state[AGENTS].get(self.agent_id)
        if agent is None or agent.status == "removed":
            raise AgentNotFound
        if agent.status == "active":
            raise AgentActive(agent.id, agent.active_until)
        if has_key(state, agent.id, context.now):
            raise AgentHasKeys(agent.id)
        return [AgentRemoved(agent_id=agent.id, agent_name=agent.name)]

    def result(self, _state: TenantState, _events: Sequence[AgentRemoved]) -> None:
        return None


@record
class ForgetAgent:
    """Remove the name of an agent if it was inactive at ``inactive_since`` and ever since."""

    agent_id: str
    inactive_since: Timestamp

    def reads(self) -> Reads:
        return RemoveAgent(agent_id=self.agent_id).reads()

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[AgentRemoved]:
        agent = state[AGENTS].get(self.agent_id)
        if agent is None or agent.status not in {"lapsed", "deregistered"}:
            return []
        if agent.active_until >= self.inactive_since or has_key(state, agent.id, context.now):
            return []
        return [AgentRemoved(agent_id=agent.id, agent_name=agent.name)]

    def result(self, _state: TenantState, _events: Sequence[AgentRemoved]) -> None:
        return None


def _known(caller: Principal, ref: AgentRef, state: TenantState) -> Agent:
    """Return the named agent, also one that has deregistered before."""
    resolved = resolve_agent(caller, ref)
    agent = find_agent(state, resolved)
    if agent is None or agent.status in {"reserved", "removed"}:
        raise AgentNotFound
    check_name(agent, resolved)
    return agent


# -- Effects -----------------------------------------------------------------


def _remove(state: Agent | None, _event: AgentRemoved, _at: Timestamp) -> Agent:
    assert state is not None
    return changed(state, status="removed")


def _remove_settings(_state: Settings | None, _event: AgentRemoved, _at: Timestamp) -> Settings:
    return REMOVED_SETTINGS


AGENT_DEPARTURES: Aggregate[None] = Aggregate(
    name="departure",
    events=(AgentRemoved,),
    stream=lambda event: f"agent-{event.agent_id.removeprefix('agent_')}",
    commands=(DeregisterAgent, DeactivateAgent, RemoveAgent, ForgetAgent),
    effects=(
        Effect(
            event=AgentRemoved,
            aggregate=AGENTS,
            id_of=lambda event: event.agent_id,
            evolve=_remove,
        ),
        Effect(
            event=AgentRemoved,
            aggregate=AGENT_SETTINGS,
            id_of=lambda event: event.agent_id,
            evolve=_remove_settings,
        ),
    ),
)
