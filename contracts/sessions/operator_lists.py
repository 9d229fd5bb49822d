"""Lists for operators: the sessions of all agents, and the tasks of all task lists.

Their schedules are in ``schedules.py``, and the tasks of workers in ``tasks.py``.
"""

from typing import Annotated

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_AUDIT
from quorate.contracts.sessions.sessions import (
    CURSOR_LENGTH_MAX,
    FILTER_LENGTH_MAX,
    SessionInfo,
)
from quorate.contracts.sessions.task_lists import ListTask
from quorate.contracts.wire_models import PageQuery, ResponseModel, SnakeQuery, Time
from quorate.domain.sessions.list_items import Status
from quorate.domain.sessions.session_messages import SessionRole
from quorate.domain.sessions.task_lists import LIST_ID


class SessionsQuery(PageQuery):
    filter: Annotated[str, Field(max_length=FILTER_LENGTH_MAX)] | None = Field(
        default=None, description="Part of the key or the label, in any case."
    )
    after: Annotated[str, Field(max_length=CURSOR_LENGTH_MAX)] | None = Field(
        default=None, description="The cursor of the next page, from the header `Link`."
    )


class LastMessageInfo(ResponseModel):
    """`agentId` sent it. `text` is its beginning, as JSON if it is no text; null if erased."""

    id: str
    index: int
    role: SessionRole
    agent_id: str | None
    bytes: int
    created_at: Time
    text: str | None


class ListedSession(SessionInfo):
    last_message: LastMessageInfo | None


class ListTasksQuery(SnakeQuery, PageQuery):
    model_config = SnakeQuery.model_config

    list_id: Annotated[str, Field(pattern=f"^{LIST_ID.pattern}$")] | None = None
    status: Status | None = None
    after: Annotated[str, Field(max_length=80)] | None = Field(
        default=None, description="The cursor of the next page, from the header `Link`."
    )


LIST_SESSIONS = Operation(
    method="GET",
    path="/v1/sessions",
    name="listSessions",
    summary="List the sessions of all agents with their last message",
    description="The last changed one first.",
    roles=CAN_AUDIT,
    query=SessionsQuery,
    response=list[ListedSession],
)
LIST_LIST_TASKS = Operation(
    method="GET",
    path="/v1/task-lists/tasks",
    name="listListTasks",
    summary="List the tasks of all task lists",
    description="By list and number.",
    roles=CAN_AUDIT,
    query=ListTasksQuery,
    response=list[ListTask],
)
OPERATIONS = (LIST_SESSIONS, LIST_LIST_TASKS)
