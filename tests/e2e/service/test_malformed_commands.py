"""Malformed commands over NATS get the same problem as over HTTP."""

import pytest

from tests.e2e.service.http_clients import COORDINATION, Tenant
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.service_process import Json

BODY_BYTES_MAX = 64 * 1024


@pytest.mark.parametrize(
    "content",
    [
        *(b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b"\xef\xbb\xbf{}", b"{} {}", b"[" * 60_000),
        *(b'{"agentId": "a", "agentId": "b"}', b'{"agentId": NaN}', b'{"agentId": 1e999}'),
        *(b'{"agentId": "\\u0000"}', b'{"agentId": "\\ud800"}', b'{"agentId": 5}'),
        b'{"agentId": ' + b"9" * 200 + b"}",
        b'{"agentName": "' + b"x" * BODY_BYTES_MAX + b'"}',
        b'{"agentName": "' + b"x" * 1_000_000 + b'"}',
    ],
    ids=lambda content: repr(content[:40]),
)
async def test_malformed_command_gets_the_same_problem_as_over_http(
    tenant: Tenant, content: bytes
) -> None:
    agent = await tenant.create_agent("ann")
    ann = await NatsAgent.of(agent)

    response = await ann.request("heartbeat", content=content, headers={"X-Request-Id": "r"})
    over_http = await agent.request(
        "POST", f"{COORDINATION}/heartbeat", content=content, headers={"X-Request-Id": "r"}
    )

    assert response.status == over_http.status_code
    assert 400 <= response.status < 500
    assert response.json() == over_http.json()


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        ("getLease", {}),
        ("getLease", {"leaseId": 5}),
        ("getLease", {"leaseId": ["x"]}),
        ("getLease", {"lease_id": "x"}),
        ("listLeases", {"limit": "5"}),
        ("listLeases", {"limit": True}),
        ("listLeases", {"limit": 1.5}),
        ("listLeases", {"limit": 10**30}),
        ("listNotifications", {"wait": "1"}),
        ("getAgent", {"agentId": None, "x": 1}),
    ],
)
async def test_fields_are_not_converted_from_text(
    tenant: Tenant, operation: str, fields: Json
) -> None:
    ann = await NatsAgent.of(await tenant.create_agent("ann"))

    assert await ann.request_rejected(operation, **fields) == "invalid_request"


async def test_empty_message_is_accepted(tenant: Tenant) -> None:
    ann = await NatsAgent.of(await tenant.create_agent("ann"))

    responses = [await ann.request("listLeases"), await ann.request("listLeases", {})]

    assert [response.json() for response in responses] == [[], []]
