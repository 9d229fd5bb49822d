"""Rejections of sessions: one exception class for each problem code, as in rejections.py."""

from quorate.client.errors import ConflictError, NotFoundError, UnauthorizedError
from quorate.client.rejections import RejectedError
from quorate.domain.sessions import session_errors as errors
from quorate.domain.sessions.policies import SessionAccessDenied, SessionSendDenied
from quorate.domain.sessions.session_messages import SessionBodyTooLarge
from quorate.domain.sessions.session_values import SessionValueTooLarge


class SessionNotFoundError(RejectedError, NotFoundError):
    """No session has this key, or the agent that owned it was removed."""

    code = errors.SessionNotFound.code


class SessionMessageNotFoundError(RejectedError, NotFoundError):
    """The message does not exist, or it is in a session that the caller does not see."""

    code = errors.SessionMessageNotFound.code


class SessionKeyInvalidError(RejectedError):
    code = errors.SessionKeyInvalid.code


class MainSessionKeptError(RejectedError, ConflictError):
    """A main session lives as long as its agent."""

    code = errors.MainSessionKept.code


class SessionHasBranchesError(RejectedError, ConflictError):
    """Delete it with ``force``: messages that the branches share are erased there as well."""

    code = errors.SessionHasBranches.code


class ForkPointTooLargeError(RejectedError):
    code = errors.ForkPointTooLarge.code


class TooManyBranchesError(RejectedError, ConflictError):
    code = errors.TooManyBranches.code


class SessionRoleForbiddenError(RejectedError, UnauthorizedError):
    code = errors.SessionRoleForbidden.code


class SessionNotOwnedError(RejectedError, UnauthorizedError):
    """The current session of a request, or the one to be marked, belongs to another agent."""

    code = errors.SessionNotOwned.code


class TooManySessionValuesError(RejectedError, ConflictError):
    code = errors.TooManySessionValues.code


class SessionBodyTooLargeError(RejectedError):
    """A message is at most 256 KiB of UTF-8."""

    code = SessionBodyTooLarge.code


class SessionValueTooLargeError(RejectedError):
    """A value is at most 64 KiB of JSON."""

    code = SessionValueTooLarge.code


class SessionAccessDeniedError(RejectedError, UnauthorizedError):
    """The policy of the key does not show this session."""

    code = SessionAccessDenied.code


class SessionSendDeniedError(RejectedError, UnauthorizedError):
    """The policy of the key denies sending messages to sessions."""

    code = SessionSendDenied.code
