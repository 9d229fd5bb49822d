"""Requests of schedules as data. The service has one tool for them, with an action."""

from typing import Any

from quorate.client.request_builder import Request, request_for
from quorate.contracts.sessions.schedules import (
    LIST_SCHEDULES,
    SCHEDULE,
    SCHEDULES_LISTED_MAX,
    ListedSchedule,
    ScheduleInput,
    ScheduleResult,
    SchedulesQuery,
)
from quorate.contracts.wire_models import PAGE_LENGTH_DEFAULT, unchecked
from quorate.domain.identity.agents import AgentRef


def schedule(agent: AgentRef, action: str, **fields: Any) -> Request[ScheduleResult]:  # noqa: ANN401 - fields of the input.
    """Make a request of the tool ``schedule``. Fields that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    named: dict[str, Any] = {"agent_id": agent.id, "agent_name": agent.name}
    body = unchecked(ScheduleInput)(action=action, **named, **given)
    return request_for(SCHEDULE, body)


def list_schedules(
    agent: AgentRef, *, limit: int = SCHEDULES_LISTED_MAX, after: str | None = None
) -> Request[ScheduleResult]:
    """List schedules in the order of their creation."""
    return schedule(agent, "list", limit=limit, after=after)


def list_all_schedules(
    *, limit: int = PAGE_LENGTH_DEFAULT, after: str | None = None
) -> Request[list[ListedSchedule]]:
    """List the schedules of all agents without messages; for tenants and auditors."""
    query = unchecked(SchedulesQuery)(limit=limit, after=after)
    return request_for(LIST_SCHEDULES, query=query)


def get_schedule(agent: AgentRef, id_: str) -> Request[ScheduleResult]:
    return schedule(agent, "get", id=id_)
