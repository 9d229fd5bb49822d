"""What cannot be read as a command is refused as over HTTP, and disturbs nobody."""

import pytest

from tests.e2e.service.http_clients import COORDINATION, Tenant
from tests.e2e.service.nats_agent import Asking
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
async def test_what_cannot_be_read_is_the_same_problem_as_over_http(
    tenant: Tenant, content: bytes
) -> None:
    agent = await tenant.agent_of("ann")
    ann = await Asking.of(agent)

    heard = await ann.ask("heartbeat", content=content, headers={"X-Request-Id": "r"})
    over_http = await agent.ask(
        "POST", f"{COORDINATION}/heartbeat", content=content, headers={"X-Request-Id": "r"}
    )

    assert heard.status == over_http.status_code
    assert 400 <= heard.status < 500
    assert heard.json() == over_http.json()


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
async def test_fields_are_what_they_are_and_not_text(
    tenant: Tenant, operation: str, fields: Json
) -> None:
    ann = await Asking.of(await tenant.agent_of("ann"))

    assert await ann.may_not(operation, **fields) == "invalid_request"


async def test_a_bare_request_needs_no_message_at_all(tenant: Tenant) -> None:
    ann = await Asking.of(await tenant.agent_of("ann"))

    answers = [await ann.ask("listLeases"), await ann.ask("listLeases", {})]

    assert [answer.json() for answer in answers] == [[], []]
