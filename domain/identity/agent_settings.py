"""The settings of an agent: three fields that are stored for it and replaced as a whole.

Unknown keys are ignored, as the seed says; a value of the wrong type is rejected before it gets
here. A command that changes nothing records no event.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from quorate.domain.identity.agents import AGENTS, AgentRef, acting
from quorate.domain.identity.principals import Principal
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Aggregate, Counter, Reads
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp

Settings: TypeAlias = Mapping[str, bool | str]
SETTING_TYPES: Mapping[str, type[bool] | type[str]] = {
    "humanizer_enabled": bool,
    "humanizer_style": str,
    "humanizer_provider": str,
}

# The settings of an agent whose name was removed: they have no row.
REMOVED_SETTINGS: Settings = MappingProxyType({})


def size_bytes(settings: Settings) -> int:
    """Return the size of names and values together, in UTF-8; a boolean counts as one byte."""
    return sum(
        len(name.encode()) + (1 if isinstance(value, bool) else len(value.encode()))
        for name, value in settings.items()
    )


# -- Events ------------------------------------------------------------------


@record
class AgentConfigured:
    agent_id: str
    settings: Settings


Event = AgentConfigured


# -- Commands ----------------------------------------------------------------


@record
class ConfigureAgent:
    caller: Principal
    agent_id: str
    settings: Settings

    def reads(self) -> Reads:
        agent, settings = AGENTS.by("id", self.agent_id), AGENT_SETTINGS.by("id", self.agent_id)
        return (*agent, *settings, quotas.COUNTS)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        agent = acting(self.caller, AgentRef(id=self.agent_id), state)
        before = state[AGENT_SETTINGS].get(agent.id) or {}
        if before == self.settings:
            return []
        more = size_bytes(self.settings) - size_bytes(before)
        count = state.count("settings_bytes")
        quotas.check("settings_bytes", count, context.quotas, more=more)
        return [AgentConfigured(agent_id=agent.id, settings=self.settings)]

    def result(self, state: TenantState, _events: Sequence[Event]) -> Settings:
        agent = acting(self.caller, AgentRef(id=self.agent_id), state)
        return state[AGENT_SETTINGS].get(agent.id) or {}


# -- Evolve ------------------------------------------------------------------


def evolve(_state: Settings | None, event: Event, _at: Timestamp) -> Settings:
    return event.settings


AGENT_SETTINGS: Aggregate[Settings] = Aggregate(
    name="agent_settings",
    events=(AgentConfigured,),
    stream=lambda event: f"config-{event.agent_id.removeprefix('agent_')}",
    commands=(ConfigureAgent,),
    id_of=lambda event: event.agent_id,
    evolve=evolve,
    counters={"settings_bytes": Counter(amount=size_bytes)},
    is_final=lambda settings: settings is REMOVED_SETTINGS,
)
