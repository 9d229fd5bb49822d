"""Problem documents (RFC 9457): the codes, their HTTP statuses and their titles.

* A problem has a stable ``code``, a ``detail`` sentence, machine-readable details, and never a
  traceback. Its ``type`` is ``urn:quorate:problem:<code>``.
* The codes of domain errors come from ``domain/``. This table adds the HTTP status, so the domain
  does not depend on HTTP.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from quorate.domain.shared.records import record

PROBLEM_TYPE = "urn:quorate:problem:"
CONTENT_TYPE = b"application/problem+json"
RETRY_AFTER_SECONDS = 1


@record
class Kind:
    """The status and the title that all problems with one code share."""

    status: int
    title: str


KINDS: Mapping[str, Kind] = {
    "malformed_request": Kind(status=400, title="Malformed request"),
    "tenant_ambiguous": Kind(status=400, title="Body and query name different tenants"),
    "idempotency_key_invalid": Kind(status=400, title="Invalid idempotency key"),
    "unauthorized": Kind(status=401, title="A valid API key is required"),
    "tenant_forbidden": Kind(status=403, title="The key belongs to another tenant"),
    "role_forbidden": Kind(status=403, title="The key's role does not permit this operation"),
    "acting_as_another": Kind(status=403, title="The key belongs to another agent"),
    "not_found": Kind(status=404, title="Not found"),
    "agent_not_found": Kind(status=404, title="Agent not found"),
    "lease_not_found": Kind(status=404, title="Lease not found"),
    "consensus_not_found": Kind(status=404, title="Consensus proposal not found"),
    "key_not_found": Kind(status=404, title="API key not found"),
    "tenant_not_found": Kind(status=404, title="Tenant not found"),
    "method_not_allowed": Kind(status=405, title="Method not allowed"),
    "request_timeout": Kind(status=408, title="Request timeout"),
    "lease_conflict": Kind(status=409, title="Another agent holds the contact"),
    "lease_ended": Kind(status=409, title="The lease has ended"),
    "agent_inactive": Kind(status=409, title="The agent is inactive"),
    "already_voted": Kind(status=409, title="The agent has already cast a different vote"),
    "consensus_closed": Kind(status=409, title="The consensus proposal is closed"),
    "not_eligible": Kind(status=409, title="The agent is not in the electorate"),
    "tenant_exists": Kind(status=409, title="The tenant already exists"),
    "body_too_large": Kind(status=413, title="Request body too large"),
    "unsupported_media_type": Kind(status=415, title="Unsupported media type"),
    "invalid_request": Kind(status=422, title="Invalid request"),
    "contact_email_invalid": Kind(status=422, title="Invalid or ambiguous e-mail address"),
    "idempotency_key_reused": Kind(
        status=422, title="Idempotency key was used with a different request"
    ),
    "headers_too_large": Kind(status=431, title="Request headers too large"),
    "rate_limited": Kind(status=429, title="Too many requests"),
    "quota_exceeded": Kind(status=429, title="Quota exceeded"),
    "internal_error": Kind(status=500, title="Internal server error"),
    "unavailable": Kind(status=503, title="Service unavailable"),
    "too_many_streams": Kind(status=503, title="Too many open streams"),
}


class Problem(Exception):
    """A request failed: the code, detail, headers and machine-readable details of the response."""

    def __init__(
        self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **details: object
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.details = details
        self.headers = headers or {}

    @property
    def status(self) -> int:
        return KINDS[self.code].status


def problem_body(code: str, detail: str, details: Mapping[str, Any], request_id: str) -> bytes:
    """Serialize a problem; ``details`` become extension members (RFC 9457, section 3.2)."""
    kind = KINDS[code]
    members = {
        "type": PROBLEM_TYPE + code,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": code,
        "requestId": request_id,
    }
    return orjson.dumps({**members, **details, **members})  # Details never replace a member.


# Codes that the HTTP protocol may return before a request reaches an operation.
CONNECTION_CODES = frozenset(
    {
        "malformed_request",
        "method_not_allowed",
        "request_timeout",
        "headers_too_large",
        "unavailable",
    }
)
