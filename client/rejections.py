"""What the service declines, one class for each code: catch the one you can do something about.

Every refusal is a ``Refused``, and also of the kind (client/errors.py) that tells what may help:
``LeaseConflict`` is ``Conflicted``, ``AgentNotFound`` is ``NotFound``, and so on. A refusal is an
answer: asking the same again, while the state is the same, is answered the same.
"""

from collections.abc import Mapping
from typing import Any

from quorate.client.errors import CallFailed, Conflicted, NotFound, Unauthorized, Unavailable
from quorate.client.results import HolderInfo

DETAIL_LENGTH_MAX = 300


class Refused(CallFailed):
    """The service understood and declined.

    ``code`` is stable and made for programs, ``detail`` is a sentence for people, ``facts`` are the
    other members of the problem, and ``request_id`` finds the request in the service's own log.
    """

    code: str = ""

    def __init__(self, problem: Mapping[str, Any], status: int) -> None:
        super().__init__(problem, status)
        self.status = status
        self.code = str(problem.get("code", self.code))
        self.detail = str(problem.get("detail", ""))
        self.request_id = str(problem.get("requestId", ""))
        self.facts = {name: value for name, value in problem.items() if name not in _MEMBERS}
        self._said = said(status, problem)

    def __str__(self) -> str:
        return self._said


_MEMBERS = {"type", "title", "status", "detail", "code", "requestId"}


def said(status: int, problem: Mapping[str, Any] | None) -> str:
    """A problem's own words, or its status where something else answered."""
    words = [str(problem[name]) for name in ("title", "detail") if problem and problem.get(name)]
    told = words[1:] if len(words) > 1 and words[1].rstrip(".") == words[0] else words
    return ": ".join(told)[:DETAIL_LENGTH_MAX] or f"the service answered {status}"


# -- Who may not -------------------------------------------------------------


class KeyRefused(Refused, Unauthorized):
    """The key is missing, wrong or revoked."""

    code = "unauthorized"


class TenantForbidden(Refused, Unauthorized):
    code = "tenant_forbidden"


class RoleForbidden(Refused, Unauthorized):
    code = "role_forbidden"


class ActingAsAnother(Refused, Unauthorized):
    """A key bound to one agent acts only as that agent."""

    code = "acting_as_another"


# -- What is not there -------------------------------------------------------


class NothingHere(Refused, NotFound):
    code = "not_found"


class AgentNotFound(Refused, NotFound):
    code = "agent_not_found"


class LeaseNotFound(Refused, NotFound):
    code = "lease_not_found"


class ConsensusNotFound(Refused, NotFound):
    code = "consensus_not_found"


class KeyNotFound(Refused, NotFound):
    code = "key_not_found"


class TenantNotFound(Refused, NotFound):
    code = "tenant_not_found"


# -- What cannot be now ------------------------------------------------------


class LeaseConflict(Refused, Conflicted):
    """Another agent holds the contact; ``holder`` tells who, and until when unless it renews."""

    code = "lease_conflict"

    @property
    def holder(self) -> HolderInfo | None:
        holder = self.facts.get("leaseHolder")
        return HolderInfo.read(holder) if isinstance(holder, Mapping) else None


class LeaseEnded(Refused, Conflicted):
    """What has ended cannot be renewed: acquire anew, and get a new fence."""

    code = "lease_ended"


class AgentInactive(Refused, Conflicted):
    """The agent's heartbeats stopped; after the next one it may act again."""

    code = "agent_inactive"


class AlreadyVoted(Refused, Conflicted):
    """The agent has voted otherwise, and the first vote is final."""

    code = "already_voted"


class ConsensusClosed(Refused, Conflicted):
    code = "consensus_closed"


class NotEligible(Refused, Conflicted):
    """The agent is not among those whose votes count here."""

    code = "not_eligible"


class TenantExists(Refused, Conflicted):
    code = "tenant_exists"


class QuotaExceeded(Refused, Conflicted):
    """The tenant has as many of these as it may; ``quota`` tells which, ``limit`` how many."""

    code = "quota_exceeded"

    @property
    def quota(self) -> str:
        return str(self.facts.get("quota", ""))

    @property
    def limit(self) -> int | None:
        limit = self.facts.get("limit")
        return limit if isinstance(limit, int) else None


# -- What was asked wrongly --------------------------------------------------


class MalformedRequest(Refused):
    code = "malformed_request"


class TenantAmbiguous(Refused):
    code = "tenant_ambiguous"


class IdempotencyKeyInvalid(Refused):
    code = "idempotency_key_invalid"


class IdempotencyKeyReused(Refused):
    """The idempotency key stands for another request."""

    code = "idempotency_key_reused"


class MethodNotAllowed(Refused):
    code = "method_not_allowed"


class BodyTooLarge(Refused):
    code = "body_too_large"


class HeadersTooLarge(Refused):
    code = "headers_too_large"


class UnsupportedMediaType(Refused):
    code = "unsupported_media_type"


class InvalidRequest(Refused):
    """A field does not fit; ``facts["errors"]`` names each."""

    code = "invalid_request"


class ContactEmailInvalid(Refused):
    """The address has no unmistakable form."""

    code = "contact_email_invalid"


# -- What the service cannot do now ------------------------------------------


class RequestTimeout(Refused, Unavailable):
    code = "request_timeout"


class ServiceUnavailable(Refused, Unavailable):
    code = "unavailable"


class TooManyStreams(Refused, Unavailable):
    code = "too_many_streams"


class RateLimited(Refused, Unavailable):
    """The agent, its tenant or its address asks too often; nothing was carried out."""

    code = "rate_limited"


class InternalError(Refused):
    """The service's own code failed; nothing was recorded."""

    code = "internal_error"


# -- Reading one -------------------------------------------------------------

KINDS: Mapping[str, type[Refused]] = {
    kind.code: kind
    for kind in (
        *(KeyRefused, TenantForbidden, RoleForbidden, ActingAsAnother),
        *(NothingHere, AgentNotFound, LeaseNotFound, ConsensusNotFound, KeyNotFound),
        *(TenantNotFound, LeaseConflict, LeaseEnded, AgentInactive, AlreadyVoted),
        *(ConsensusClosed, NotEligible, TenantExists, QuotaExceeded),
        *(MalformedRequest, TenantAmbiguous),
        *(IdempotencyKeyInvalid, IdempotencyKeyReused, MethodNotAllowed, BodyTooLarge),
        *(HeadersTooLarge, UnsupportedMediaType, InvalidRequest, ContactEmailInvalid),
        *(RequestTimeout, ServiceUnavailable, TooManyStreams, RateLimited, InternalError),
    )
}


class _UnknownUnauthorized(Refused, Unauthorized):
    """Of a service that knows more codes than we do."""


class _UnknownNotFound(Refused, NotFound):
    """Of a service that knows more codes than we do."""


class _UnknownConflict(Refused, Conflicted):
    """Of a service that knows more codes than we do."""


class _UnknownUnavailable(Refused, Unavailable):
    """Of a service that knows more codes than we do."""


_BY_STATUS: Mapping[int, tuple[type[Refused], type[CallFailed]]] = {
    401: (_UnknownUnauthorized, Unauthorized),
    403: (_UnknownUnauthorized, Unauthorized),
    404: (_UnknownNotFound, NotFound),
    408: (_UnknownUnavailable, Unavailable),
    409: (_UnknownConflict, Conflicted),
    429: (_UnknownUnavailable, Unavailable),
    502: (_UnknownUnavailable, Unavailable),
    503: (_UnknownUnavailable, Unavailable),
    504: (_UnknownUnavailable, Unavailable),
}


def refusal(problem: Mapping[str, Any], status: int) -> Refused:
    """The refusal that a problem document stands for."""
    unknown, _ = _BY_STATUS.get(status, (Refused, CallFailed))
    return KINDS.get(str(problem.get("code")), unknown)(problem, status)


def failure(status: int, problem: Mapping[str, Any] | None) -> CallFailed:
    """What an answer that is no success stands for, whoever gave it."""
    if problem is not None and "code" in problem:
        return refusal(problem, status)
    _, kind = _BY_STATUS.get(status, (Refused, CallFailed))
    return kind(said(status, problem))
