"""Serve the hot operations without FastAPI, which costs several times as much as the command.

* The fast lane is an ASGI application in front of FastAPI. It serves the operations that are
  declared hot, from the same declarations, admission, models and handlers; every other request
  goes to FastAPI.
* Status, headers and bytes of each response are equal on both paths. A test compares them.
* ``quorate serve --no-fast-lane`` turns it off.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from quorate.api.http_admission import HttpAdmission, admission_for
from quorate.api.large_bodies import LargeBodies
from quorate.api.registry import handler_for
from quorate.api.request_reader import known_ids
from quorate.api.responses import problem_response, reply_response, send_response
from quorate.application.admission import attempt
from quorate.application.execution import Service
from quorate.application.operations import Call, Handler, Reply
from quorate.contracts.operations import AnyOperation
from quorate.contracts.problems import Problem
from quorate.contracts.registry import OPERATIONS
from quorate.runtime.asgi import ASGIApplication, Receive, Scope, Send

_PARAMETER = re.compile(r"{(\w+)}")


class FastOperation:
    """Serves one operation that does not stream."""

    def __init__(self, admission: HttpAdmission, handler: Handler) -> None:
        operation = admission.operation
        assert not operation.streams, f"{operation.name} streams: only FastAPI serves streams"
        self.operation = operation
        self._admission = admission
        self._handler = handler

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, ids: Mapping[str, str] | None = None
    ) -> None:
        call, log_entry, repeated = self._admission.start(scope, ids or {}, receive)
        reply = await attempt(self._serve(call, scope, repeated), call, log_entry)
        if isinstance(reply, Problem):
            response = problem_response(
                reply,
                call.request_id,
                call.allowance,
                error_object=self.operation.error_object,
            )
            await send_response(scope, send, response)
            return
        await send_response(scope, send, reply_response(reply, call.request_id, call.allowance))
        log_entry.record_success(reply.status)

    async def _serve(self, call: Call, scope: Scope, repeated: frozenset[bytes]) -> Reply:
        reservation = self._admission.reserve(call, scope)
        try:
            await self._admission.admit(call, scope, repeated, reservation)
            reply = await self._handler(call)
        finally:
            reservation.release()
        assert isinstance(reply, Reply)
        return reply


Patterns: TypeAlias = list[tuple[re.Pattern[str], FastOperation]]


class FastLane:
    """The ASGI application in front of FastAPI."""

    def __init__(self, app: ASGIApplication, operations: Iterable[FastOperation]) -> None:
        self._app = app
        self._fixed: dict[tuple[str, str], FastOperation] = {}  # By method and path.
        self._patterns: dict[str, Patterns] = {}  # By method.
        for one in operations:
            method, path = one.operation.method, one.operation.path
            if _PARAMETER.search(path):
                self._patterns.setdefault(method, []).append((_pattern(path), one))
            else:
                self._fixed[method, path] = one

    @property
    def operations(self) -> list[AnyOperation]:
        found = [*self._fixed.values()]
        found += [one for patterns in self._patterns.values() for _, one in patterns]
        return [one.operation for one in found]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            method, path = scope["method"], scope["path"]
            found = self._fixed.get((method, path))
            if found is not None:
                await found(scope, receive, send)
                return
            for pattern, operation in self._patterns.get(method, ()):
                if (match := pattern.fullmatch(path)) is not None:
                    await operation(scope, receive, send, known_ids(match.groupdict()))
                    return
        await self._app(scope, receive, send)


def create_fast_lane(
    app: ASGIApplication, service: Service, large_bodies: LargeBodies | None = None
) -> FastLane:
    """Put the hot operations of a service in front of its application.

    ``large_bodies`` counts those of both.
    """
    hot = [operation for operation in OPERATIONS if operation.hot]
    return FastLane(
        app,
        [
            FastOperation(admission_for(service, one, large_bodies), handler_for(one, service))
            for one in hot
        ],
    )


def _pattern(path: str) -> re.Pattern[str]:
    """Compile a path; a parameter matches one path segment."""
    return re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", path))
