"""Messages of sessions: read, search, send and erase them (seed 003)."""

from typing import Annotated, Any, Literal

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_ISSUE_KEYS, CAN_READ
from quorate.contracts.sessions.json_values import MessageContent
from quorate.contracts.sessions.sessions import Cursor, Limit, ModelName, SessionInfo
from quorate.contracts.sessions.tool_inputs import SessionKey, ToolInput, also, tool
from quorate.contracts.wire_models import (
    REASON_LENGTH_MAX,
    SEQUENCE_MAX,
    ResponseModel,
    SnakeQuery,
    SnakeRequest,
    SnakeResponse,
    Time,
)
from quorate.domain.sessions.policies import SessionAccessDenied, SessionSendDenied
from quorate.domain.sessions.session_errors import (
    SessionMessageNotFound,
    SessionNotFound,
    SessionNotOwned,
    SessionRoleForbidden,
)
from quorate.domain.sessions.session_messages import (
    CONTEXT_LABEL_LENGTH_MAX,
    SessionBodyTooLarge,
    SessionRole,
)
from quorate.domain.shared.quotas import QuotaExceeded

SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX = 5, 20
SEARCH_QUERY_LENGTH_MAX = 500
WAIT_SECONDS_DEFAULT, REPLY_WAIT_SECONDS_MAX = 120, 600
SEND_REQUEST_BYTES_MAX = 2 * 1_024 * 1_024  # 256 KiB may take several times as much in JSON.
MESSAGE_PATH = "/v1/sessions/messages/{session_message_id}"

Index = Annotated[int, Field(ge=0, le=SEQUENCE_MAX)]
MessageId = Annotated[str, Field(min_length=1, max_length=64)]

# -- Inputs ------------------------------------------------------------------


class SessionsHistoryInput(ToolInput):
    """A page of messages, the oldest first. Without `after` it ends before the newest `offset`."""

    key: SessionKey
    limit: Limit = 20
    offset: Index = Field(default=0, description="How many of the newest messages to skip.")
    cursor: Cursor | None = Field(
        default=None, description="`nextCursor` of a page: continue with older messages."
    )
    after: Annotated[int, Field(ge=-1, le=SEQUENCE_MAX)] | None = Field(
        default=None, description="Begin after the message with this index; -1: with the first."
    )
    mark_read: bool = Field(
        default=False, description="Mark the messages of the page as read; for the owner."
    )


class SessionsSearchInput(ToolInput):
    query: Annotated[str, Field(min_length=1, max_length=SEARCH_QUERY_LENGTH_MAX)]
    limit: Annotated[int, Field(ge=1, le=SEARCH_LIMIT_MAX)] = SEARCH_LIMIT_DEFAULT
    exclude_current: bool = Field(
        default=True,
        validation_alias=also("exclude_current", "excludeCurrent"),
        description="Leave out the current session, if the request names it.",
    )
    per_session: Annotated[int, Field(ge=1, le=SEARCH_LIMIT_MAX)] = Field(
        default=1, description="At most so many messages of one session."
    )


class SessionsSendInput(ToolInput):
    key: SessionKey
    message: MessageContent
    wait_for_reply: bool = Field(
        default=False,
        validation_alias=also("wait_for_reply", "waitForReply"),
        description="Wait until the owner of the session answers the message.",
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=REPLY_WAIT_SECONDS_MAX)] = WAIT_SECONDS_DEFAULT
    context: Annotated[str, Field(min_length=1, max_length=CONTEXT_LABEL_LENGTH_MAX)] | None = (
        Field(default=None, description="A label of the sender. It is no identity.")
    )
    model: ModelName | None = Field(default=None, description="Handed to the owner unchanged.")
    in_reply_to: MessageId | None = None
    role: SessionRole | None = Field(
        default=None,
        description="For the owner of the session; `assistant` by default, for others `user`.",
    )


class EraseSessionMessageBody(SnakeRequest):
    detail: Annotated[str, Field(max_length=REASON_LENGTH_MAX)] | None = None


# -- Responses ---------------------------------------------------------------


class SessionMessageInfo(SnakeResponse):
    """A message. `from` is the agent that sent it, by its key. `content` is null once erased.

    `session_key` is that of the session in which it was read, also for messages of a branch.
    """

    id: str
    session_key: str
    index: int
    sequence: int
    role: SessionRole
    content: Any
    sender_id: str | None = Field(alias="from")
    context: str | None
    in_reply_to: str | None
    reply_id: str | None = Field(description="The answer of the session's owner.")
    model: str | None
    created_at: Time
    read_at: Time | None
    erased_at: Time | None


class SessionHistory(ResponseModel):
    """`nextCursor` continues with older messages; it is null after the oldest one."""

    key: str
    label: str | None
    messages: list[SessionMessageInfo]
    total_messages: int
    offset: int
    count: int
    has_more: bool
    next_cursor: str | None
    unread: int


class SendResult(ResponseModel):
    """`text` is the content of the reply."""

    ok: Literal[True]
    text: Any


class SessionSent(ResponseModel):
    """The message is stored, and its owner is notified. `reply` is null without one."""

    key: str
    label: str | None
    sent: Literal[True]
    wait_for_reply: bool
    message_id: str = Field(alias="message_id")
    index: int
    replied: bool
    reply: SessionMessageInfo | None
    result: SendResult


class SessionHit(SessionInfo):
    """A message that matches, and its session."""

    snippet: str
    role: SessionRole
    message_index: int
    message_id: str
    node_id: str | None


class SessionHits(ResponseModel):
    query: str
    count: int
    results: list[SessionHit]


class ErasedSessionMessage(SnakeResponse):
    message_id: str
    erased_at: Time


# -- Operations --------------------------------------------------------------

SESSIONS_HISTORY = tool(
    "sessions_history",
    "Read the messages of a session",
    body=SessionsHistoryInput,
    response=SessionHistory,
    roles=CAN_READ,
    command=False,
    errors=(SessionAccessDenied, SessionNotFound, SessionNotOwned),
)
SESSIONS_SEARCH = tool(
    "sessions_search",
    "Search the messages of the sessions that the caller sees",
    body=SessionsSearchInput,
    response=SessionHits,
    roles=CAN_READ,
    command=False,
    description="All words of the query must occur in a message, in any order. The newest match "
    "is first.",
    errors=(SessionAccessDenied, SessionNotFound, SessionNotOwned),
)
SESSIONS_SEND = tool(
    "sessions_send",
    "Send a message to a session",
    body=SessionsSendInput,
    response=SessionSent,
    body_bytes_max=SEND_REQUEST_BYTES_MAX,
    description="With `wait_for_reply` it returns when the owner of the session answers the "
    "message, or after `timeout_seconds` without a reply.",
    errors=(
        SessionAccessDenied,
        SessionSendDenied,
        SessionNotFound,
        SessionMessageNotFound,
        SessionRoleForbidden,
        SessionBodyTooLarge,
        QuotaExceeded,
    ),
)
ERASE_SESSION_MESSAGE = Operation(
    method="POST",
    path=MESSAGE_PATH + "/erase",
    name="eraseSessionMessage",
    summary="Erase the body of a message of a session",
    description="The log keeps that the message existed. Its hash chain remains valid.",
    roles=CAN_ISSUE_KEYS,
    body=EraseSessionMessageBody,
    body_optional=True,
    query=SnakeQuery,
    response=ErasedSessionMessage,
    errors=(SessionMessageNotFound,),
    command=True,
    unmetered=True,
)
OPERATIONS: tuple[Operation[Any], ...] = (
    SESSIONS_HISTORY,
    SESSIONS_SEARCH,
    SESSIONS_SEND,
    ERASE_SESSION_MESSAGE,
)
