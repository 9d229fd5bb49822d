"""A request is tried once, and whatever happens it ends in an answer and at most one log line.

What HTTP and NATS have in common: how strictly input is read, that a named tenant must be the
key's own, which failure is which problem, and what is said of it in the log.
"""

import itertools
import logging
import os
import time
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from quorate.application.request_metrics import OK, Tally
from quorate.application.tracing import Span
from quorate.contracts.problems import RETRY_AFTER_SECONDS, Problem
from quorate.domain.identity.api_keys import Principal
from quorate.eventlog.envelopes import Unavailable
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.runtime.log_throttle import ThrottledWarning

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

REQUEST_ID_LENGTH_MAX = 64
FAULTS_SHOWN_MAX = 10
FIELD_LENGTH_SHOWN_MAX = 100
UNAVAILABLE = "unavailable"
UNAVAILABLE_STATUS = 503

_logger = structlog.get_logger("quorate.requests")
_rate_limited = ThrottledWarning("rate_limited")
_PROCESS = os.urandom(4).hex()
_COUNT = itertools.count(1)


# -- Checking ----------------------------------------------------------------


def validated(model: type[M], values: Mapping[str, Any], *, strict: bool | None = None) -> M:
    """An instance of the model, or a Problem that names the fields; None: as the model says."""
    try:
        return model.model_validate(values, strict=strict)
    except ValidationError as error:
        faults = [
            {
                "field": ".".join(str(part) for part in fault["loc"])[:FIELD_LENGTH_SHOWN_MAX],
                "why": fault["msg"],
            }
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        ][:FAULTS_SHOWN_MAX]
        named = f"{faults[0]['field']}: {faults[0]['why']}" if faults else "The request is invalid."
        raise Problem("invalid_request", named, errors=faults) from None


def check_tenant(principal: Principal, body: BaseModel | None, query: BaseModel | None) -> None:
    """A tenant that is named must be the key's own; an operator's key is of no tenant."""
    in_query = getattr(query, "tenant_id", None)
    in_body = getattr(body, "tenant_id", None)
    if in_query is not None and in_body is not None and in_query != in_body:
        raise Problem("tenant_ambiguous", "The body and the query name different tenants.")
    named = in_query or in_body
    if named is not None and principal.role != "admin" and named != principal.tenant:
        raise Problem("tenant_forbidden", "The key belongs to another tenant.")


# -- Telling -----------------------------------------------------------------


class RequestLogEntry:
    """What is said of one request, and counted. What succeeds is in the event log; here it is said
    for debugging only.
    """

    __slots__ = ("_started", "_tally", "_transport", "_where", "request_id", "span")

    def __init__(
        self,
        transport: str,
        where: Mapping[str, str],
        request_id: str,
        tally: Tally,
        span: Span | None = None,
    ) -> None:
        self.request_id = request_id
        self.span = span
        self._tally = tally
        self._transport = transport
        self._where = where
        self._started = time.perf_counter()

    def served(self, status: int) -> None:
        self._ended(OK if status < UNAVAILABLE_STATUS else UNAVAILABLE)
        if _logger.is_enabled_for(logging.DEBUG):
            _logger.debug(self._event("served"), status=status, **self._facts())

    def refused(self, problem: Problem, principal: Principal | None) -> None:
        self._ended(problem.code)
        if problem.code == "rate_limited":  # A flood must not become one of log lines.
            _rate_limited.say(**self._who(problem, principal), **problem.facts)
            return
        _logger.info(
            self._event("refused"),
            status=problem.status,
            **self._who(problem, principal),
            **self._facts(),
        )

    @staticmethod
    def _who(problem: Problem, principal: Principal | None) -> dict[str, Any]:
        key_id = principal.key_id or None if principal is not None else None
        return {"code": problem.code, "key_id": key_id}

    def failed(self, event: str, error: BaseException) -> None:
        self._ended(event)
        _logger.error(self._event(event), exc_info=error, **self._facts())

    def unavailable(self, error: Unavailable | DatabaseUnavailable) -> None:
        """Without a traceback: while a database is away there is a line for each request."""
        self._ended(UNAVAILABLE)
        _logger.error(self._event(UNAVAILABLE), error=str(error), **self._facts())

    def _ended(self, outcome: str) -> None:
        self._tally.count(outcome, time.perf_counter() - self._started)
        if self.span is not None:
            self.span.end(outcome, self.request_id)

    def _event(self, name: str) -> str:
        return f"{self._transport}.{name}"

    def _facts(self) -> dict[str, Any]:
        return {
            **self._where,
            "request_id": self.request_id,
            "milliseconds": round((time.perf_counter() - self._started) * 1_000, 3),
        }


def request_id(sent: bytes | None) -> str:
    """The caller's own id where it can be trusted in a log line, else a new one."""
    if sent is not None and _is_plain(sent):
        return sent.decode("ascii")
    return f"{_PROCESS}-{next(_COUNT):x}"


def _is_plain(value: bytes) -> bool:
    plain = value.replace(b"-", b"").replace(b"_", b"")
    return 0 < len(value) <= REQUEST_ID_LENGTH_MAX and plain.isalnum()


# -- Trying ------------------------------------------------------------------


class HasPrincipal(Protocol):
    principal: Any


async def attempt(work: Awaitable[T], call: HasPrincipal, told: RequestLogEntry) -> T | Problem:
    """What came of it. A refusal is logged before it is answered: who has it can look it up."""
    try:
        return await work
    except Problem as problem:
        told.refused(problem, call.principal)
        return problem
    except Unavailable as error:
        told.unavailable(error)
        return unavailable(str(error))
    except (
        DatabaseUnavailable
    ) as error:  # What the database says is for the operator: it may name its address.
        told.unavailable(error)
        return unavailable("The log cannot be read now.")
    except Exception as error:  # noqa: BLE001 - the last line of defence.
        told.failed("internal_error", error)
        return Problem("internal_error", "Our own code failed; it has been logged.")


def unavailable(detail: str) -> Problem:
    return Problem(UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
