"""Sessions: list, create, branch and delete them, and keep values with them (seed 003)."""

from typing import Annotated, Any, Literal

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_READ
from quorate.contracts.sessions.json_values import ExactJson
from quorate.contracts.sessions.tool_inputs import SessionKey, ToolInput, tool
from quorate.contracts.wire_models import ResponseModel, Time, optional
from quorate.domain.identity.agents import AgentNotFound
from quorate.domain.sessions.policies import SessionAccessDenied, SessionSendDenied
from quorate.domain.sessions.session_errors import (
    ForkPointTooLarge,
    MainSessionKept,
    SessionHasBranches,
    SessionKeyInvalid,
    SessionNotFound,
    SessionNotOwned,
    TooManyBranches,
    TooManySessionValues,
)
from quorate.domain.sessions.session_values import (
    NAMESPACE_LENGTH_MAX,
    VALUE_KEY_LENGTH_MAX,
    VALUE_NAME,
    SessionValueTooLarge,
)
from quorate.domain.sessions.sessions import SESSION_LABEL_LENGTH_MAX
from quorate.domain.shared.quotas import QuotaExceeded

LIMIT_DEFAULT, LIMIT_MAX = 20, 100
CURSOR_LENGTH_MAX = 300
FILTER_LENGTH_MAX = 200
MODEL_LENGTH_MAX, PROJECT_ID_LENGTH_MAX = 200, 200
VALUE_REQUEST_BYTES_MAX = 512 * 1_024  # 64 KiB may take several times as much in JSON.

Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX)]
Cursor = Annotated[str, Field(min_length=1, max_length=CURSOR_LENGTH_MAX)]
SessionLabel = Annotated[str, Field(min_length=1, max_length=SESSION_LABEL_LENGTH_MAX)]
ModelName = Annotated[str, Field(min_length=1, max_length=MODEL_LENGTH_MAX)]
_ValueName = f"^(?:{VALUE_NAME.pattern})$"
Namespace = Annotated[str, Field(max_length=NAMESPACE_LENGTH_MAX, pattern=_ValueName)]
ValueKey = Annotated[str, Field(max_length=VALUE_KEY_LENGTH_MAX, pattern=_ValueName)]
StateOperation = Literal["get", "set", "delete", "list", "clear"]

# -- Inputs ------------------------------------------------------------------


class SessionsListInput(ToolInput):
    filter: Annotated[str, Field(max_length=FILTER_LENGTH_MAX)] | None = Field(
        default=None, description="Part of the key or the label, in any case."
    )
    limit: Limit = LIMIT_DEFAULT
    cursor: Cursor | None = Field(default=None, description="`nextCursor` of the last page.")


class SessionsCreateInput(ToolInput):
    key: SessionKey | None = Field(
        default=None, description="`agent:NAME:...` or `session:...`; by default a new one."
    )
    label: SessionLabel | None = None
    model: ModelName | None = None
    project_id: Annotated[str, Field(min_length=1, max_length=PROJECT_ID_LENGTH_MAX)] | None = None
    inherit_agent_from: SessionKey | None = Field(
        default=None, description="The session whose agent is to own the new one."
    )


class SessionsDeleteInput(ToolInput):
    key: SessionKey
    force: bool = Field(
        default=False,
        description="Also if it has branches: messages that they share are erased there as well.",
    )


class BranchSessionInput(ToolInput):
    label: SessionLabel
    fork_point: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="The first message that is left out. Default: all are kept."
    )
    key: SessionKey | None = Field(
        default=None, description="The session to branch. Default: the current session."
    )


class SessionStateInput(ToolInput):
    operation: StateOperation
    namespace: Namespace
    key: ValueKey | None = None
    value: ExactJson = Field(default=None, description="Any JSON value of at most 64 KiB.")


# -- Responses ---------------------------------------------------------------


class SessionInfo(ResponseModel):
    """A session. `agentId` owns it; `unread` counts messages of others that it has not read."""

    id: str
    key: str
    label: str | None
    model: str | None
    message_count: int
    created_at: Time
    updated_at: Time
    project_id: str | None
    agent_id: str
    version: int
    unread: int
    parent_id: str | None = Field(description="The session of which it is a branch.")
    fork_point: int | None


class SessionPage(ResponseModel):
    sessions: list[SessionInfo]
    count: int
    next_cursor: str | None


class SessionCreatedInfo(ResponseModel):
    """`created` is false if the session existed."""

    key: str
    created: bool
    result: SessionInfo


class SessionDeletion(ResponseModel):
    ok: Literal[True]


class SessionDeletedInfo(ResponseModel):
    key: str
    deleted: Literal[True]
    result: SessionDeletion


class SessionBranchInfo(ResponseModel):
    session_key: str
    id: str
    label: str
    fork_point: int
    message_count: int


class SessionValueInfo(ResponseModel):
    key: str
    bytes: int
    updated_at: Time


class SessionStateInfo(ResponseModel):
    """The result of an operation on the state of a session.

    `get`: `found` and `value`. `list`: `values`. `delete` and `clear`: `deleted` counts values.
    """

    operation: StateOperation
    namespace: str
    session_key: str
    key: str | None = optional()
    found: bool | None = optional()
    value: Any = Field(default=None, description="The value, or null if there is none.")
    values: list[SessionValueInfo] | None = optional()
    deleted: int | None = optional()


# -- Operations --------------------------------------------------------------

SESSIONS_LIST = tool(
    "sessions_list",
    "List the sessions that the caller sees",
    body=SessionsListInput,
    response=SessionPage,
    roles=CAN_READ,
    command=False,
    description="The caller's main session is first, then the last changed one.",
)
SESSIONS_CREATE = tool(
    "sessions_create",
    "Create a session, or return the existing one",
    body=SessionsCreateInput,
    response=SessionCreatedInfo,
    errors=(
        SessionKeyInvalid,
        SessionAccessDenied,
        SessionNotFound,
        AgentNotFound,
        QuotaExceeded,
    ),
)
SESSIONS_DELETE = tool(
    "sessions_delete",
    "Delete a session and its messages",
    body=SessionsDeleteInput,
    response=SessionDeletedInfo,
    errors=(SessionAccessDenied, SessionNotFound, MainSessionKept, SessionHasBranches),
    unmetered=True,
)
BRANCH_SESSION = tool(
    "branch_session",
    "Create a session that begins with the messages of another one",
    body=BranchSessionInput,
    response=SessionBranchInfo,
    errors=(
        SessionAccessDenied,
        SessionSendDenied,
        SessionNotFound,
        SessionNotOwned,
        ForkPointTooLarge,
        TooManyBranches,
        QuotaExceeded,
    ),
)
SESSION_STATE = tool(
    "session_state",
    "Keep values with the current session",
    body=SessionStateInput,
    response=SessionStateInfo,
    body_bytes_max=VALUE_REQUEST_BYTES_MAX,
    errors=(
        SessionAccessDenied,
        SessionNotFound,
        SessionNotOwned,
        SessionValueTooLarge,
        TooManySessionValues,
        QuotaExceeded,
    ),
)
OPERATIONS: tuple[Operation[Any], ...] = (
    SESSIONS_LIST,
    SESSIONS_CREATE,
    SESSIONS_DELETE,
    BRANCH_SESSION,
    SESSION_STATE,
)
