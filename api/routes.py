"""Register operations with FastAPI: ``OperationRoute`` is the only way.

* FastAPI reads and parses a body before it solves dependencies. Therefore the route itself admits
  the caller, and parses and validates the request strictly, before it gives it to FastAPI.
* FastAPI solves and documents the operation from the signature that ``_endpoint`` builds.
* Every failure becomes one problem and at most one log line, as in the fast lane.
"""

import re
from collections.abc import AsyncIterator, Callable, Coroutine
from inspect import Parameter, Signature
from typing import Annotated, Any

from fastapi import Header, Path, Query, Request, Security
from fastapi.responses import Response, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import Match
from typing_extensions import override

from quorate.api.documents import ENDPOINTS
from quorate.api.http_admission import HttpAdmission, Started
from quorate.api.request_reader import known_ids
from quorate.api.responses import (
    Response as PlainResponse,
)
from quorate.api.responses import (
    problem_response,
    reply_response,
    send_response,
    stream_headers,
)
from quorate.application.admission import RequestLogEntry, attempt
from quorate.application.operations import Call, Handler, Streamed
from quorate.contracts.descriptions import (
    IDEMPOTENCY_KEY_DESCRIPTION,
    IDEMPOTENCY_KEY_SCHEMA,
    LAST_EVENT_ID_DESCRIPTION,
    LAST_EVENT_ID_SCHEMA,
    id_description,
)
from quorate.contracts.operations import JSON_MEDIA, AnyOperation, json_name, path_parameters
from quorate.contracts.problems import Problem
from quorate.eventlog.envelopes import Unavailable
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.runtime.asgi import Receive, Scope, Send

__all__ = ["ENDPOINTS", "OperationRoute", "public_path", "route_for"]

BEARER = HTTPBearer(scheme_name="bearer", auto_error=False)
API_KEY = APIKeyHeader(name="X-API-Key", scheme_name="apiKey", auto_error=False)
_PARAMETER = re.compile(r"{(\w+)}")
_BODY = "body"
_JSON_TYPE = {b"content-type": JSON_MEDIA.encode()}  # Also of a body that was left out.


class OperationRequest(Request):
    """An admitted request: FastAPI gets the validated body, and each header once."""

    def __init__(self, request: Request, call: Call) -> None:
        super().__init__(request.scope, request.receive)
        self.call = call
        self._body = b"" if call.body is None else b"{}"  # Not empty: FastAPI asks for its JSON.
        headers = {**call.headers, **_JSON_TYPE} if self._body else call.headers
        self._headers = Headers(raw=list(headers.items()))

    @override
    async def json(self) -> Any:
        """Return the model that admission validated; FastAPI accepts an instance as it is."""
        return self.call.body


class OperationRoute(APIRoute):
    """Admits the caller and parses the body before FastAPI does anything.

    A path without parameters takes precedence over paths with parameters: only its own methods are
    tried. A GET route also serves HEAD.
    """

    def __init__(
        self,
        operation: AnyOperation,
        admission: HttpAdmission,
        handler: Handler,
        *,
        fixed_paths: frozenset[str] = frozenset(),
        **documented: Any,  # noqa: ANN401 - arguments of APIRoute that only document.
    ) -> None:
        """``documented`` makes a route for the OpenAPI document, which serves no requests."""
        self.operation = operation
        self._admission = admission
        self._ids = {json_name(operation, name): name for name in path_parameters(operation)}
        self._hidden_paths = fixed_paths if self._ids else frozenset[str]()
        super().__init__(
            public_path(operation),
            _endpoint(operation, handler, is_documented=bool(documented)),
            methods=[operation.method],
            name=operation.name,
            operation_id=operation.name,
            summary=operation.summary,
            **{"response_model": None, "description": operation.description} | documented,
        )
        self.served_methods = {operation.method} | (
            {"HEAD"} if operation.method == "GET" else set()
        )
        # Starlette's pattern also accepts a line feed at the end.
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + r"\Z")

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def admitted(request: Request) -> Response:
            ids = known_ids({self._ids[name]: text for name, text in request.path_params.items()})
            started = self._admission.start(request.scope, ids, request.receive)
            call, log_entry, _ = started
            response = await attempt(self._respond(handle, request, started), call, log_entry)
            if isinstance(response, Problem):
                return CompleteResponse(
                    problem_response(
                        response,
                        call.request_id,
                        call.allowance,
                        error_object=self.operation.error_object,
                    )
                )
            if isinstance(response, EventStreamResponse):
                response.log_entry = log_entry
            else:
                log_entry.record_success(response.status_code)
            return response

        return admitted

    async def _respond(
        self,
        handle: Callable[[Request], Coroutine[Any, Any, Response]],
        request: Request,
        started: Started,
    ) -> Response:
        call = started.call
        reservation = self._admission.reserve(call, request.scope)
        try:
            await self._admission.admit(call, request.scope, started.repeated_headers, reservation)
            return await handle(OperationRequest(request, call))
        finally:
            reservation.release()

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        if match != Match.NONE and scope["path"] in self._hidden_paths:
            return Match.NONE, {}
        if match == Match.PARTIAL and scope["method"] in self.served_methods:
            return Match.FULL, child_scope
        return match, child_scope

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in self.served_methods:
            raise HTTPException(405)
        await self.app(scope, receive, send)


def route_for(
    operation: AnyOperation,
    admission: HttpAdmission,
    handler: Handler,
    **documented: Any,  # noqa: ANN401 - see OperationRoute.
) -> OperationRoute:
    """Make the route of one operation."""
    return OperationRoute(operation, admission, handler, fixed_paths=_FIXED_PATHS, **documented)


_FIXED_PATHS = frozenset(one.path for one in ENDPOINTS if not path_parameters(one))


def public_path(operation: AnyOperation) -> str:
    """Return the path as documented; its parameters are written in camel case."""
    return _PARAMETER.sub(lambda found: f"{{{json_name(operation, found[1])}}}", operation.path)


# -- Endpoints ---------------------------------------------------------------


def _endpoint(
    operation: AnyOperation, handler: Handler, *, is_documented: bool
) -> Callable[..., Any]:
    """Return the function that FastAPI calls, with the signature of the operation."""

    async def serve(request: OperationRequest, **_documented: object) -> Response:
        call = request.call
        reply = await handler(call)
        if isinstance(reply, Streamed):
            return EventStreamResponse(reply, call.request_id)
        return CompleteResponse(reply_response(reply, call.request_id, call.allowance))

    serve.__name__ = operation.name
    serve.__signature__ = Signature(_parameters(operation, is_documented=is_documented))  # type: ignore[attr-defined]
    return serve


def _parameters(operation: AnyOperation, *, is_documented: bool) -> list[Parameter]:
    """Return the parameters that FastAPI solves, and those that it only documents."""
    kind = Parameter.KEYWORD_ONLY
    found = [Parameter("request", Parameter.POSITIONAL_OR_KEYWORD, annotation=OperationRequest)]
    for name in path_parameters(operation):
        path = Path(description=id_description(name), json_schema_extra={"minLength": 1})
        found.append(Parameter(json_name(operation, name), kind, annotation=Annotated[str, path]))
    if operation.body is not None:
        found.append(Parameter(_BODY, kind, annotation=operation.body))
    if not is_documented:  # Admission and the handler read the rest; solving it costs 0.1 ms.
        return found
    if operation.query is not None:
        found.append(Parameter("query", kind, annotation=Annotated[operation.query, Query()]))
    headers = {"Idempotency-Key": operation.command, "Last-Event-ID": operation.streams}
    for name, accepted in headers.items():
        if accepted:
            header = Annotated[str | None, Header(alias=name, **_HEADERS[name])]
            variable = name.lower().replace("-", "_")
            found.append(Parameter(variable, kind, default=None, annotation=header))
    if operation.roles:
        for scheme in (BEARER, API_KEY):
            key = Annotated[Any, Security(scheme)]
            found.append(Parameter(scheme.scheme_name, kind, default=None, annotation=key))
    return found


_HEADERS: dict[str, dict[str, Any]] = {
    "Idempotency-Key": {
        "description": IDEMPOTENCY_KEY_DESCRIPTION,
        "json_schema_extra": IDEMPOTENCY_KEY_SCHEMA,
    },
    "Last-Event-ID": {
        "description": LAST_EVENT_ID_DESCRIPTION,
        "json_schema_extra": LAST_EVENT_ID_SCHEMA,
    },
}


# -- Responses ---------------------------------------------------------------


class CompleteResponse(Response):
    """A response that is sent exactly as it was built."""

    def __init__(self, built: PlainResponse) -> None:
        self.status_code, self.raw_headers, self.body = built
        self.background = None
        self._built = built

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_response(scope, send, self._built)


class EventStreamResponse(StreamingResponse):
    """A stream of server-sent events. It ends when the client disconnects or the wait ends."""

    log_entry: RequestLogEntry

    def __init__(self, streamed: Streamed, request_id: str) -> None:
        super().__init__(self._until_failure(streamed))
        self.raw_headers = stream_headers(streamed, request_id)
        self._frames = streamed.frames
        self._has_failed = False

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._frames.aclose()  # Frees the subscription, also if nothing was read.
            if not self._has_failed:
                self.log_entry.record_success(self.status_code)

    async def _until_failure(self, streamed: Streamed) -> AsyncIterator[bytes]:
        """Yield the frames. A failure ends the stream, because its status is already sent."""
        try:
            async for frame in streamed.frames:
                yield frame
        except (Unavailable, DatabaseUnavailable) as error:
            self._has_failed = True
            self.log_entry.record_unavailable(error)
        except Exception as error:  # noqa: BLE001 - a failure must not reach the server.
            self._has_failed = True
            self.log_entry.record_failure("internal_error", error)
