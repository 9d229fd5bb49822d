"""The few routes that are no operations: they need no key and return no data of a tenant.

``tests/architecture/test_routes.py`` compares the routes of the application with this list.
"""

import hashlib
from functools import cache

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from quorate.api.documents import STATIC
from quorate.api.health import live_reply
from quorate.api.responses import reply_response
from quorate.api.routes import CompleteResponse
from quorate.application.admission import request_id
from quorate.domain.shared.records import record

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@record
class _StaticFile:
    body: bytes
    media_type: str
    etag: str


@cache
def _static_file(name: str) -> _StaticFile:
    path = STATIC / name
    body = path.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return _StaticFile(body=body, media_type=_MEDIA_TYPES[path.suffix], etag=etag)


@cache
def static_names() -> frozenset[str]:
    """Return the names of the served files: styles, scripts and icons in ``api/static``."""
    paths = (path for path in STATIC.rglob("*") if path.suffix in _MEDIA_TYPES)
    return frozenset(path.relative_to(STATIC).as_posix() for path in paths)


async def get_static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in static_names():
        raise HTTPException(404)
    file = _static_file(name)
    headers = {
        "ETag": file.etag,
        "Cache-Control": "no-cache",  # Browsers ask each time, and get 304 if it is unchanged.
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)


async def get_healthz(request: Request) -> Response:
    """Answer like ``/livez``, under the name that some platforms expect."""
    sent = request.headers.get("x-request-id")
    return CompleteResponse(
        reply_response(live_reply(), request_id(sent.encode("latin-1") if sent else None))
    )


async def redirect_to_pages(request: Request) -> Response:
    """Send a browser to the console, and a program to the documentation of the API."""
    is_browser = "text/html" in request.headers.get("accept", "")
    # Relative: a proxy may serve the API below a prefix.
    return RedirectResponse("console/" if is_browser else "docs", headers={"Vary": "Accept"})


PUBLIC = (
    Route("/", redirect_to_pages, name="root"),
    Route("/healthz", get_healthz, name="healthz"),
    Route("/static/{name:path}", get_static, name="static"),
)
