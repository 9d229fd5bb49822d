"""Write sessions and their messages as JSON."""

from collections.abc import Sequence
from typing import Any

import orjson
from orjson import Fragment

from quorate.application.rendering import Json, renderer
from quorate.contracts.sessions.session_messages import SessionMessageInfo
from quorate.contracts.sessions.sessions import SessionInfo
from quorate.domain.sessions.session_messages import JSON_PART, SessionMessage
from quorate.domain.sessions.sessions import Session
from quorate.projections.sessions.session_queries import MessageRow

render_session = renderer(
    SessionInfo,
    Session,
    agent_id="owner_id",
    parent_id="source_id",
    fork_point=lambda session: None if session.source_id is None else session.first_index,
)
_render_message = renderer(
    SessionMessageInfo, SessionMessage, sender_id="from_agent_id", context="context_label"
)


def render_message(row: MessageRow, session_key: str) -> Json:
    return _render_message(row.message, content=content_of(row), session_key=session_key)


def render_messages(rows: Sequence[MessageRow], session_key: str) -> list[Json]:
    return [render_message(row, session_key) for row in rows]


def content_of(row: MessageRow) -> Any:  # noqa: ANN401 - a text, or JSON that is not parsed again.
    if row.content is None:
        return None
    data = row.content.data
    return Fragment(data) if row.message.part == JSON_PART else data.decode()


def json_of(value: Any) -> bytes:  # noqa: ANN401 - any JSON value.
    return orjson.dumps(value)
