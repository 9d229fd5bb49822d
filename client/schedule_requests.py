"""Requests of schedules: one function, as the service has one tool with an action."""

from typing import Any

from quorate.client.request_builder import Request, request_for
from quorate.contracts.sessions.schedules import SCHEDULE, ScheduleInput, ScheduleResult
from quorate.contracts.wire_models import unchecked
from quorate.domain.identity.agents import AgentRef


def schedule(agent: AgentRef, action: str, **fields: Any) -> Request[ScheduleResult]:  # noqa: ANN401 - fields of the input.
    """Make a request of the tool ``schedule``. Fields that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    named: dict[str, Any] = {"agent_id": agent.id, "agent_name": agent.name}
    body = unchecked(ScheduleInput)(action=action, **named, **given)
    return request_for(SCHEDULE, body)
