"""What an agent is told to do with its words: three settings, replaced as a whole.

Keys that are not ours are left out without a word, as the seed says; a value of the wrong type
never gets this far. Setting what is already set is not an event.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from quorate.domain.identity.agents import AgentRef, acting
from quorate.domain.identity.api_keys import Principal
from quorate.domain.shared import quotas
from quorate.domain.shared.records import record

if TYPE_CHECKING:
    from quorate.domain.tenant_state import DecisionContext, TenantState

Settings: TypeAlias = Mapping[str, bool | str]
SETTING_TYPES: Mapping[str, type[bool] | type[str]] = {
    "humanizer_enabled": bool,
    "humanizer_style": str,
    "humanizer_provider": str,
}


def size_bytes(settings: Settings) -> int:
    """Of names and values together, in UTF-8; true and false are one byte."""
    return sum(
        len(name.encode()) + (1 if isinstance(value, bool) else len(value.encode()))
        for name, value in settings.items()
    )


# -- Commands ----------------------------------------------------------------


@record
class ConfigureAgent:
    caller: Principal
    agent_id: str
    settings: Settings


Command = ConfigureAgent

# -- Events ------------------------------------------------------------------


@record
class AgentConfigured:
    agent_id: str
    settings: Settings


Event = AgentConfigured


def stream(event: Event) -> str:
    return f"config-{event.agent_id.removeprefix('agent_')}"


# -- Decide ------------------------------------------------------------------


def decide(
    command: Command, tenant_state: "TenantState", moment: "DecisionContext"
) -> Sequence[Event]:
    agent = acting(command.caller, AgentRef(id=command.agent_id), tenant_state)
    before = tenant_state.settings.get(agent.id, {})
    if before == command.settings:
        return []
    more = size_bytes(command.settings) - size_bytes(before)
    quotas.check("settings_bytes", tenant_state.count("settings_bytes"), moment, more=more)
    return [AgentConfigured(agent_id=agent.id, settings=command.settings)]


def outcome(command: Command, tenant_state: "TenantState") -> Settings:
    agent = acting(command.caller, AgentRef(id=command.agent_id), tenant_state)
    return tenant_state.settings.get(agent.id, {})
