"""Pages, static files, redirects and cross-origin requests."""

import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from fastapi import FastAPI

from quorate.api.documents import STATIC
from quorate.api.errors import add_error_handlers
from quorate.api.public_routes import static_names
from quorate.application.request_metrics import UNKNOWN_OPERATION, RequestMetrics
from quorate.runtime.asgi import Receive, Scope, Send
from tests.integration.api.asgi_client import AsgiRequest, AsgiResponse, ask, json_request
from tests.integration.api.in_process import InProcess, run_in_process
from tests.support.request_counts import count_outcomes

ORIGIN = "https://app.example.com"
LEASE = "/v1/agent/coordination/lease"


@pytest.fixture(params=[True, False], ids=["fast lane", "FastAPI"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[InProcess]:
    async with run_in_process(
        tmp_path / "data", fast_lane=request.param, cors_origins=(ORIGIN,)
    ) as service:
        yield service


async def get(service: InProcess, path: str, *headers: tuple[str, str]) -> AsgiResponse:
    return await service.ask(AsgiRequest(method="GET", path=path, headers=headers))


async def test_public_pages(service: InProcess) -> None:
    root = await get(service, "/")
    healthz, livez = await get(service, "/healthz"), await get(service, "/livez")
    docs = await get(service, "/docs")
    page = docs.body.decode()

    assert (root.status, root.header("location")) == (307, "docs")
    assert (healthz.status, healthz.body) == (livez.status, livez.body) == (200, b'{"status":"ok"}')
    assert [name for name, _ in healthz.headers] == [name for name, _ in livez.headers]
    policy = docs.header("content-security-policy") or ""
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert not re.search(r"<script>|<style|style=|https?://", page)
    for name in re.findall(r'(?:src|href)="static/([^"]+)"', page):
        assert name in static_names()
    assert (await service.get("/openapi.json")).json["servers"] == [{"url": "/"}]
    assert (await service.get("/asyncapi.json")).json["asyncapi"]
    assert b"/static/asyncapi/page.js" in (await service.get("/asyncapi")).body


async def test_static_files(service: InProcess) -> None:
    media = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
    media["svg"] = "image/svg+xml"
    for name in static_names():
        found = await get(service, f"/static/{name}")
        etag = found.header("etag") or ""
        again = await get(service, f"/static/{name}", ("If-None-Match", etag))
        assert (found.status, found.body) == (200, (STATIC / name).read_bytes())
        assert found.header("content-type") == media[name.rpartition(".")[2]]
        assert (again.status, again.body) == (304, b"")
    for name in ("docs.html", "none.js", "../openapi.py", "%2e%2e/openapi.py", "swagger-ui", ""):
        assert (await get(service, f"/static/{name}")).json["code"] == "not_found"


async def test_named_origin_may_send_requests(service: InProcess) -> None:
    body = {"agentName": "ann", "contactEmail": 1}
    for origin in (ORIGIN, "https://other.example.com"):
        preflight = await service.ask(
            AsgiRequest(
                method="OPTIONS",
                path=LEASE,
                headers=[
                    ("Origin", origin),
                    ("Access-Control-Request-Method", "POST"),
                    ("Access-Control-Request-Headers", "x-api-key, idempotency-key, content-type"),
                ],
            )
        )
        request = await _posted(service, origin, body)
        allowed = origin == ORIGIN
        assert (preflight.status == 200) == allowed
        for response in (preflight, request):
            assert response.header("access-control-allow-origin") == (origin if allowed else None)
            assert response.header("access-control-allow-credentials") is None
        assert request.status == 422
        if allowed:
            exposed = request.header("access-control-expose-headers") or ""
            assert {"Quorate-Sequence", "X-Request-Id"} <= set(exposed.split(", "))


async def _posted(service: InProcess, origin: str, body: dict[str, object]) -> AsgiResponse:
    return await service.ask(
        json_request("POST", LEASE, body, key=service.key, headers={"Origin": origin})
    )


async def test_without_origins_no_header_is_sent(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        response = await _posted(service, ORIGIN, {})
        options = await service.ask(
            AsgiRequest(method="OPTIONS", path=LEASE, headers=[("Origin", ORIGIN)])
        )

    assert response.header("access-control-allow-origin") is None
    assert options.json["code"] == "method_not_allowed"


async def test_failure_outside_of_operations_is_a_problem() -> None:
    app, metrics = FastAPI(), RequestMetrics()
    add_error_handlers(app, metrics.of("http"))

    @app.get("/failure")
    async def fail() -> None:
        raise RuntimeError("a bug")

    async def tolerant(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(RuntimeError):  # The server logs it.
            await app(scope, receive, send)

    response = await ask(tolerant, AsgiRequest(method="GET", path="/failure"))

    assert (response.status, response.json["code"]) == (500, "internal_error")
    assert b"a bug" not in response.body
    assert count_outcomes(metrics, UNKNOWN_OPERATION) == {"internal_error": 1}
