"""Messages of sessions: read them, mark them as read, and erase them."""

from collections.abc import Sequence

from quorate.application.execution import Service
from quorate.application.named_tenant import tenant_of
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import dump, renderer
from quorate.application.sessions.current_session import check_visible
from quorate.application.sessions.session_rendering import render_messages
from quorate.application.sessions.tool_calls import ToolCaller, handles_tool
from quorate.contracts.problems import Problem
from quorate.contracts.sessions.session_messages import (
    ERASE_SESSION_MESSAGE,
    SESSIONS_HISTORY,
    ErasedSessionMessage,
    SessionsHistoryInput,
)
from quorate.contracts.wire_models import SEQUENCE_MAX
from quorate.domain.sessions.session_errors import SessionNotOwned
from quorate.domain.sessions.session_messages import SessionMessage, is_unread
from quorate.domain.sessions.session_sending import EraseSessionMessage, MarkSessionRead
from quorate.domain.sessions.sessions import Session
from quorate.projections.sessions.session_queries import (
    FoundSession,
    MessageRange,
    MessageRow,
)

_render_erased = renderer(ErasedSessionMessage, SessionMessage, message_id="id")


@handles_tool(SESSIONS_HISTORY)
async def read_history(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: SessionsHistoryInput = call.body
    before = _parse_cursor(body)

    def check(found: FoundSession) -> Session:
        session = check_visible(caller, body.key, found)
        if body.mark_read and session.owner_id != caller.agent_id:
            raise SessionNotOwned(body.key)
        return session

    def range_of(session: Session) -> MessageRange:
        return _range_of(session, body, before)

    tenant = call.principal.tenant
    async with service.read_budget.turn(call.principal):
        result = await service.sessions.sessions.history(
            tenant, body.key, check, range_of, call.page_bytes_max
        )
    session, rows = result.found
    unread, sequence = session.unread, result.sequence
    unread_ids = [one.message.id for one in rows if is_unread(one.message, session)]
    if body.mark_read and unread_ids:
        command = MarkSessionRead(
            caller=call.principal,
            agent=caller.agent,
            restrictions=caller.restrictions,
            key=body.key,
            message_ids=tuple(unread_ids),
        )
        marked = await service.submit_mark(call, command, lambda left: b"%d" % left)
        if marked is not None:
            unread, sequence = int(marked.body), marked.sequence
    first = rows[0].message.index if rows else 0
    page = {
        "key": session.key,
        "label": session.label,
        "messages": render_messages(rows, session.key),
        "totalMessages": session.message_count,
        "offset": body.offset,
        "count": len(rows),
        "hasMore": _has_more(session, body, rows),
        "nextCursor": str(first) if first > 0 else None,
        "unread": unread,
    }
    response = dump(page)
    service.read_budget.charge(call.principal, len(response))
    return Reply(body=response, sequence=sequence)


def _has_more(session: Session, body: SessionsHistoryInput, rows: Sequence[MessageRow]) -> bool:
    """Whether older messages exist; with ``after`` whether newer ones do."""
    if body.after is not None:
        last = rows[-1].message.index if rows else body.after
        return last + 1 < session.message_count
    return bool(rows) and rows[0].message.index > 0


def _parse_cursor(body: SessionsHistoryInput) -> int | None:
    if body.cursor is None:
        return None
    if body.after is not None or body.offset:
        raise Problem("invalid_request", "cursor: not together with after or offset.")
    is_valid = body.cursor.isascii() and body.cursor.isdigit()
    if not is_valid or int(body.cursor) > SEQUENCE_MAX:
        raise Problem("invalid_request", "cursor: not a cursor of this service.")
    return int(body.cursor)


def _range_of(session: Session, body: SessionsHistoryInput, before: int | None) -> MessageRange:
    if body.after is not None:
        start = body.after + 1
        return MessageRange(start=start, end=start + body.limit, is_newest_kept=False)
    end = session.message_count - body.offset if before is None else before
    return MessageRange(start=max(0, end - body.limit), end=max(0, end))


@handles(ERASE_SESSION_MESSAGE)
async def erase_message(service: Service, call: Call) -> Reply:
    command = EraseSessionMessage(
        caller=call.principal, message_id=call.path["session_message_id"], detail=call.body.detail
    )
    return await service.execute(
        call, command, lambda message: dump(_render_erased(message)), tenant=tenant_of(call)
    )
