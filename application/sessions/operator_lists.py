"""Lists for operators: the sessions of all agents, and the tasks of all task lists."""

from collections.abc import Sequence

from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, handles
from quorate.application.pagination import list_reply
from quorate.application.rendering import Json
from quorate.application.sessions.session_rendering import render_session
from quorate.application.sessions.sessions import cursor_of, parse_position
from quorate.application.sessions.task_lists import list_cursor, parse_cursor, render_item
from quorate.contracts.sessions.operator_lists import (
    LIST_LIST_TASKS,
    LIST_SESSIONS,
    ListTasksQuery,
    SessionsQuery,
)
from quorate.contracts.sessions.task_models import PREVIEW_LENGTH_MAX
from quorate.domain.sessions.list_items import ListItem
from quorate.domain.sessions.policies import Access
from quorate.domain.shared.timestamps import iso
from quorate.projections.sessions.session_summaries import LastMessage, SessionSummary
from quorate.projections.snapshots import QueryResult, Size

_EVERYTHING = Access(agent_id=None)


@handles(LIST_SESSIONS)
async def list_sessions(service: Service, call: Call) -> Reply:
    query: SessionsQuery = call.query

    async def read(
        after: str, limit: int, size: Size[SessionSummary]
    ) -> QueryResult[Sequence[SessionSummary]]:
        position = parse_position(after) if after else None
        tenant = call.principal.tenant
        return await service.sessions.summaries.page(tenant, query.filter, position, limit, size)

    return await list_reply(
        service,
        call,
        LIST_SESSIONS.path,
        read,
        render=lambda found, _now: _render(found),
        cursor=lambda found: cursor_of(found.session, None),
    )


def _render(found: SessionSummary) -> Json:
    last = None if found.last is None else _render_last(found.last)
    return {**render_session(found.session), "lastMessage": last}


def _render_last(last: LastMessage) -> Json:
    message = last.message
    return {
        "id": message.id,
        "index": message.index,
        "role": message.role,
        "agentId": message.from_agent_id,
        "bytes": message.bytes,
        "createdAt": iso(message.created_at),
        "text": last.beginning and last.beginning[:PREVIEW_LENGTH_MAX],
    }


@handles(LIST_LIST_TASKS)
async def list_list_tasks(service: Service, call: Call) -> Reply:
    query: ListTasksQuery = call.query

    async def read(after: str, limit: int, size: Size[ListItem]) -> QueryResult[Sequence[ListItem]]:
        return await service.sessions.lists.page(
            call.principal.tenant,
            _EVERYTHING,
            query.list_id,
            query.status,
            parse_cursor(after),
            limit,
            size,
        )

    return await list_reply(
        service,
        call,
        LIST_LIST_TASKS.path,
        read,
        render=lambda item, _now: render_item(item),
        cursor=list_cursor,
    )
