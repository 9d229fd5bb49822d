"""From a problem document, or a response without one, to an exception."""

from collections.abc import Mapping
from typing import Any

from quorate.client import list_rejections as _list_rejections  # noqa: F401 - more subclasses.
from quorate.client import mail_rejections as _mail_rejections  # noqa: F401 - more subclasses.
from quorate.client import preset_rejections as _preset_rejections  # noqa: F401 - more subclasses.
from quorate.client import schedule_rejections as _schedule_rejections  # noqa: F401 - more.
from quorate.client import session_rejections as _session_rejections  # noqa: F401 - as well.
from quorate.client import task_rejections as _task_rejections  # noqa: F401 - more subclasses.
from quorate.client.errors import (
    ConflictError,
    NotFoundError,
    RequestFailedError,
    UnauthorizedError,
    UnavailableError,
)
from quorate.client.rejections import (
    InvalidRequestError,
    LogMismatchError,
    RejectedError,
    describe_problem,
)
from quorate.contracts import problems

ERRORS_BY_CODE: Mapping[str, type[RejectedError]] = {
    kind.code: kind for kind in RejectedError.__subclasses__()
}


class _UnknownUnauthorizedError(RejectedError, UnauthorizedError):
    """A code of a newer service."""


class _UnknownNotFoundError(RejectedError, NotFoundError):
    """A code of a newer service."""


class _UnknownConflictError(RejectedError, ConflictError):
    """A code of a newer service."""


class _UnknownUnavailableError(RejectedError, UnavailableError):
    """A code of a newer service."""


def invalid_field(name: str, why: str) -> InvalidRequestError:
    """Return the rejection of a field that cannot be sent, as the service would reject it."""
    kind = problems.KINDS[InvalidRequestError.code]
    problem = {
        "title": kind.title,
        "status": kind.status,
        "detail": f"{name}: {why}",
        "code": InvalidRequestError.code,
        "errors": [{"field": name, "why": why}],
    }
    return InvalidRequestError(problem, kind.status)


# HTTP status -> (class for an unknown code, class for a response without a problem document).
_ERRORS_BY_STATUS: Mapping[int, tuple[type[RejectedError], type[RequestFailedError]]] = {
    401: (_UnknownUnauthorizedError, UnauthorizedError),
    403: (_UnknownUnauthorizedError, UnauthorizedError),
    404: (_UnknownNotFoundError, NotFoundError),
    408: (_UnknownUnavailableError, UnavailableError),
    409: (_UnknownConflictError, ConflictError),
    429: (_UnknownUnavailableError, UnavailableError),
    502: (_UnknownUnavailableError, UnavailableError),
    503: (_UnknownUnavailableError, UnavailableError),
    504: (_UnknownUnavailableError, UnavailableError),
}


def error_from_problem(problem: Mapping[str, Any], status: int) -> RejectedError:
    """Return the exception for a problem document with a ``code``."""
    unknown, _ = _ERRORS_BY_STATUS.get(status, (RejectedError, RequestFailedError))
    return ERRORS_BY_CODE.get(str(problem.get("code")), unknown)(problem, status)


def error_from_response(status: int, problem: Mapping[str, Any] | None) -> RequestFailedError:
    """Return the exception for an unsuccessful response of the service, or of a proxy before it."""
    if problem is not None and "code" in problem:
        return error_from_problem(problem, status)
    _, kind = _ERRORS_BY_STATUS.get(status, (RejectedError, RequestFailedError))
    return kind(describe_problem(status, problem))


def log_ends_before(cursor: int, head: int) -> LogMismatchError:
    """Return the error for a cursor that is beyond the head of the log."""
    kind = problems.LogMismatch
    detail = f"The log ends at {head}, before the cursor {cursor}."
    problem = {"code": kind.code, "title": kind.title, "detail": detail, "head": head}
    return LogMismatchError(problem, kind.status)
