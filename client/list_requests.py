"""Requests of task lists: one function, as the service has one tool with an action."""

from typing import Any

from quorate.client.request_builder import Request, request_for
from quorate.contracts.sessions.task_lists import TASK_LIST, TaskListInput, TaskListResult
from quorate.contracts.wire_models import unchecked
from quorate.domain.identity.agents import AgentRef


def task_list(agent: AgentRef, action: str, **fields: Any) -> Request[TaskListResult]:  # noqa: ANN401 - fields of the input.
    """Make a request of the tool ``task_list``. Fields that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    named: dict[str, Any] = {"agent_id": agent.id, "agent_name": agent.name}
    body = unchecked(TaskListInput)(action=action, **named, **given)
    return request_for(TASK_LIST, body)
