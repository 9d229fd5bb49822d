"""Cross-origin requests from web pages (CORS), for the origins that the operator names.

* Without an origin the middleware is not installed, so browsers block such requests.
* Pages send API keys in a header. Cookies and other credentials of the browser are not allowed.
"""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from quorate.api.response_writer import withdraw_single_write
from quorate.runtime.asgi import ASGIApplication

METHODS = ("GET", "POST", "PUT", "DELETE")
REQUEST_HEADERS = (
    *("Authorization", "X-API-Key", "Content-Type", "Idempotency-Key", "Last-Event-ID"),
    *("X-Request-Id", "traceparent", "tracestate"),
    *("MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id"),  # Sent by MCP clients.
)
RESPONSE_HEADERS = (
    *("Allow", "Idempotent-Replayed", "Link", "Quorate-As-Of", "Quorate-As-Of-Time"),
    "Quorate-Sequence",
    *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After"),
    *("WWW-Authenticate", "X-Request-Id"),
)


class Cors(CORSMiddleware):
    """Adds the headers also to responses that are otherwise sent in a single write."""

    @override
    async def simple_response(
        self, scope: Scope, receive: Receive, send: Send, request_headers: Headers
    ) -> None:
        withdraw_single_write(scope)
        await super().simple_response(scope, receive, send, request_headers)


def allow_origins(app: ASGIApplication, origins: Sequence[str]) -> ASGIApplication:
    """Put the middleware in front of an application, unless there are no origins."""
    if not origins:
        return app
    return Cors(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=REQUEST_HEADERS,
        expose_headers=RESPONSE_HEADERS,
    )
