"""Problem documents (RFC 9457): the codes, their HTTP statuses, their titles and their details.

* A problem has a stable ``code``, a ``detail`` sentence, machine-readable details, and never a
  traceback. Its ``type`` is ``urn:quorate:problem:<code>``.
* Each error is one class. Those of commands are in ``domain/``, where they are raised; those of
  requests, which fail before a command is decided, are here. ``KINDS`` contains all of them.
* The HTTP status of a domain error follows from its base class, so the domain does not know HTTP.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Literal

import orjson
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from quorate.domain import registry as _domain  # noqa: F401 - loads the errors of commands.
from quorate.domain.mail import attachments as _attachments  # noqa: F401 - errors of a query only.
from quorate.domain.shared.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    LimitReached,
    NotFound,
)
from quorate.domain.shared.records import record

PROBLEM_TYPE = "urn:quorate:problem:"
CONTENT_TYPE = b"application/problem+json"
RETRY_AFTER_SECONDS = 1
_CAPITAL = re.compile("[A-Z]")
_NAMES_MAX = 1_024  # Names of members that are remembered in snake_case.
_FIELD = re.compile(r"{(\w+)")

STATUS_BY_BASE: Mapping[type[DomainError], int] = {
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Invalid: 422,
    LimitReached: 429,
}


# -- Errors of requests --------------------------------------------------------


class RequestError(DomainError):
    """A request that fails before a command is decided. The class declares its own status."""

    status: ClassVar[int]


class FieldError(TypedDict):
    """An invalid field, and why it is invalid."""

    field: str
    why: str


class MalformedRequest(RequestError):
    code, title, status = "malformed_request", "Malformed request", 400


class TenantAmbiguous(RequestError):
    code, title = "tenant_ambiguous", "Body and query name different tenants"
    status = 400


class IdempotencyKeyInvalid(RequestError):
    code, title, status = "idempotency_key_invalid", "Invalid idempotency key", 400


class Unauthorized(RequestError):
    code, title, status = "unauthorized", "A valid API key is required", 401


class TenantForbidden(RequestError):
    code, title, status = "tenant_forbidden", "The key belongs to another tenant", 403


class OriginForbidden(RequestError):
    code, title, status = "origin_forbidden", "Web pages of this origin may not call", 403


class NothingToExplain(RequestError):
    """No event of the tenant and no problem has this id, or its event is archived."""

    code, title, status = "nothing_to_explain", "Nothing to explain has this id", 404


class PathNotFound(RequestError):
    code, title, status = "not_found", "Not found", 404


class MethodNotAllowed(RequestError):
    code, title, status = "method_not_allowed", "Method not allowed", 405


class RequestTimeout(RequestError):
    code, title, status = "request_timeout", "Request timeout", 408


@dataclass(eq=False)
class LogMismatch(RequestError):
    """The cursor is of another log, for example of the log before a restore from a backup."""

    code, title, status = "log_mismatch", "The cursor is of another log", 409
    log_id: str
    head: int


@dataclass(eq=False)
class PastNotKept(RequestError):
    """The moment is before the first one that can be read: its events are archived."""

    code, title, status = "gap", "The past is not kept until this moment", 410
    detail = "The first moment that can be read is sequence {first_sequence}."
    first_sequence: int


class BodyTooLarge(RequestError):
    code, title, status = "body_too_large", "Request body too large", 413


class UnsupportedMediaType(RequestError):
    code, title, status = "unsupported_media_type", "Unsupported media type", 415


@dataclass(eq=False)
class InvalidRequest(RequestError):
    code, title, status = "invalid_request", "Invalid request", 422
    errors: list[FieldError] = field(default_factory=list)  # Left out when it is empty.


class IdempotencyKeyReused(RequestError):
    code, title = "idempotency_key_reused", "Idempotency key was used with a different request"
    status = 422


@dataclass(eq=False)
class RateLimited(RequestError):
    code, title, status = "rate_limited", "Too many requests", 429
    limited_by: Literal["key", "tenant", "address"]
    retry_after_seconds: float


class HeadersTooLarge(RequestError):
    code, title, status = "headers_too_large", "Request headers too large", 431


class InternalError(RequestError):
    code, title, status = "internal_error", "Internal server error", 500


class ServiceUnavailable(RequestError):
    code, title, status = "unavailable", "Service unavailable", 503


class TooManyStreams(RequestError):
    code, title, status = "too_many_streams", "Too many open streams", 503


# -- All errors ----------------------------------------------------------------


@record
class Kind:
    """What all problems with one code share: status, title, and the class that declares them."""

    status: int
    title: str
    error: type[DomainError]
    reason: str  # This and ``detail`` have the names that callers see.
    detail: str


def _declared(base: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    for error in base.__subclasses__():
        if "code" in vars(error) and error.__module__.startswith("quorate."):
            yield error
        yield from _declared(error)


def _status(error: type[DomainError]) -> int:
    if issubclass(error, RequestError):
        return error.status
    return next(status for base, status in STATUS_BY_BASE.items() if issubclass(error, base))


def _public(template: str) -> str:
    return _FIELD.sub(lambda found: f"{{{to_camel(found[1])}", template)


def _kind(error: type[DomainError]) -> Kind:
    return Kind(
        status=_status(error),
        title=error.title,
        error=error,
        reason=_public(error.reason),
        detail=_public(error.detail),
    )


def _kinds() -> Mapping[str, Kind]:
    kinds = [_kind(one) for one in _declared()]
    return {kind.error.code: kind for kind in sorted(kinds, key=lambda kind: kind.status)}


KINDS: Mapping[str, Kind] = _kinds()


def detail_of(code: str, facts: Mapping[str, Any]) -> str:
    """Return the title as a sentence, with the reason that the fields of the problem give.

    An error of a seed has the text of the seed instead.
    """
    kind = KINDS[code]
    if not kind.reason and not kind.detail:
        return f"{kind.title}."
    try:
        if kind.detail:
            return kind.detail.format_map(facts)
        return f"{kind.title}: {kind.reason.format_map(facts)}."
    except KeyError:  # Of a stored response: it has the fields of the version that stored it.
        return f"{kind.title}."


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


def body_of(problem: Problem, request_id: str, *, error_object: bool = False) -> bytes:
    """Serialize a problem, with the member ``error`` if the operation has ``error_object``."""
    details = problem.details
    if error_object:
        details = {**details, "error": _error_object(problem)}
    return problem_body(problem.code, problem.detail, details, request_id)


def _error_object(problem: Problem) -> Mapping[str, object]:
    """Return the problem in the form that clients of the agent mail of seed 002 read."""
    seconds = problem.headers.get("Retry-After")
    return {
        "code": problem.code,
        "message": problem.detail,
        "retry_after": None if seconds is None else int(seconds),
        "details": snake_case(problem.details),
    }


def snake_case(value: Any) -> Any:  # noqa: ANN401 - any JSON value.
    """Return a JSON value with the names of its members in snake_case: ``limitedBy`` and so on."""
    match value:
        case Mapping():
            return {_snake(name): snake_case(inner) for name, inner in value.items()}
        case list() | tuple():
            return [snake_case(inner) for inner in value]
        case _:
            return value


@lru_cache(_NAMES_MAX)
def _snake(name: str) -> str:
    return _CAPITAL.sub(r"_\g<0>", name).lower()


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
