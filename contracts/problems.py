"""Errors as RFC 9457 problems: a stable code, a sentence, the facts, and never a traceback.

A problem's ``type`` is ``urn:quorate:problem:<code>``. Codes of refusals come from ``domain/``;
this table gives each its status, so that no rule knows about HTTP.
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
    """What all problems with one code have in common."""

    status: int
    title: str


KINDS: Mapping[str, Kind] = {
    "malformed_request": Kind(status=400, title="The request cannot be read"),
    "tenant_ambiguous": Kind(status=400, title="The request names two tenants"),
    "idempotency_key_invalid": Kind(status=400, title="The idempotency key cannot be used"),
    "unauthorized": Kind(status=401, title="A valid API key is needed"),
    "tenant_forbidden": Kind(status=403, title="The key belongs to another tenant"),
    "role_forbidden": Kind(status=403, title="The key's role does not allow this"),
    "acting_as_another": Kind(status=403, title="The key is bound to one agent"),
    "not_found": Kind(status=404, title="There is nothing at this address"),
    "agent_not_found": Kind(status=404, title="No such agent"),
    "lease_not_found": Kind(status=404, title="No such lease"),
    "consensus_not_found": Kind(status=404, title="No such consensus request"),
    "key_not_found": Kind(status=404, title="No such key"),
    "tenant_not_found": Kind(status=404, title="No such tenant"),
    "method_not_allowed": Kind(status=405, title="The method does not fit this address"),
    "request_timeout": Kind(status=408, title="The request did not arrive in time"),
    "lease_conflict": Kind(status=409, title="Another agent holds the contact"),
    "lease_ended": Kind(status=409, title="The lease has ended"),
    "agent_inactive": Kind(status=409, title="The agent's heartbeats stopped"),
    "already_voted": Kind(status=409, title="The agent has voted otherwise"),
    "consensus_closed": Kind(status=409, title="The vote is over"),
    "not_eligible": Kind(status=409, title="The agent is not among the voters"),
    "tenant_exists": Kind(status=409, title="The tenant exists"),
    "body_too_large": Kind(status=413, title="The body is too large"),
    "unsupported_media_type": Kind(status=415, title="The body must be plain JSON"),
    "invalid_request": Kind(status=422, title="A field does not fit"),
    "contact_email_invalid": Kind(status=422, title="The address has no unmistakable form"),
    "idempotency_key_reused": Kind(
        status=422, title="The idempotency key stands for another request"
    ),
    "headers_too_large": Kind(status=431, title="The headers are too large"),
    "rate_limited": Kind(status=429, title="Too many requests"),
    "quota_exceeded": Kind(status=429, title="No more of these are allowed"),
    "internal_error": Kind(status=500, title="Our own code failed"),
    "unavailable": Kind(status=503, title="Commands cannot be taken now"),
    "too_many_streams": Kind(status=503, title="No more streams can be opened now"),
}


class Problem(Exception):
    """A request that ends here, with what to tell the caller."""

    def __init__(
        self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **facts: object
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.facts = facts
        self.headers = headers or {}

    @property
    def status(self) -> int:
        return KINDS[self.code].status


def problem_body(code: str, detail: str, facts: Mapping[str, Any], request_id: str) -> bytes:
    """The JSON of a problem; ``facts`` are members of their own (RFC 9457, section 3.2)."""
    kind = KINDS[code]
    members = {
        "type": PROBLEM_TYPE + code,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": code,
        "requestId": request_id,
    }
    return orjson.dumps({**members, **facts, **members})  # No fact replaces a member.


# Codes that the HTTP protocol may answer before a request reaches an operation.
CONNECTION_CODES = frozenset(
    {
        "malformed_request",
        "method_not_allowed",
        "request_timeout",
        "headers_too_large",
        "unavailable",
    }
)
