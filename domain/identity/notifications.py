"""Notifications of agents."""

from quorate.domain.shared.notifications import Rules, to_all

RULES: Rules = {
    "AgentRegistered": to_all("agent_registered"),
    "AgentLapsed": to_all("agent_lapsed"),
    "AgentDeregistered": to_all("agent_deregistered"),
}
