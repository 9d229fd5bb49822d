"""Agents use the service through MCP, with the official client, over every transport."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from quorate.mcp_server.tools import COORDINATION_TOOLS, WAIT_SECONDS_MAX
from tests.e2e.service.http_clients import Agent, Operator, Tenant, connect_operator
from tests.e2e.service.mcp_clients import (
    TRANSPORTS,
    Transport,
    call_ok,
    call_rejected,
    connect_http,
)
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.raw_socket import post, send_and_disconnect
from tests.e2e.service.service_process import ServiceProcess, run_service

Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Client]]

CLIENTS = 100
CLIENTS_SECONDS_MAX = 120.0
CONTACT = "kim@example.com"
OVER_HTTP = TRANSPORTS[:2]
PROPOSAL = {"action": "pause", "contactEmail": CONTACT, "reason": "Too many mails"}
BAD_CALLS: tuple[tuple[str, dict[str, object], str], ...] = (
    ("acquire_lease", {"contactEmail": 5}, "invalid_request"),
    ("acquire_lease", {"contactEmail": "nobody"}, "contact_email_invalid"),
    ("acquire_lease", {"contactEmail": CONTACT, "agentName": "bob"}, "acting_as_another"),
    ("renew_lease", {"leaseId": "unknown"}, "lease_not_found"),
    ("get_consensus", {"consensusId": "-"}, "consensus_not_found"),
    ("mail_thread", {"thread_id": "unknown"}, "thread_not_found"),
    ("wait_for_notifications", {"after": 10**9}, "log_mismatch"),
    ("wait_for_notifications", {"timeout_seconds": 26}, "invalid_request"),
)


def named(transport: Transport) -> str:
    return transport.name


@pytest.fixture(params=TRANSPORTS, ids=named)
async def transport(request: pytest.FixtureRequest) -> Transport:
    found: Transport = request.param
    return found


@pytest.fixture
async def ann(tenant: Tenant) -> Agent:
    return await tenant.create_agent("ann")


@pytest.fixture
def connect(transport: Transport, service: ServiceProcess, ann: Agent) -> Connect:
    """Connect in the test itself: the client ends in the task in which it began."""
    return lambda: transport.connect(service, ann.text)


async def subscriptions(operator: Operator) -> float:
    """Return the number of open streams and long polls."""
    page = (await operator.request("GET", "/metrics")).text
    lines = (line for line in page.splitlines() if line.startswith("quorate_open_streams "))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


# -- Tools -------------------------------------------------------------------


async def test_every_tool_works_and_rejects_bad_arguments(connect: Connect, tenant: Tenant) -> None:
    async with connect() as client:
        bob = await tenant.create_agent("bob")
        used: set[str] = set()

        async def use(tool: str, **arguments: object) -> dict[str, object]:
            used.add(tool)
            return await call_ok(client, tool, **arguments)

        agent = await use("register", agentName="ann")
        assert (await use("heartbeat"))["agentId"] == agent["id"]
        lease = await use("acquire_lease", contactEmail=CONTACT, durationMinutes=5)
        renewed = await use("renew_lease", leaseId=lease["id"], durationMinutes=10)
        assert str(renewed["expiresAt"]) > str(lease["expiresAt"])
        assert (await use("list_leases"))["items"] == [renewed]
        gate = await use("request_send", contactEmail=CONTACT, fence=lease["fence"])
        assert gate["status"] == "authorized"
        proposal = await use(
            "propose", action="pause", contactEmail=CONTACT, reason="Too many mails"
        )
        asked = await bob.propose(bob.id)
        assert (await use("vote", consensusId=asked["id"], vote="approve"))["vote"] == "approve"
        assert (await use("get_consensus", consensusId=proposal["id"]))["id"] == proposal["id"]
        address = str((await use("mail_account"))["email_address"])
        sent = await use("mail_send", to=[address], subject="Note", body_text="Hello")
        inbox = await use("mail_inbox")
        assert inbox["total"] == 1
        thread = await use("mail_thread", thread_id=sent["thread_id"])
        assert thread["thread_id"] == sent["thread_id"]
        page = await use("wait_for_notifications", after=0)
        assert page["notifications"]
        assert (await use("release_lease", leaseId=lease["id"]))["released"] is True

        assert used == {tool.name for tool in COORDINATION_TOOLS}
        for tool in COORDINATION_TOOLS:
            assert await call_rejected(client, tool.name, unknown=1) == "invalid_request"
        for name, arguments, code in BAD_CALLS:
            assert await call_rejected(client, name, **arguments) == code
        with pytest.raises(MCPError, match="Unknown tool: 'unknown'"):
            await client.call_tool("unknown", {})


@pytest.mark.parametrize("transport", TRANSPORTS[:1], ids=named, indirect=True)
async def test_conflict_says_what_to_do_next(connect: Connect, tenant: Tenant) -> None:
    async with connect() as client:
        bob = await tenant.create_agent("bob")
        await bob.lease(bob.id, CONTACT)

        result = await client.call_tool("acquire_lease", {"contactEmail": CONTACT})

        assert result.is_error
        assert result.structured_content is not None
        assert result.structured_content["leaseHolder"]["agentName"] == "bob"
        assert "lease_available" in result.content[0].text  # type: ignore[union-attr]


@pytest.mark.parametrize("transport", TRANSPORTS[1:], ids=named, indirect=True)
async def test_idempotency_key_carries_an_action_out_once(connect: Connect, ann: Agent) -> None:
    async with connect() as client:
        first = await call_ok(client, "propose", **PROPOSAL, idempotency_key="once")
        again = await call_ok(client, "propose", **PROPOSAL, idempotency_key="once")
        other = {**PROPOSAL, "reason": "Another"}

        assert again["id"] == first["id"]
        assert await call_rejected(client, "propose", **other, idempotency_key="once") == (
            "idempotency_key_reused"
        )
        assert len(await ann.request_list("/v1/agent/coordination/consensus")) == 1


@pytest.mark.parametrize("transport", [TRANSPORTS[1]], ids=named, indirect=True)
async def test_resources_and_the_prompt(connect: Connect, ann: Agent) -> None:
    async with connect() as client:
        lease = await ann.lease(ann.id, CONTACT)
        uris = {str(one.uri) for one in (await client.list_resources()).resources}
        templates = (await client.list_resource_templates()).resource_templates
        prompts = await client.list_prompts()
        prompt = await client.get_prompt("coordinate", {"agent_name": "ann"})

        for uri in (*uris, f"quorate://leases/{CONTACT}"):
            (content,) = (await client.read_resource(uri)).contents
            if "leases" in uri:
                assert lease["id"] in content.text  # type: ignore[union-attr]
        assert "quorate://consensus/{consensusId}" in {one.uri_template for one in templates}
        assert [one.name for one in prompts.prompts] == ["coordinate"]
        assert '"ann"' in prompt.messages[0].content.text  # type: ignore[union-attr]
        with pytest.raises(MCPError, match="consensus_not_found: "):
            await client.read_resource("quorate://consensus/unknown")
        with pytest.raises(MCPError, match="Unknown resource"):
            await client.read_resource("quorate://unknown")


# -- Waiting -----------------------------------------------------------------


async def test_wait_ends_early_with_a_notification(
    connect: Connect, tenant: Tenant, operator: Operator
) -> None:
    async with connect() as client:
        head = await tenant.head()
        waiting = asyncio.create_task(call_ok(client, "wait_for_notifications", after=head))
        await wait_until_waiting(operator)
        began = time.monotonic()

        bob = await tenant.create_agent("bob")
        page = await waiting

        assert time.monotonic() - began < WAIT_SECONDS_MAX / 2
        assert [one["data"]["agentId"] for one in page["notifications"]] == [bob.id]
        assert page["next"] > head


@pytest.mark.parametrize("transport", TRANSPORTS[:1], ids=named, indirect=True)
async def test_wait_ends_with_its_timeout(connect: Connect, tenant: Tenant) -> None:
    async with connect() as client:
        head = await tenant.head()

        page = await call_ok(client, "wait_for_notifications", after=head, timeout_seconds=0.1)

        assert (page["notifications"], page["next"]) == ([], head)


async def wait_until_waiting(operator: Operator, count: int = 1) -> None:
    async def has_count() -> bool:
        return await subscriptions(operator) == count

    await wait_until(has_count)


@pytest.mark.parametrize("transport", [TRANSPORTS[0], TRANSPORTS[2]], ids=named, indirect=True)
async def test_cancelled_wait_ends_in_the_service(
    connect: Connect, tenant: Tenant, operator: Operator
) -> None:
    async with connect() as client:
        head = await tenant.head()
        waiting = asyncio.create_task(call_ok(client, "wait_for_notifications", after=head))
        await wait_until_waiting(operator)
        began = time.monotonic()

        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        await wait_until_waiting(operator, 0)
        assert time.monotonic() - began < WAIT_SECONDS_MAX / 2
        assert (await call_ok(client, "list_leases"))["items"] == []


async def test_wait_of_a_client_that_leaves_ends(
    service: ServiceProcess, ann: Agent, tenant: Tenant, operator: Operator
) -> None:
    async with connect_http(service, ann.text, mode="legacy") as client:
        head = await tenant.head()
        waiting = asyncio.create_task(call_ok(client, "wait_for_notifications", after=head))
        await wait_until_waiting(operator)
        waiting.cancel()

    await wait_until_waiting(operator, 0)


async def test_stop_of_the_service_answers_a_wait(tmp_path: Path) -> None:
    with run_service(tmp_path / "data") as service:  # Its end asserts that it stops in time.
        async with connect_operator(service) as operator:
            tenant = await operator.create_tenant()
            ann = await tenant.create_agent("ann")
            head = await tenant.head()
            async with connect_http(service, ann.text) as client:
                await client.list_tools()  # Else the client reads the schemas after the result.
                waiting = asyncio.create_task(call_ok(client, "wait_for_notifications", after=head))
                await wait_until_waiting(operator)

                await asyncio.to_thread(service.stop)

                assert (await waiting)["next"] == head


# -- Keys and connections ----------------------------------------------------


@pytest.mark.parametrize("transport", OVER_HTTP, ids=named)
async def test_wrong_key_cannot_connect(service: ServiceProcess, transport: Transport) -> None:
    expected = pytest.RaisesExc(MCPError, match="^unauthorized: ")

    with pytest.RaisesGroup(expected, flatten_subgroups=True):
        async with transport.connect(service, "wrong"):
            pass


@pytest.mark.parametrize("transport", OVER_HTTP, ids=named, indirect=True)
async def test_revoked_key_fails_with_the_next_call(
    connect: Connect, operator: Operator, ann: Agent
) -> None:
    async with connect() as client:
        await call_ok(client, "heartbeat")
        await operator.revoke(ann.issued)

        async def is_rejected() -> bool:
            try:
                return (await client.call_tool("heartbeat", {})).is_error
            except MCPError as error:
                return error.message.startswith("unauthorized: ")

        await wait_until(is_rejected)


async def test_command_of_a_lost_connection_is_carried_out(
    service: ServiceProcess, ann: Agent
) -> None:
    message = (
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": '
        b'{"name": "acquire_lease", "arguments": {"contactEmail": "lost@example.com"}}}'
    )
    request = post("/mcp", ann.text, message).replace(
        b"Connection: close", b"Accept: application/json, text/event-stream"
    )

    await send_and_disconnect(service, request)

    async def is_held() -> bool:
        return [one["contactEmail"] for one in await ann.leases()] == ["lost@example.com"]

    await wait_until(is_held)


async def test_hundred_clients_at_once(service: ServiceProcess, tenant: Tenant) -> None:
    async def work(number: int) -> bool:
        async with connect_http(service, tenant.text) as client:
            name = f"agent-{number}"
            await call_ok(client, "register", agentName=name)
            own = await call_ok(
                client, "acquire_lease", agentName=name, contactEmail=f"{number}@example.com"
            )
            contended = await client.call_tool(
                "acquire_lease", {"agentName": name, "contactEmail": CONTACT}
            )
            await call_ok(client, "release_lease", leaseId=own["id"])
            return not contended.is_error

    async with connect_http(service, tenant.text) as first:
        await first.list_tools()  # The service loads the SDK.
    began = time.monotonic()
    won = await asyncio.gather(*(work(number) for number in range(CLIENTS)))

    assert won.count(True) == 1
    assert time.monotonic() - began < CLIENTS_SECONDS_MAX
