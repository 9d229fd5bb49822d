"""The route of MCP admits its callers like an operation, before the SDK sees a message."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from quorate.api.mcp.route import BODY_BYTES_MAX
from quorate.application.rate_limiter import Rates
from quorate.application.request_metrics import UNKNOWN_OPERATION
from quorate.domain.shared.records import changed
from quorate.mcp_server.tools import COORDINATION_TOOLS, TOOLS_PER_PROFILE_MAX
from tests.integration.api.asgi_client import AsgiRequest, AsgiResponse
from tests.integration.api.in_process import InProcess, run_in_process
from tests.support.request_counts import count_outcomes

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORIGIN = "https://app.example.com"
PATH = "/mcp"
# Both generations of the protocol: with a handshake, and with one message for each request.
VERSIONS = ("2025-11-25", "2026-07-28")
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}
BURST = 6


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    folder = tmp_path_factory.mktemp("mcp") / "data"
    async with run_in_process(folder, cors_origins=(ORIGIN,)) as service:
        yield service


def message(method: str, version: str = VERSIONS[0], **params: object) -> dict[str, Any]:
    meta = {"_meta": META} if version == VERSIONS[1] else {}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, **meta}}


def call_tool(name: str, version: str = VERSIONS[0], **arguments: object) -> dict[str, Any]:
    return message("tools/call", version, name=name, arguments=arguments)


async def post(
    service: InProcess,
    sent: object,
    *more: tuple[str, str],
    key: str | None = "",
    path: str = PATH,
    version: str = VERSIONS[0],
) -> AsgiResponse:
    """Send a message with the tenant key, or another one, or none."""
    headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", version),
        *more,
    ]
    if version == VERSIONS[1] and isinstance(sent, dict):
        headers.append(("Mcp-Method", sent["method"]))
        if "name" in sent["params"]:
            headers.append(("Mcp-Name", sent["params"]["name"]))
    if key is not None:
        headers.append(("Authorization", f"Bearer {key or service.key}"))
    body = sent if isinstance(sent, bytes) else orjson.dumps(sent)
    request = AsgiRequest(method="POST", path=path, headers=headers, chunks=(body,))
    return await service.ask(request)


def rejected(response: AsgiResponse) -> tuple[int, str]:
    """Return the status and the code of a rejection before the SDK."""
    error = response.json["error"]
    problem = error["data"]
    assert response.json["jsonrpc"] == "2.0"
    assert error["message"].startswith(f"{problem['code']}: ")
    assert problem["status"] == response.status
    assert problem["requestId"] == response.header("x-request-id")
    return response.status, problem["code"]


async def issue(service: InProcess, role: str, **more: object) -> str:
    body = {"role": role, **more}
    return str((await service.call("POST", "/v1/keys", body)).json["key"])


# -- Keys and roles ----------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
async def test_call_with_a_key_is_answered(service: InProcess, version: str) -> None:
    registered = await post(
        service, call_tool("register", version, agentName="ann"), version=version
    )
    listed = await post(service, message("tools/list", version), version=version)

    assert registered.status == listed.status == 200
    result = registered.json["result"]
    assert not result.get("isError")
    assert result["structuredContent"]["agentName"] == "ann"
    assert len(listed.json["result"]["tools"]) == len(COORDINATION_TOOLS) <= TOOLS_PER_PROFILE_MAX
    assert registered.header("x-request-id")
    assert registered.header("cache-control") == "no-store"
    assert registered.header("mcp-session-id") is None


@pytest.mark.parametrize("key", [None, "wrong", "qk_0123456789abcdef_unknown"])
async def test_message_without_a_valid_key_is_rejected(service: InProcess, key: str | None) -> None:
    for sent in (message("initialize"), message("tools/list"), call_tool("list_leases"), b"{"):
        response = await post(service, sent, key=key)

        assert rejected(response) == (401, "unauthorized")
        assert response.header("www-authenticate") == 'Bearer realm="quorate"'


async def test_repeated_credentials_are_rejected(service: InProcess) -> None:
    response = await post(service, message("ping"), ("Authorization", f"Bearer {service.key}"))

    assert rejected(response) == (401, "unauthorized")


async def test_revoked_key_fails_with_the_next_message(service: InProcess) -> None:
    issued = (await service.call("POST", "/v1/keys", {"role": "auditor"})).json
    sent = call_tool("list_leases")
    assert (await post(service, sent, key=issued["key"])).status == 200

    await service.call("DELETE", f"/v1/keys/{issued['id']}", {})
    service.running.service.key_cache.invalidate()

    assert rejected(await post(service, sent, key=issued["key"])) == (401, "unauthorized")


async def test_role_is_checked_for_each_tool(service: InProcess) -> None:
    key = await issue(service, "auditor")
    offered = await post(service, message("tools/list"), key=key)
    refused = await post(service, call_tool("register", agentName="ann"), key=key)
    allowed = await post(service, call_tool("list_leases"), key=key)
    names = {one["name"] for one in offered.json["result"]["tools"]}

    assert names == {one.name for one in COORDINATION_TOOLS if "auditor" in one.operation.roles}
    assert "register" not in names
    result = refused.json["result"]
    assert result["isError"]
    assert result["structuredContent"]["code"] == "role_forbidden"
    assert not allowed.json["result"].get("isError")


async def test_tenant_of_the_arguments_must_be_that_of_the_key(service: InProcess) -> None:
    sent = call_tool("register", agentName="ann", tenantId="another")
    result = (await post(service, sent)).json["result"]

    assert result["structuredContent"]["code"] == "tenant_forbidden"


# -- Limits ------------------------------------------------------------------


async def test_messages_and_calls_count_against_the_rate_limit(tmp_path: Path) -> None:
    rates = changed(Rates(), per_tenant=0.001, burst_per_tenant=BURST)
    async with run_in_process(tmp_path / "data", rates=rates) as service:
        responses = [await post(service, message("tools/list")) for _ in range(BURST + 1)]
        call = await post(service, call_tool("list_leases"))

    assert rejected(responses[-1]) == (429, "rate_limited")
    assert responses[-1].header("retry-after")
    result = call.json["result"]
    assert result["isError"]
    assert result["structuredContent"]["code"] == "rate_limited"
    assert result["content"][0]["text"].startswith("rate_limited: ")


async def test_calls_of_a_suspended_tenant_are_rejected(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        admin = service.credentials["adminKey"]
        headers = [("Authorization", f"Bearer {admin}"), ("Content-Type", "application/json")]
        path = "/v1/tenants/default/suspend"
        await service.ask(AsgiRequest(method="POST", path=path, headers=headers))

        listed = await post(service, message("tools/list"))
        called = await post(service, call_tool("list_leases"))

    assert rejected(listed) == (403, "tenant_suspended")
    assert called.json["result"]["structuredContent"]["code"] == "tenant_suspended"


async def test_paused_tenant_is_read_and_not_changed(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        await service.call("POST", "/v1/agent/register", {"agentName": "ann"})
        await service.call("POST", "/v1/tenants/default/pause", {"reason": "because"})

        listed = await post(service, message("tools/list"))
        read = await post(service, call_tool("list_leases"))
        beat = await post(service, call_tool("heartbeat", agentName="ann"))
        leased = {"agentName": "ann", "contactEmail": "kim@example.com"}
        written = await post(service, call_tool("acquire_lease", **leased))

    assert listed.status == 200
    assert [one.json["result"].get("isError", False) for one in (read, beat)] == [False, False]
    assert written.json["result"]["structuredContent"]["code"] == "tenant_paused"


async def test_body_is_limited(service: InProcess) -> None:
    too_large = b'{"a": "' + b"a" * BODY_BYTES_MAX + b'"}'
    large = call_tool("register", agentName="ann", agentRole="a" * 100_000)

    assert rejected(await post(service, too_large)) == (413, "body_too_large")
    result = (await post(service, large)).json["result"]
    assert result["structuredContent"]["code"] == "body_too_large"
    sent = call_tool("mail_send", to=["kim@example.com"], body_text="a" * 100_000)
    assert (await post(service, sent)).json["result"]["structuredContent"]["code"] != (
        "body_too_large"
    )


# -- Messages ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", (400, "malformed_request")),
        (b"{", (400, "malformed_request")),
        (b"[]", (400, "malformed_request")),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', (400, "malformed_request")),
        (b'{"id": 1, "id": 2}', (400, "malformed_request")),
        (b'{"a": "\\u0000"}', (422, "invalid_request")),
        (b"\xff", (400, "malformed_request")),
    ],
)
async def test_malformed_body_is_rejected(
    service: InProcess, sent: bytes, expected: tuple[int, str]
) -> None:
    assert rejected(await post(service, sent)) == expected


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1, "method": "unknown/method"},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "unknown"}},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": ["list_leases"]}},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": [1]},
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "list_leases", "arguments": [1]},
        },
        {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "file:///etc"}},
    ],
)
async def test_invalid_message_has_an_error_of_json_rpc(
    service: InProcess, sent: dict[str, Any]
) -> None:
    response = await post(service, sent)

    assert response.status in {200, 400}
    assert response.json["error"]["code"] in {-32600, -32601, -32602}


async def test_notification_is_accepted_and_changes_nothing(service: InProcess) -> None:
    sent = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "register"}}

    for one in (sent, {"jsonrpc": "2.0", "method": "notifications/initialized"}):
        response = await post(service, one)
        assert (response.status, response.body) == (202, b"")


async def test_other_media_type_is_rejected(service: InProcess) -> None:
    headers = [("Content-Type", "text/plain"), ("Authorization", f"Bearer {service.key}")]
    request = AsgiRequest(method="POST", path=PATH, headers=headers, chunks=(b"{}",))

    assert rejected(await service.ask(request)) == (415, "unsupported_media_type")


@pytest.mark.parametrize("query", ["profile=unknown", "other=1", "profile=sessions&x=1", "profile"])
async def test_unknown_profile_is_rejected(service: InProcess, query: str) -> None:
    response = await post(service, message("tools/list"), path=f"{PATH}?{query}")

    assert response.status in {400, 422}
    assert rejected(response)[1] in {"invalid_request", "malformed_request"}


async def test_profile_selects_the_tools(service: InProcess) -> None:
    path = f"{PATH}?profile=sessions"
    listed = await post(service, message("tools/list"), path=path)
    called = await post(service, call_tool("list_leases"), path=path)

    assert "list_leases" not in {one["name"] for one in listed.json["result"]["tools"]}
    assert "Unknown tool" in called.json["error"]["message"]


# -- Methods and origins -----------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT", "OPTIONS"])
async def test_other_method_is_rejected_with_a_problem(service: InProcess, method: str) -> None:
    headers = [("Authorization", f"Bearer {service.key}")]
    response = await service.ask(AsgiRequest(method=method, path=PATH, headers=headers))

    assert (response.status, response.header("allow")) == (405, "POST")
    assert response.header("content-type") == "application/problem+json"


async def test_path_below_is_not_found(service: InProcess) -> None:
    response = await post(service, message("ping"), path="/mcp/")

    assert (response.status, response.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "origin", [ORIGIN, "http://localhost:6274", "http://127.0.0.1:8420", "http://[::1]:1"]
)
async def test_known_web_page_may_call(service: InProcess, origin: str) -> None:
    assert (await post(service, message("tools/list"), ("Origin", origin))).status == 200


@pytest.mark.parametrize(
    "origin",
    [
        *("http://evil.example", "http://localhost.evil.example", "null", "http://[", ""),
        *("http://quorate.test", "http://127.0.0.1.evil.example", f"{ORIGIN}.evil.example"),
    ],
)
async def test_other_web_page_may_not_call(service: InProcess, origin: str) -> None:
    """Also a page of this host's name: after DNS rebinding, every name points to this host."""
    response = await post(service, message("tools/list"), ("Origin", origin))

    assert rejected(response) == (403, "origin_forbidden")


async def test_page_of_a_named_origin_may_ask_first(service: InProcess) -> None:
    headers = [
        ("Origin", ORIGIN),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,mcp-protocol-version,mcp-method"),
    ]
    response = await service.ask(AsgiRequest(method="OPTIONS", path=PATH, headers=headers))

    assert response.status == 200
    assert response.header("access-control-allow-origin") == ORIGIN


# -- Counting ----------------------------------------------------------------


async def test_each_call_is_counted_once(service: InProcess) -> None:
    metrics = service.running.service.request_metrics
    operations = ("heartbeat", "acquireLease", "listConsensus", UNKNOWN_OPERATION)
    before = [Counter(count_outcomes(metrics, one)) for one in operations]

    await post(service, call_tool("register", agentName="ann"))
    await post(service, call_tool("heartbeat", agentName="ann"))
    await post(service, call_tool("acquire_lease", agentName="zoe", contactEmail="a@b.de"))
    await post(service, message("resources/read", uri="quorate://consensus"))
    await post(service, message("tools/list"))

    after = [Counter(count_outcomes(metrics, one)) for one in operations]
    counted = [dict(late - early) for late, early in zip(after, before, strict=True)]
    assert counted == [{"ok": 1}, {"agent_not_found": 1}, {"ok": 1}, {"ok": 1}]
