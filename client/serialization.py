"""How an ask is written for HTTP or NATS, and how what came back is read. No I/O.

Whatever answers, the outcome is the same three: the typed result, the refusal that the service
gave, or a failure that says why there is neither. Nothing of a key ends up in a message.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar
from uuid import uuid4

import orjson

from quorate.client.errors import CallFailed, Unauthorized, Unavailable
from quorate.client.rejections import Refused, failure
from quorate.client.requests import Ask
from quorate.domain.shared.records import record

T = TypeVar("T")

IDEMPOTENCY_KEY = "Idempotency-Key"
# Names of what comes back are compared in lower case.
SEQUENCE = "quorate-sequence"
REPLAYED = "idempotent-replayed"
RETRY_AFTER = "retry-after"
RETRY_AFTER_FACT = "retryAfterSeconds"
NATS_STATUS = "nats-service-error-code"
RETRY_AFTER_SECONDS_MAX = 3_600.0
SUCCESS = 200


@record
class Answered(Generic[T]):
    """``sequence`` is the tenant's head that the answer reflects.

    ``asked_at`` is when the first attempt began, by the caller's own clock: what the service did,
    it did not before.
    """

    result: T
    sequence: int | None
    replayed: bool
    asked_at: float


def new_idempotency_key() -> str:
    return str(uuid4())


def checked_key(api_key: str) -> str:
    """The key, if it can stand in a header; raises Unauthorized."""
    if not api_key or not api_key.isascii() or not api_key.isprintable():
        raise Unauthorized("the API key holds characters that no key has")
    return api_key


def headers(ask: Ask[Any], idempotency_key: str) -> dict[str, str]:
    """What goes with a request besides the key, over HTTP and over NATS alike."""
    return {IDEMPOTENCY_KEY: idempotency_key} if ask.changes else {}


def http_content(ask: Ask[Any]) -> bytes | None:
    return None if ask.body is None else orjson.dumps(ask.body)


def nats_content(ask: Ask[Any]) -> bytes:
    return orjson.dumps(ask.message)


def read_http(
    ask: Ask[T], status: int, given: Mapping[str, str], content: bytes, asked_at: float
) -> Answered[T]:
    """The answer that an HTTP response holds; raises CallFailed. ``given`` ignores case."""
    if status == SUCCESS:
        return _read(ask, given, content, asked_at)
    raise _failed(status, given, content)


def read_nats(
    ask: Ask[T], given: Mapping[str, str] | None, content: bytes, asked_at: float
) -> Answered[T]:
    """The answer that a NATS reply holds; raises CallFailed."""
    given = {name.lower(): value for name, value in (given or {}).items()}
    status = given.get(NATS_STATUS)
    if status is None:
        return _read(ask, given, content, asked_at)
    raise _failed(int(status) if status.isdecimal() else 0, given, content)


def _read(ask: Ask[T], given: Mapping[str, str], content: bytes, asked_at: float) -> Answered[T]:
    sequence = given.get(SEQUENCE)
    try:
        return Answered(
            result=ask.read(orjson.loads(content)),
            sequence=None if sequence is None else int(sequence),
            replayed=given.get(REPLAYED) == "true",
            asked_at=asked_at,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CallFailed("something answers, but it is not Quorate") from error


def _failed(status: int, given: Mapping[str, str], content: bytes) -> CallFailed:
    failed = failure(status, json_object(content))
    if isinstance(failed, Unavailable):
        failed.retry_after_seconds = _exact_seconds(failed) or _seconds(given.get(RETRY_AFTER))
    return failed


def json_object(content: bytes) -> dict[str, Any] | None:
    """The JSON object that an answer holds, if it holds one."""
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _exact_seconds(failed: Unavailable) -> float | None:
    """What the service said to the fraction; a header has whole seconds only."""
    said = failed.facts.get(RETRY_AFTER_FACT) if isinstance(failed, Refused) else None
    if not isinstance(said, int | float) or not said > 0:
        return None
    return min(float(said), RETRY_AFTER_SECONDS_MAX)


def _seconds(retry_after: str | None) -> float | None:
    """Only seconds: a date would need the service's clock and ours to agree."""
    if retry_after is None or not retry_after.isdecimal():
        return None
    return min(float(retry_after), RETRY_AFTER_SECONDS_MAX)
