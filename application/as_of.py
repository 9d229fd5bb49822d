"""Answer a request as the service would have answered at a moment of the past.

* The handler is the same. Around it, this task reads as of the moment (``eventlog/moments.py``).
* A request of the past changes nothing and waits for nothing.
* The caller's key, its role and its rate limit are those of now.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import wraps
from typing import Any

from quorate.application.execution import Service, problem_of
from quorate.application.operations import Call, HandlerOfService, Reply, Streamed
from quorate.contracts.as_of import HEADER, TIME_HEADER, has_past
from quorate.contracts.operations import AS_OF, AnyOperation
from quorate.contracts.problems import PastNotKept, Problem
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.records import changed
from quorate.domain.shared.timestamps import iso, of
from quorate.eventlog.moments import Moment, reading_as_of
from quorate.projections.history.moments import MomentInFuture, MomentNotKept

# What a request of the past does not do, by the parameter that asks for it.
_NOT_IN_THE_PAST: Mapping[str, Any] = {"wait": 0.0, "mark_read": False}


def handler_as_of(
    operation: AnyOperation, handlers: Mapping[str, HandlerOfService]
) -> HandlerOfService:
    """Return the handler of an operation, which accepts ``asOf`` if the operation has a past."""
    handler = handlers[operation.name]
    if not has_past(operation):
        return handler

    @wraps(handler)
    async def answer(service: Service, call: Call) -> Reply | Streamed:
        if getattr(call.query, AS_OF, None) is None:
            return await handler(service, call)
        moment = await _find(service, call)
        named = {HEADER: str(moment.sequence), TIME_HEADER: iso(moment.at)}
        present = {
            name: value for name, value in _NOT_IN_THE_PAST.items() if hasattr(call.query, name)
        }
        if present:
            call.query = call.query.model_copy(update=present)
        try:
            with reading_as_of(moment):
                reply = await handler(service, call)
        except DomainError as error:
            raise _named(problem_of(error), named) from error
        except Problem as problem:
            raise _named(problem, named) from problem
        assert isinstance(reply, Reply), f"{operation.name} has no past"
        added = [(name.lower().encode(), value.encode()) for name, value in named.items()]
        return changed(reply, headers=(*reply.headers, *added))

    return answer


def _named(problem: Problem, headers: Mapping[str, str]) -> Problem:
    """Return the problem with headers that name the moment."""
    problem.headers = {**problem.headers, **headers}
    return problem


async def _find(service: Service, call: Call) -> Moment:
    """Find the moment that the query names; raise Problem."""
    as_of = call.query.as_of
    is_time = isinstance(as_of, datetime)
    try:
        return await service.moments.find(
            _tenant(call), of(as_of) if is_time else as_of, is_time=is_time
        )
    except MomentInFuture as future:
        detail = f"asOf: The moment is in the future. The last sequence is {future.head}."
        raise Problem("invalid_request", detail) from future
    except MomentNotKept as gone:
        raise PastNotKept(gone.first) from gone


def _tenant(call: Call) -> str:
    """Return the tenant whose sequence is meant: that of the key, or the one that an admin names.

    An admin key that names none means that of the operators.
    """
    principal: Principal = call.principal
    if principal.role != "admin":
        return principal.tenant
    named = call.path.get("tenant_id") or call.query.tenant_id
    return str(named or principal.tenant)
