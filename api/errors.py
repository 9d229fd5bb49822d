"""Answer requests that match no operation, and failures outside of operations, with problems.

FastAPI answers them in formats of its own. Failures of operations never arrive here:
``OperationRoute`` answers them.
"""

from collections.abc import Collection

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from quorate.api.http_admission import start_log_entry
from quorate.api.responses import problem_response
from quorate.api.routes import CompleteResponse, OperationRoute
from quorate.application.request_metrics import OperationMetrics
from quorate.contracts.problems import KINDS, Problem

_METHOD_NOT_ALLOWED = 405
_CODES = {400: "malformed_request", 404: "not_found", 413: "body_too_large"}


def add_error_handlers(app: FastAPI, metrics: OperationMetrics) -> None:
    topics = _topics_with_error_object(app)

    def respond(request: Request, problem: Problem, request_id: str) -> Response:
        has_error = _topic(request.url.path) in topics
        return CompleteResponse(problem_response(problem, request_id, error_object=has_error))

    def reject(request: Request, problem: Problem) -> Response:
        log_entry = start_log_entry(request.scope, metrics)
        log_entry.record_rejection(problem, None)
        return respond(request, problem, log_entry.request_id)

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == _METHOD_NOT_ALLOWED:
            return reject(request, _not_allowed(_allowed_methods(app, request)))
        code = _CODES.get(error.status_code, "internal_error")
        detail = "This path does not exist." if code == "not_found" else f"{KINDS[code].title}."
        return reject(request, Problem(code, detail))

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return reject(request, Problem("invalid_request", "The request is invalid."))

    async def on_failure(request: Request, error: Exception) -> Response:
        log_entry = start_log_entry(request.scope, metrics)
        log_entry.record_failure("internal_error", error)
        problem = Problem("internal_error", "Internal error. Use the request id to report it.")
        return respond(request, problem, log_entry.request_id)

    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(Exception, on_failure)


def _topic(path: str) -> str:
    return path.split("/", 2)[1] if path.startswith("/") else ""


def _topics_with_error_object(app: FastAPI) -> Collection[str]:
    """Return the first parts of paths under which each operation has ``error_object``."""
    operations = [one.operation for one in app.routes if isinstance(one, OperationRoute)]
    others = {_topic(one.path) for one in operations if not one.error_object}
    return {_topic(one.path) for one in operations if one.error_object} - others


def _allowed_methods(app: FastAPI, request: Request) -> Collection[str]:
    found: set[str] = set()
    for route in app.routes:
        if route.matches(request.scope)[0] != Match.NONE:
            served = route.served_methods if isinstance(route, OperationRoute) else None
            found |= served or getattr(route, "methods", None) or set()
    return found


def _not_allowed(methods: Collection[str]) -> Problem:
    allowed = ", ".join(sorted(methods))
    return Problem("method_not_allowed", f"Allowed methods: {allowed}.", headers={"Allow": allowed})
