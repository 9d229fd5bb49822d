"""The errors of sessions and their messages, with the texts of the original (seed 003)."""

from dataclasses import dataclass

from quorate.domain.shared.errors import Conflict, Forbidden, Invalid, LimitReached, NotFound


@dataclass(eq=False)
class SessionNotFound(NotFound):
    code, title = "session_not_found", "Session not found"
    detail = "session not found: {key}"
    key: str


@dataclass(eq=False)
class SessionKeyInvalid(Invalid):
    """A key is ``agent:NAME:...`` or ``session:...``, in printable ASCII without spaces."""

    code, title = "session_key_invalid", "Invalid session key"
    detail = "invalid session key: {key}"
    key: str


@dataclass(eq=False)
class MainSessionKept(Conflict):
    code, title = "main_session_kept", "The main session cannot be deleted"
    detail = "cannot delete the main session"


@dataclass(eq=False)
class SessionHasBranches(Conflict):
    """With ``force`` it is deleted, and the messages that its branches share with it are erased."""

    code, title = "session_has_branches", "The session has branches"
    detail = "session has branches: {key}; delete it with force"
    key: str


@dataclass(eq=False)
class ForkPointTooLarge(Invalid):
    code, title = "fork_point_too_large", "The fork point is after the last message"
    detail = "fork_point {fork_point} exceeds message count {message_count}"
    fork_point: int
    message_count: int


@dataclass(eq=False)
class TooManyBranches(LimitReached):
    code, title = "too_many_branches", "The session is a branch of too many branches"
    limit: int


@dataclass(eq=False)
class SessionMessageNotFound(NotFound):
    """Unknown, or in a session that the caller does not see."""

    code, title = "session_message_not_found", "Message of a session not found"
    detail = "session message not found: {message_id}"
    message_id: str


@dataclass(eq=False)
class SessionRoleForbidden(Forbidden):
    """Messages of others than the owner of the session have the role ``user``."""

    code, title = "session_role_forbidden", "Only the owner of a session gives messages a role"


@dataclass(eq=False)
class SessionNotOwned(Forbidden):
    """The current session (``_session_key``) is one of the caller's own."""

    code, title = "session_not_owned", "The session belongs to another agent"
    detail = "session belongs to another agent: {key}"
    key: str


@dataclass(eq=False)
class TooManySessionValues(LimitReached):
    code, title = "too_many_session_values", "The session has all the values that it may have"
    limit: int
