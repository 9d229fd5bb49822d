"""Build the FastAPI application from the registry of operations, and what runs in front of it."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from fastapi import FastAPI
from typing_extensions import override

import quorate
from quorate.api.console.route import ConsoleRoute
from quorate.api.cors import allow_origins
from quorate.api.documents import DOCUMENTS, ENDPOINTS, Documents, asyncapi_document
from quorate.api.errors import add_error_handlers
from quorate.api.fast_lane import create_fast_lane
from quorate.api.http_admission import admission_for
from quorate.api.large_bodies import LargeBodies
from quorate.api.mcp.route import McpRoute
from quorate.api.public_routes import PUBLIC
from quorate.api.registry import handler_for
from quorate.api.routes import OperationRoute, route_for
from quorate.application.execution import Service
from quorate.runtime.asgi import ASGIApplication


class QuorateApi(FastAPI):
    """A FastAPI application that documents its operations on the first request."""

    public_url: str | None = None

    @override
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            from quorate.api import openapi  # noqa: PLC0415 - a start is faster without it.

            operations = [one.operation for one in self.routes if isinstance(one, OperationRoute)]
            self.openapi_schema = openapi.document(operations, self.public_url)
        return self.openapi_schema


def create_app(
    service: Service,
    *,
    public_url: str | None = None,
    asyncapi: Callable[[], dict[str, Any]] = asyncapi_document,
    large_bodies: LargeBodies | None = None,
    origins: Collection[str] = (),
) -> FastAPI:
    """Register every operation and MCP; ``asyncapi`` generates the document of the NATS API.

    Web pages of ``origins`` may call MCP.
    """
    app = QuorateApi(
        title="Quorate",
        version=quorate.__version__,
        openapi_url=None,  # Operations serve the documents and pages.
        redirect_slashes=False,
        # The service has its own spans and metrics, for requests of all transports.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.public_url = public_url
    large_bodies = large_bodies or LargeBodies()
    documents = Documents(app.openapi, asyncapi)
    for operation in ENDPOINTS:
        handler = handler_for(operation, documents if operation in DOCUMENTS else service)
        admission = admission_for(service, operation, large_bodies)
        app.router.routes.append(route_for(operation, admission, handler))
    app.router.routes.append(McpRoute(service, large_bodies, origins))
    app.router.routes.append(ConsoleRoute(service))
    app.router.routes.extend(PUBLIC)
    add_error_handlers(app, service.request_metrics.of("http"))
    return app


class CreateHttpApplication(Protocol):
    """The type of ``create_http_application``."""

    def __call__(
        self,
        service: Service,
        *,
        fast_lane: bool = True,
        cors_origins: Sequence[str] = (),
        public_url: str | None = None,
    ) -> ASGIApplication: ...


def create_http_application(
    service: Service,
    *,
    fast_lane: bool = True,
    cors_origins: Sequence[str] = (),
    public_url: str | None = None,
) -> ASGIApplication:
    """Build everything that serves HTTP: FastAPI, and in front of it the fast lane and CORS."""
    large_bodies = LargeBodies()
    app: ASGIApplication = create_app(
        service, public_url=public_url, large_bodies=large_bodies, origins=cors_origins
    )
    if fast_lane:
        app = create_fast_lane(app, service, large_bodies)
    return allow_origins(app, cors_origins)
