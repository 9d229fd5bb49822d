"""What an agent is told to do with its words: three settings, replaced as a whole.

Keys that are not ours are left out without a word, as the seed says; a value of the wrong type
never gets this far. Setting what is already set is not an event.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from quorate.domain.agents import AgentRef, acting
from quorate.domain.keys import Principal
from quorate.domain.record import record

if TYPE_CHECKING:
    from quorate.domain.situation import Moment, Situation

Settings: TypeAlias = Mapping[str, bool | str]
SETTING_TYPES: Mapping[str, type[bool] | type[str]] = {
    "humanizer_enabled": bool,
    "humanizer_style": str,
    "humanizer_provider": str,
}

# -- Commands ----------------------------------------------------------------


@record
class ConfigureAgent:
    caller: Principal
    agent: AgentRef
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


def decide(command: Command, situation: "Situation", _moment: "Moment") -> Sequence[Event]:
    agent = acting(command.caller, command.agent, situation)
    if situation.settings.get(agent.id, {}) == command.settings:
        return []
    return [AgentConfigured(agent_id=agent.id, settings=command.settings)]


def outcome(command: Command, situation: "Situation") -> Settings:
    agent = acting(command.caller, command.agent, situation)
    return situation.settings.get(agent.id, {})
