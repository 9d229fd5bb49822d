"""Requests of task lists as data. The service has one tool for them, with an action."""

from typing import Any

from quorate.client.request_builder import Request, request_for
from quorate.contracts.sessions.operator_lists import LIST_LIST_TASKS, ListTasksQuery
from quorate.contracts.sessions.task_lists import (
    TASK_LIST,
    ListTask,
    TaskListInput,
    TaskListResult,
)
from quorate.contracts.wire_models import PAGE_LENGTH_DEFAULT, PAGE_LENGTH_MAX, unchecked
from quorate.domain.identity.agents import AgentRef
from quorate.domain.sessions.list_items import Status


def task_list(agent: AgentRef, action: str, **fields: Any) -> Request[TaskListResult]:  # noqa: ANN401 - fields of the input.
    """Make a request of the tool ``task_list``. Fields that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    named: dict[str, Any] = {"agent_id": agent.id, "agent_name": agent.name}
    body = unchecked(TaskListInput)(action=action, **named, **given)
    return request_for(TASK_LIST, body)


def list_items(
    agent: AgentRef,
    list_id: str | None = None,
    *,
    status: Status | None = None,
    limit: int = PAGE_LENGTH_MAX,
    after: str | None = None,
) -> Request[TaskListResult]:
    """List the tasks of one list, or of all lists, by list and number."""
    return task_list(agent, "list", list_id=list_id, status=status, limit=limit, after=after)


def list_all_items(
    list_id: str | None = None,
    *,
    status: Status | None = None,
    limit: int = PAGE_LENGTH_DEFAULT,
    after: str | None = None,
) -> Request[list[ListTask]]:
    """List the tasks of one list, or of all lists; for tenants and auditors."""
    query = unchecked(ListTasksQuery)(list_id=list_id, status=status, limit=limit, after=after)
    return request_for(LIST_LIST_TASKS, query=query)


def list_lists(agent: AgentRef) -> Request[TaskListResult]:
    """List the ids of the task lists."""
    return task_list(agent, "list_lists")


def get_item(agent: AgentRef, id_: str, list_id: str | None = None) -> Request[TaskListResult]:
    """Read a task by its number in a list, or by its ``item_id``."""
    return task_list(agent, "get", id=id_, list_id=list_id)
