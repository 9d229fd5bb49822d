"""Rejections by the service: one exception class for each problem code.

* Every class is a ``RejectedError``.
* Most classes also have the base class of their HTTP status (client/errors.py):
  ``LeaseConflictError`` is a ``ConflictError``, ``AgentNotFoundError`` is a ``NotFoundError``.
* A rejection is a final response. The same request is rejected again while the state is the same.
* A code that this version of the SDK does not know gives the class of its HTTP status.

Source of the codes: the problem documents (RFC 9457) of ``quorate.contracts.problems``.
"""

from collections.abc import Mapping
from typing import Any

from quorate.client.errors import (
    ConflictError,
    NotFoundError,
    RequestFailedError,
    UnauthorizedError,
    UnavailableError,
)
from quorate.client.results import HolderInfo

DETAIL_LENGTH_MAX = 300


class RejectedError(RequestFailedError):
    """The service understood the request and rejected it.

    * ``code``: the stable problem code, for programs.
    * ``status``: the HTTP status, also for a request over NATS.
    * ``detail``: one sentence about this case, for people.
    * ``details``: the other members of the problem document, such as ``leaseHolder``.
    * ``request_id``: the id under which the service logged the request.
    """

    code: str = ""

    def __init__(self, problem: Mapping[str, Any], status: int) -> None:
        super().__init__(problem, status)
        self.status = status
        self.code = str(problem.get("code", self.code))
        self.detail = str(problem.get("detail", ""))
        self.request_id = str(problem.get("requestId", ""))
        self.details = {
            name: value for name, value in problem.items() if name not in _STANDARD_MEMBERS
        }
        self._message = describe_problem(status, problem)

    def __str__(self) -> str:
        return self._message


_STANDARD_MEMBERS = {"type", "title", "status", "detail", "code", "requestId"}


def describe_problem(status: int, problem: Mapping[str, Any] | None) -> str:
    """Return title and detail of a problem document, or a sentence that names the status.

    The title is left out when the detail only repeats it. At most DETAIL_LENGTH_MAX characters.
    """
    parts = [str(problem[name]) for name in ("title", "detail") if problem and problem.get(name)]
    if len(parts) > 1 and parts[1].rstrip(".") == parts[0]:
        parts = parts[1:]
    return ": ".join(parts)[:DETAIL_LENGTH_MAX] or f"The service responded with status {status}"


# -- 401 and 403 -------------------------------------------------------------


class InvalidKeyError(RejectedError, UnauthorizedError):
    """The key is missing, wrong or revoked."""

    code = "unauthorized"


class TenantForbiddenError(RejectedError, UnauthorizedError):
    """The key belongs to another tenant."""

    code = "tenant_forbidden"


class RoleForbiddenError(RejectedError, UnauthorizedError):
    """The role of the key does not permit the operation."""

    code = "role_forbidden"


class ActingAsAnotherError(RejectedError, UnauthorizedError):
    """An agent key names another agent. It can act only as its own agent."""

    code = "acting_as_another"


# -- 404 ---------------------------------------------------------------------


class EndpointNotFoundError(RejectedError, NotFoundError):
    """The service has no endpoint at this path."""

    code = "not_found"


class AgentNotFoundError(RejectedError, NotFoundError):
    code = "agent_not_found"


class LeaseNotFoundError(RejectedError, NotFoundError):
    code = "lease_not_found"


class ConsensusNotFoundError(RejectedError, NotFoundError):
    code = "consensus_not_found"


class KeyNotFoundError(RejectedError, NotFoundError):
    code = "key_not_found"


class TenantNotFoundError(RejectedError, NotFoundError):
    code = "tenant_not_found"


# -- 409, and 429 for a quota -------------------------------------------------


class LeaseConflictError(RejectedError, ConflictError):
    """Another agent holds the contact."""

    code = "lease_conflict"

    @property
    def holder(self) -> HolderInfo | None:
        """The holder, and when its lease expires unless it renews."""
        holder = self.details.get("leaseHolder")
        return HolderInfo.from_json(holder) if isinstance(holder, Mapping) else None


class LeaseEndedError(RejectedError, ConflictError):
    """The lease has ended and cannot be renewed. Acquire the contact again, with a new fence."""

    code = "lease_ended"


class AgentInactiveError(RejectedError, ConflictError):
    """The agent timed out. Its next heartbeat makes it active again."""

    code = "agent_inactive"


class AlreadyVotedError(RejectedError, ConflictError):
    """The agent has cast a different vote. The first vote is final."""

    code = "already_voted"


class ConsensusClosedError(RejectedError, ConflictError):
    """The proposal is approved, rejected or expired."""

    code = "consensus_closed"


class NotEligibleError(RejectedError, ConflictError):
    """The agent is not in the electorate of the proposal."""

    code = "not_eligible"


class TenantExistsError(RejectedError, ConflictError):
    code = "tenant_exists"


class QuotaExceededError(RejectedError, ConflictError):
    """The tenant has reached a quota.

    The status is 429, but a retry does not help: the tenant must end leases, proposals or the like.
    """

    code = "quota_exceeded"

    @property
    def quota(self) -> str:
        """The name of the quota."""
        return str(self.details.get("quota", ""))

    @property
    def limit(self) -> int | None:
        """The limit of the quota."""
        limit = self.details.get("limit")
        return limit if isinstance(limit, int) else None


# -- 400, 405, 413, 415, 422, 431: invalid requests --------------------------


class MalformedRequestError(RejectedError):
    code = "malformed_request"


class TenantAmbiguousError(RejectedError):
    code = "tenant_ambiguous"


class IdempotencyKeyInvalidError(RejectedError):
    code = "idempotency_key_invalid"


class IdempotencyKeyReusedError(RejectedError):
    """The idempotency key was used with a different request."""

    code = "idempotency_key_reused"


class MethodNotAllowedError(RejectedError):
    code = "method_not_allowed"


class BodyTooLargeError(RejectedError):
    code = "body_too_large"


class HeadersTooLargeError(RejectedError):
    code = "headers_too_large"


class UnsupportedMediaTypeError(RejectedError):
    code = "unsupported_media_type"


class InvalidRequestError(RejectedError):
    """A field is invalid. ``details["errors"]`` names each invalid field."""

    code = "invalid_request"


class ContactEmailInvalidError(RejectedError):
    """The e-mail address of the contact is invalid or ambiguous."""

    code = "contact_email_invalid"


# -- 408, 429, 500, 503: the service cannot serve the request now ------------


class RequestTimeoutError(RejectedError, UnavailableError):
    code = "request_timeout"


class ServiceUnavailableError(RejectedError, UnavailableError):
    code = "unavailable"


class TooManyStreamsError(RejectedError, UnavailableError):
    code = "too_many_streams"


class RateLimitedError(RejectedError, UnavailableError):
    """The rate limit of the agent, its tenant or its address is exceeded.

    The service did not carry out the request.
    """

    code = "rate_limited"


class InternalServerError(RejectedError):
    """The service failed because of a defect. It recorded no event."""

    code = "internal_error"


# -- From a problem document to an exception ---------------------------------

ERRORS_BY_CODE: Mapping[str, type[RejectedError]] = {
    kind.code: kind
    for kind in (
        *(InvalidKeyError, TenantForbiddenError, RoleForbiddenError, ActingAsAnotherError),
        *(EndpointNotFoundError, AgentNotFoundError, LeaseNotFoundError, ConsensusNotFoundError),
        *(KeyNotFoundError, TenantNotFoundError, LeaseConflictError, LeaseEndedError),
        *(AgentInactiveError, AlreadyVotedError, ConsensusClosedError, NotEligibleError),
        *(TenantExistsError, QuotaExceededError, MalformedRequestError, TenantAmbiguousError),
        *(IdempotencyKeyInvalidError, IdempotencyKeyReusedError, MethodNotAllowedError),
        *(BodyTooLargeError, HeadersTooLargeError, UnsupportedMediaTypeError),
        *(InvalidRequestError, ContactEmailInvalidError, RequestTimeoutError),
        *(ServiceUnavailableError, TooManyStreamsError, RateLimitedError, InternalServerError),
    )
}


class _UnknownUnauthorizedError(RejectedError, UnauthorizedError):
    """A code of a newer service."""


class _UnknownNotFoundError(RejectedError, NotFoundError):
    """A code of a newer service."""


class _UnknownConflictError(RejectedError, ConflictError):
    """A code of a newer service."""


class _UnknownUnavailableError(RejectedError, UnavailableError):
    """A code of a newer service."""


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
