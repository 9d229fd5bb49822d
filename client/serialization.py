"""Encode requests for HTTP and NATS, and parse their responses. No I/O.

A response over either transport has one of three outcomes: the typed result, the rejection of the
service, or a ``RequestFailedError`` that says why there is neither. No message contains a key.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import orjson

from quorate.client.errors import RequestFailedError, UnauthorizedError, UnavailableError
from quorate.client.problem_errors import error_from_response, invalid_field
from quorate.client.rejections import RejectedError
from quorate.client.request_builder import Request
from quorate.contracts.downloads import Download
from quorate.domain.shared.records import record

T = TypeVar("T")

IDEMPOTENCY_KEY = "Idempotency-Key"
# Names of response headers, in lower case.
SEQUENCE = "quorate-sequence"
REPLAYED = "idempotent-replayed"
LINK = "link"
RETRY_AFTER = "retry-after"
NATS_STATUS = "nats-service-error-code"
RETRY_AFTER_MEMBER = "retryAfterSeconds"  # Of a problem document.
RETRY_AFTER_SECONDS_MAX = 3_600.0
SUCCESS = 200
NOT_QUORATE = "The response is not from Quorate"


@record
class Response(Generic[T]):
    """A successful response.

    * ``result``: the typed result.
    * ``sequence``: the last sequence of the tenant's event log that the response reflects.
    * ``replayed``: whether the service had carried out the request before, for the same
      idempotency key.
    * ``next_after``: the value of ``after`` for the next page of a list, or None on the last one.
    * ``sent_at``: when the first attempt began, in seconds of the caller's monotonic clock. The
      service did nothing for this request before that time.
    """

    result: T
    sequence: int | None
    replayed: bool
    sent_at: float
    next_after: str | None = None


def new_idempotency_key() -> str:
    return str(uuid4())


def validate_api_key(api_key: str) -> str:
    """Return the key; raise UnauthorizedError if it cannot be the value of a header."""
    if not api_key or not api_key.isascii() or not api_key.isprintable():
        raise UnauthorizedError("The API key is empty or contains invalid characters")
    return api_key


def idempotency_headers(request: Request[Any], idempotency_key: str) -> dict[str, str]:
    """Return the headers of a request over either transport, without the credentials."""
    if not request.is_command:
        return {}
    if not idempotency_key.isascii() or not idempotency_key.isprintable():
        raise invalid_field(IDEMPOTENCY_KEY, "has characters that a header cannot carry")
    return {IDEMPOTENCY_KEY: idempotency_key}


def encode_http_body(request: Request[Any]) -> bytes | None:
    """Raises InvalidRequestError for a value that JSON cannot carry."""
    return None if request.body is None else _encode(request.body)


def encode_nats_message(request: Request[Any]) -> bytes:
    """Raises InvalidRequestError for a value that JSON cannot carry."""
    return _encode(request.message)


def _encode(fields: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(fields)
    except TypeError as error:  # Half of a surrogate pair, an integer beyond 64 bits, an object.
        for name, value in fields.items():
            try:
                orjson.dumps({name: value})
            except TypeError as reason:
                raise invalid_field(name, str(reason)) from error
        raise


def parse_http_response(
    request: Request[T], status: int, headers: Mapping[str, str], content: bytes, sent_at: float
) -> Response[T]:
    """Parse an HTTP response; ``headers`` must ignore case.

    Raises RequestFailedError for an unsuccessful response.
    """
    if status == SUCCESS:
        return _parse_success(request, headers, content, sent_at)
    raise parse_failure(status, headers, content)


def parse_nats_reply(
    request: Request[T], headers: Mapping[str, str] | None, content: bytes, sent_at: float
) -> Response[T]:
    """Parse a NATS reply. Raises RequestFailedError for an unsuccessful one."""
    headers = {name.lower(): value for name, value in (headers or {}).items()}
    status = headers.get(NATS_STATUS)
    if status is None:
        return _parse_success(request, headers, content, sent_at)
    raise parse_failure(int(status) if status.isdecimal() else 0, headers, content)


def _parse_success(
    request: Request[T], headers: Mapping[str, str], content: bytes, sent_at: float
) -> Response[T]:
    sequence = headers.get(SEQUENCE)
    try:
        result: Any
        if request.is_download:
            result = Download.from_response(headers, content)
        else:
            result = request.parse(orjson.loads(content))
        return Response(
            result=result,
            sequence=None if sequence is None else int(sequence),
            replayed=headers.get(REPLAYED) == "true",
            sent_at=sent_at,
            next_after=_next_after(headers.get(LINK)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RequestFailedError(NOT_QUORATE) from error


def _next_after(link: str | None) -> str | None:
    """Return ``after`` of the link to the next page (RFC 8288)."""
    target, _, relation = (link or "").partition(">")
    if 'rel="next"' not in relation:
        return None
    return next(iter(parse_qs(urlsplit(target[1:]).query).get("after", ())), None)


def parse_failure(status: int, headers: Mapping[str, str], content: bytes) -> RequestFailedError:
    """Return the exception for an unsuccessful response; ``headers`` must ignore case."""
    failure = error_from_response(status, parse_json_object(content))
    if isinstance(failure, UnavailableError):
        exact_seconds = _exact_retry_after(failure)
        failure.retry_after_seconds = exact_seconds or _parse_retry_after(headers.get(RETRY_AFTER))
    return failure


def parse_json_object(content: bytes) -> dict[str, Any] | None:
    """Return the JSON object in the body of a response; None if it contains none."""
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _exact_retry_after(failure: UnavailableError) -> float | None:
    """Return the fractional seconds of the problem document; the header has whole seconds only."""
    given = failure.details.get(RETRY_AFTER_MEMBER) if isinstance(failure, RejectedError) else None
    if not isinstance(given, int | float) or not given > 0:
        return None
    return min(float(given), RETRY_AFTER_SECONDS_MAX)


def _parse_retry_after(header: str | None) -> float | None:
    """Return the seconds of a Retry-After header.

    A date is ignored: it would need the clocks of both sides to agree.
    """
    if header is None or not header.isdecimal():
        return None
    return min(float(header), RETRY_AFTER_SECONDS_MAX)
