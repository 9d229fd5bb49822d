"""Rejections by the service: one exception class for each problem code.

* Every class is a ``RejectedError``.
* Most classes also have the base class of their HTTP status (client/errors.py):
  ``LeaseConflictError`` is a ``ConflictError``, ``AgentNotFoundError`` is a ``NotFoundError``.
* A rejection is a final response. The same request is rejected again while the state is the same.
* A code that this version of the SDK does not know gives the class of its HTTP status.

Each class takes its code from the class that declares the error (``quorate.contracts.problems``).
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
from quorate.contracts import problems
from quorate.contracts.coordination.leases import HolderInfo
from quorate.domain.coordination.cancellations import NotProposer
from quorate.domain.coordination.consensus import (
    AlreadyVoted,
    NotEligible,
    RequestClosed,
    RequestNotFound,
)
from quorate.domain.coordination.leases import LeaseEnded, LeaseHeld, LeaseNotFound
from quorate.domain.identity.agent_departures import AgentActive, AgentHasKeys
from quorate.domain.identity.agents import ActingAsAnother, AgentInactive, AgentNotFound
from quorate.domain.identity.api_keys import KeyEnded, KeyNotFound, RoleForbidden
from quorate.domain.identity.tenants import (
    TenantExists,
    TenantIsPaused,
    TenantIsSuspended,
    TenantNotFound,
)
from quorate.domain.mail.domains import MailDomainTaken
from quorate.domain.shared.daily_quotas import DailyQuotaExceeded
from quorate.domain.shared.email_addresses import AddressUnusable
from quorate.domain.shared.quotas import QuotaExceeded

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

    The title is left out when the detail begins with it. At most DETAIL_LENGTH_MAX characters.
    """
    parts = [str(problem[name]) for name in ("title", "detail") if problem and problem.get(name)]
    if len(parts) > 1 and parts[1].startswith(parts[0]):
        parts = parts[1:]
    return ": ".join(parts)[:DETAIL_LENGTH_MAX] or f"The service responded with status {status}"


# -- 401 and 403 -------------------------------------------------------------


class InvalidKeyError(RejectedError, UnauthorizedError):
    """The key is missing, wrong or revoked."""

    code = problems.Unauthorized.code


class OriginForbiddenError(RejectedError, UnauthorizedError):
    """A web page of another origin called the MCP endpoint. The SDK sends no origin."""

    code = problems.OriginForbidden.code


class TenantForbiddenError(RejectedError, UnauthorizedError):
    """The key belongs to another tenant."""

    code = problems.TenantForbidden.code


class RoleForbiddenError(RejectedError, UnauthorizedError):
    """The role of the key does not permit the operation."""

    code = RoleForbidden.code


class ActingAsAnotherError(RejectedError, UnauthorizedError):
    """An agent key names another agent. It can act only as its own agent."""

    code = ActingAsAnother.code


class TenantSuspendedError(RejectedError, UnauthorizedError):
    """An operator suspended the tenant. Its keys are valid again when it is resumed."""

    code = TenantIsSuspended.code


class NotProposerError(RejectedError, UnauthorizedError):
    """Another agent created the proposal. Only that agent or a tenant key can cancel it."""

    code = NotProposer.code


# -- 404 ---------------------------------------------------------------------


class EndpointNotFoundError(RejectedError, NotFoundError):
    """The service has no endpoint at this path."""

    code = problems.PathNotFound.code


class AgentNotFoundError(RejectedError, NotFoundError):
    code = AgentNotFound.code


class LeaseNotFoundError(RejectedError, NotFoundError):
    code = LeaseNotFound.code


class ConsensusNotFoundError(RejectedError, NotFoundError):
    code = RequestNotFound.code


class KeyNotFoundError(RejectedError, NotFoundError):
    code = KeyNotFound.code


class TenantNotFoundError(RejectedError, NotFoundError):
    code = TenantNotFound.code


# -- 409, and 429 for a quota -------------------------------------------------


class NothingToExplainError(RejectedError, NotFoundError):
    """The tenant has no decision, refusal or event with this id."""

    code = problems.NothingToExplain.code


class PastNotKeptError(RejectedError, NotFoundError):
    """The moment is before the first one that can be read: its events are archived."""

    code = problems.PastNotKept.code


class LogMismatchError(RejectedError, ConflictError):
    """The cursor is of another log, for example of the log before a restore from a backup.

    ``details`` has ``logId`` and ``head`` of the present log. Query the present state, and continue
    from there.
    """

    code = problems.LogMismatch.code


class AgentActiveError(RejectedError, ConflictError):
    """An active agent cannot be removed."""

    code = AgentActive.code


class AgentHasKeysError(RejectedError, ConflictError):
    """An agent with an API key cannot be removed. Revoke the key first."""

    code = AgentHasKeys.code


class KeyEndedError(RejectedError, ConflictError):
    """A revoked or expired key cannot be rotated. Issue a key instead."""

    code = KeyEnded.code


class LeaseConflictError(RejectedError, ConflictError):
    """Another agent holds the contact, or another process or task of the same agent."""

    code = LeaseHeld.code

    @property
    def will_notify(self) -> bool:
        """Whether the service notifies this agent (``lease_available``) when the lease ends.

        It notifies a limited number of agents. Earlier versions of the service do not say.
        """
        return self.details.get("willNotify") is not False

    @property
    def holder(self) -> HolderInfo | None:
        """The holder, and when its lease expires unless it renews."""
        holder = self.details.get("leaseHolder")
        return HolderInfo.from_json(holder) if isinstance(holder, Mapping) else None


class LeaseEndedError(RejectedError, ConflictError):
    """The lease has ended and cannot be renewed. Acquire the contact again, with a new fence."""

    code = LeaseEnded.code


class AgentInactiveError(RejectedError, ConflictError):
    """The agent timed out. Its next heartbeat makes it active again."""

    code = AgentInactive.code


class AlreadyVotedError(RejectedError, ConflictError):
    """The agent has cast a different vote. The first vote is final."""

    code = AlreadyVoted.code


class ConsensusClosedError(RejectedError, ConflictError):
    """The proposal is approved, rejected or expired."""

    code = RequestClosed.code


class NotEligibleError(RejectedError, ConflictError):
    """The agent is not in the electorate of the proposal."""

    code = NotEligible.code


class TenantPausedError(RejectedError, ConflictError):
    """The tenant is paused: it is read, and accepts no command until it is unpaused.

    Heartbeats and releases are accepted meanwhile. ``details`` has ``pausedAt``.
    """

    code = TenantIsPaused.code


class TenantExistsError(RejectedError, ConflictError):
    code = TenantExists.code


class MailDomainTakenError(RejectedError, ConflictError):
    code = MailDomainTaken.code


class QuotaExceededError(RejectedError, ConflictError):
    """The tenant has reached a quota.

    The status is 429, but a retry does not help: the tenant must end leases, proposals or the like.
    """

    code = QuotaExceeded.code

    @property
    def quota(self) -> str:
        """The name of the quota."""
        return str(self.details.get("quota", ""))

    @property
    def limit(self) -> int | None:
        """The limit of the quota."""
        limit = self.details.get("limit")
        return limit if isinstance(limit, int) else None


class DailyQuotaExceededError(RejectedError, ConflictError):
    """The tenant or the agent has used up a quota of this day (UTC).

    The status is 429. The SDK does not retry: ``details["resetsAt"]`` may be hours away.
    """

    code = DailyQuotaExceeded.code

    @property
    def quota(self) -> str:
        """The name of the quota."""
        return str(self.details.get("quota", ""))


# -- 400, 405, 413, 415, 422, 431: invalid requests --------------------------


class MalformedRequestError(RejectedError):
    code = problems.MalformedRequest.code


class TenantAmbiguousError(RejectedError):
    code = problems.TenantAmbiguous.code


class IdempotencyKeyInvalidError(RejectedError):
    code = problems.IdempotencyKeyInvalid.code


class IdempotencyKeyReusedError(RejectedError):
    """The idempotency key was used with a different request."""

    code = problems.IdempotencyKeyReused.code


class MethodNotAllowedError(RejectedError):
    code = problems.MethodNotAllowed.code


class BodyTooLargeError(RejectedError):
    code = problems.BodyTooLarge.code


class HeadersTooLargeError(RejectedError):
    code = problems.HeadersTooLarge.code


class UnsupportedMediaTypeError(RejectedError):
    code = problems.UnsupportedMediaType.code


class InvalidRequestError(RejectedError):
    """A field is invalid. ``details["errors"]`` names each invalid field."""

    code = problems.InvalidRequest.code


class ContactEmailInvalidError(RejectedError):
    """The e-mail address of the contact is invalid or ambiguous."""

    code = AddressUnusable.code


# -- 408, 429, 500, 503: the service cannot serve the request now ------------


class RequestTimeoutError(RejectedError, UnavailableError):
    code = problems.RequestTimeout.code


class ServiceUnavailableError(RejectedError, UnavailableError):
    code = problems.ServiceUnavailable.code


class TooManyStreamsError(RejectedError, UnavailableError):
    code = problems.TooManyStreams.code


class RateLimitedError(RejectedError, UnavailableError):
    """The rate limit of the agent, its tenant or its address is exceeded.

    The service did not carry out the request.
    """

    code = problems.RateLimited.code


class InternalServerError(RejectedError):
    """The service failed because of a defect. It recorded no event."""

    code = problems.InternalError.code
