"""Requests of sessions as data: one function for each tool, without I/O.

``Client.execute`` sends a request; ``Agent.sessions`` has the friendly forms. With an agent key,
``agent`` may be ``AgentRef()``. ``session_key`` is the caller's current session.
"""

from typing import Any, TypeVar

from quorate.client.request_builder import Request, request_for
from quorate.contracts.operations import Operation
from quorate.contracts.sessions.operator_lists import (
    LIST_SESSIONS,
    ListedSession,
    SessionsQuery,
)
from quorate.contracts.sessions.session_messages import (
    ERASE_SESSION_MESSAGE,
    SEARCH_LIMIT_DEFAULT,
    SESSIONS_HISTORY,
    SESSIONS_SEARCH,
    SESSIONS_SEND,
    WAIT_SECONDS_DEFAULT,
    ErasedSessionMessage,
    EraseSessionMessageBody,
    SessionHistory,
    SessionHits,
    SessionSent,
)
from quorate.contracts.sessions.sessions import (
    BRANCH_SESSION,
    LIMIT_DEFAULT,
    SESSION_STATE,
    SESSIONS_CREATE,
    SESSIONS_DELETE,
    SESSIONS_LIST,
    SessionBranchInfo,
    SessionCreatedInfo,
    SessionDeletedInfo,
    SessionPage,
    SessionStateInfo,
    StateOperation,
)
from quorate.contracts.wire_models import PAGE_LENGTH_DEFAULT, unchecked
from quorate.domain.identity.agents import AgentRef
from quorate.domain.sessions.session_messages import SessionRole
from quorate.domain.shared.records import changed

T = TypeVar("T")


def _tool(
    operation: Operation[T],
    agent: AgentRef,
    fields: dict[str, Any],
    session_key: str | None = None,
) -> Request[T]:
    """Make the request of a tool; fields that are None are left out."""
    named = {"agent_id": agent.id, "agent_name": agent.name, "_session_key": session_key}
    given = {name: value for name, value in (named | fields).items() if value is not None}
    return request_for(operation, given)


def list_sessions(
    agent: AgentRef,
    filter: str | None = None,  # noqa: A002 - as the tool names it.
    *,
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Request[SessionPage]:
    """List sessions whose key or label contains ``filter``, in any case."""
    return _tool(SESSIONS_LIST, agent, {"filter": filter, "limit": limit, "cursor": cursor})


def list_all_sessions(
    filter: str | None = None,  # noqa: A002 - as the query names it.
    *,
    limit: int = PAGE_LENGTH_DEFAULT,
    after: str | None = None,
) -> Request[list[ListedSession]]:
    """List the sessions of all agents with their last message; for tenants and auditors."""
    query = unchecked(SessionsQuery)(filter=filter, limit=limit, after=after)
    return request_for(LIST_SESSIONS, query=query)


def read_history(
    agent: AgentRef,
    key: str,
    *,
    limit: int = LIMIT_DEFAULT,
    offset: int = 0,
    cursor: str | None = None,
    after: int | None = None,
    mark_read: bool = False,
) -> Request[SessionHistory]:
    """Read a page of messages: the newest but ``offset``, or those after an index."""
    fields = {
        "key": key,
        "limit": limit,
        "offset": offset or None,
        "cursor": cursor,
        "after": after,
        "mark_read": mark_read or None,
    }
    return _tool(SESSIONS_HISTORY, agent, fields)


def search_sessions(
    agent: AgentRef,
    query: str,
    *,
    limit: int = SEARCH_LIMIT_DEFAULT,
    exclude_current: bool = True,
    per_session: int = 1,
    session_key: str | None = None,
) -> Request[SessionHits]:
    """Search messages that contain all words of the query."""
    fields = {
        "query": query,
        "limit": limit,
        "exclude_current": exclude_current,
        "per_session": per_session,
    }
    return _tool(SESSIONS_SEARCH, agent, fields, session_key)


def send_message(
    agent: AgentRef,
    key: str,
    message: Any,  # noqa: ANN401 - a text or another JSON value.
    *,
    wait_for_reply: bool = False,
    timeout_seconds: int = WAIT_SECONDS_DEFAULT,
    context: str | None = None,
    model: str | None = None,
    in_reply_to: str | None = None,
    role: SessionRole | None = None,
) -> Request[SessionSent]:
    """Send a message to a session. A wait for the reply is a long poll."""
    fields = {
        "key": key,
        "message": message,
        "wait_for_reply": wait_for_reply or None,
        "timeout_seconds": timeout_seconds if wait_for_reply else None,
        "context": context,
        "model": model,
        "in_reply_to": in_reply_to,
        "role": role,
    }
    request = _tool(SESSIONS_SEND, agent, fields)
    return changed(request, long_poll_seconds=float(timeout_seconds if wait_for_reply else 0))


def create_session(
    agent: AgentRef,
    key: str | None = None,
    *,
    label: str | None = None,
    model: str | None = None,
    project_id: str | None = None,
    inherit_agent_from: str | None = None,
) -> Request[SessionCreatedInfo]:
    """Create a session, or return the one with this key."""
    fields = {
        "key": key,
        "label": label,
        "model": model,
        "project_id": project_id,
        "inherit_agent_from": inherit_agent_from,
    }
    return _tool(SESSIONS_CREATE, agent, fields)


def delete_session(
    agent: AgentRef, key: str, *, force: bool = False
) -> Request[SessionDeletedInfo]:
    """Delete a session; ``force`` also deletes one that has branches."""
    return _tool(SESSIONS_DELETE, agent, {"key": key, "force": force or None})


def branch_session(
    agent: AgentRef,
    label: str,
    *,
    key: str | None = None,
    fork_point: int | None = None,
    session_key: str | None = None,
) -> Request[SessionBranchInfo]:
    """Branch a session before the message with the index ``fork_point``."""
    fields = {"label": label, "key": key, "fork_point": fork_point}
    return _tool(BRANCH_SESSION, agent, fields, session_key)


def session_state(
    agent: AgentRef,
    operation: StateOperation,
    namespace: str,
    *,
    key: str | None = None,
    value: Any = None,  # noqa: ANN401 - any JSON value.
    session_key: str | None = None,
) -> Request[SessionStateInfo]:
    """Get, set, delete, list or clear the values of the current session."""
    request = _tool(
        SESSION_STATE,
        agent,
        {"operation": operation, "namespace": namespace, "key": key},
        session_key,
    )
    if operation != "set":
        return request
    return request.with_fields({"value": value})  # Null is a value as well.


def erase_message(message_id: str, detail: str | None = None) -> Request[ErasedSessionMessage]:
    """Erase the body of a message; for a key of the tenant."""
    body = unchecked(EraseSessionMessageBody)(detail=detail)
    return request_for(ERASE_SESSION_MESSAGE, body, session_message_id=message_id)
