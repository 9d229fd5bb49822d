"""The events that end the registration of an agent, for each command that may end it."""

from collections.abc import Sequence

from quorate.domain.identity.agents import Agent, AgentDeregistered, DeregistrationReason
from quorate.domain.shared.timestamps import Timestamp


def deregister(
    agent: Agent, reason: DeregistrationReason, now: Timestamp
) -> Sequence[AgentDeregistered]:
    """Return no event for an agent that is not registered."""
    if not agent.is_registered:
        return []
    return [
        AgentDeregistered(
            agent_id=agent.id,
            agent_name=agent.name,
            reason=reason,
            active_until=min(agent.active_until, now),
        )
    ]
