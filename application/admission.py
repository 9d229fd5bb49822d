"""Run one request for any transport, and record its outcome once.

Guarantees, for HTTP and NATS alike:

* Input is validated with the same strictness.
* A request that names a tenant is accepted only if the key belongs to that tenant.
* Every failure becomes exactly one problem, and at most one log line.
"""

import itertools
import logging
import os
import time
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol, TypeVar

import structlog
from pydantic import BaseModel

from quorate.application.execution import problem_of
from quorate.application.request_metrics import OK, OperationMetrics
from quorate.application.tracing import Span
from quorate.contracts.problems import RETRY_AFTER_SECONDS, Problem, snake_case
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.errors import DomainError
from quorate.eventlog.envelopes import Unavailable
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.runtime.log_throttle import ThrottledWarning

T = TypeVar("T")

REQUEST_ID_LENGTH_MAX = 64
UNAVAILABLE = "unavailable"
UNAVAILABLE_STATUS = 503

_logger = structlog.get_logger("quorate.requests")
_rate_limited = ThrottledWarning("rate_limited")
_PROCESS = os.urandom(4).hex()
_COUNT = itertools.count(1)


# -- Checking ----------------------------------------------------------------


def check_tenant(principal: Principal, body: BaseModel | None, query: BaseModel | None) -> None:
    """Raise Problem unless the named tenant is the tenant of the key.

    An admin key belongs to no tenant and may name any.
    """
    in_query = getattr(query, "tenant_id", None)
    in_body = getattr(body, "tenant_id", None)
    if in_query is not None and in_body is not None and in_query != in_body:
        raise Problem("tenant_ambiguous", "The body and the query name different tenants.")
    named = in_query or in_body
    if named is not None and principal.role != "admin" and named != principal.tenant:
        raise Problem("tenant_forbidden", "The key belongs to another tenant.")


# -- Logging and counting ----------------------------------------------------


class RequestLogEntry:
    """Log, count and trace one request.

    Successful requests are logged at debug level only: the event log records accepted commands.
    """

    __slots__ = ("_location", "_metrics", "_started", "_transport", "request_id", "span")

    def __init__(
        self,
        transport: str,
        location: Mapping[str, str],
        request_id: str,
        metrics: OperationMetrics,
        span: Span | None = None,
    ) -> None:
        self.request_id = request_id
        self.span = span
        self._metrics = metrics
        self._transport = transport
        self._location = location
        self._started = time.perf_counter()

    def record_success(self, status: int) -> None:
        self._finish(OK if status < UNAVAILABLE_STATUS else UNAVAILABLE)
        if _logger.is_enabled_for(logging.DEBUG):
            _logger.debug(self._event("served"), status=status, **self._fields())

    def record_rejection(self, problem: Problem, principal: Principal | None) -> None:
        self._finish(problem.code)
        caller = self._caller(problem, principal)
        if problem.code == "rate_limited":  # A flood of requests must not flood the log.
            _rate_limited.warn(**caller, **snake_case(problem.details))
            return
        _logger.info(
            self._event("request_rejected"), status=problem.status, **(self._fields() | caller)
        )

    def _caller(self, problem: Problem, principal: Principal | None) -> dict[str, Any]:
        """Return who was rejected; an unauthenticated caller has neither key nor tenant."""
        if principal is None:  # Over NATS the subject names the caller in any case.
            known = {name: self._location.get(name) for name in ("tenant", "agent")}
            return {"code": problem.code, "key_id": None, **known}
        return {
            "code": problem.code,
            "key_id": principal.key_id or None,
            "tenant": principal.tenant,
            "agent": principal.agent_id,
        }

    def record_failure(self, event: str, error: BaseException) -> None:
        self._finish(event)
        _logger.error(self._event(event), exc_info=error, **self._fields())

    def record_unavailable(self, error: Unavailable | DatabaseUnavailable) -> None:
        """Log without a traceback: an unavailable database causes one line per request."""
        self._finish(UNAVAILABLE)
        _logger.error(self._event(UNAVAILABLE), error=str(error), **self._fields())

    def _finish(self, outcome: str) -> None:
        self._metrics.count(outcome, time.perf_counter() - self._started)
        if self.span is not None:
            self.span.end(outcome, self.request_id)

    def _event(self, name: str) -> str:
        return f"{self._transport}.{name}"

    def _fields(self) -> dict[str, Any]:
        return {
            **self._location,
            "request_id": self.request_id,
            "milliseconds": round((time.perf_counter() - self._started) * 1_000, 3),
        }


def request_id(sent: bytes | None) -> str:
    """Return the request id of the caller if it is safe to log, else a new one."""
    if sent is not None and _is_plain(sent):
        return sent.decode("ascii")
    return f"{_PROCESS}-{next(_COUNT):x}"


def _is_plain(value: bytes) -> bool:
    plain = value.replace(b"-", b"").replace(b"_", b"")
    return 0 < len(value) <= REQUEST_ID_LENGTH_MAX and plain.isalnum()


# -- Running -----------------------------------------------------------------


class HasPrincipal(Protocol):
    principal: Any


async def attempt(
    work: Awaitable[T], call: HasPrincipal, log_entry: RequestLogEntry
) -> T | Problem:
    """Return the result of ``work``, or the problem that it raised.

    A rejection is logged before the response is sent, so its request id can be found in the log.
    """
    try:
        return await work
    except Problem as problem:
        log_entry.record_rejection(problem, call.principal)
        return problem
    except DomainError as error:
        rejection = problem_of(error)
        log_entry.record_rejection(rejection, call.principal)
        return rejection
    except Unavailable as error:
        log_entry.record_unavailable(error)
        return unavailable(str(error))
    except DatabaseUnavailable as error:
        # The message of the database may contain its address: it is only logged.
        log_entry.record_unavailable(error)
        return unavailable("The event log is unavailable.")
    except Exception as error:  # noqa: BLE001 - every failure becomes a response.
        log_entry.record_failure("internal_error", error)
        return internal_error()


def internal_error() -> Problem:
    return Problem("internal_error", "Internal error. Use the request id to report it.")


def unavailable(detail: str) -> Problem:
    return Problem(UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
