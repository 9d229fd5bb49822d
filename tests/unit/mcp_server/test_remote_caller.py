"""The caller of `quorate mcp` makes the same requests as the SDK, and reports every failure."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx2
import orjson
import pytest

from quorate.cli.mcp.remote_caller import RemoteCaller
from quorate.client.async_client import AsyncClient
from quorate.contracts.problems import problem_body
from quorate.mcp_server.advice import describe
from quorate.mcp_server.callers import Failure, Success
from quorate.mcp_server.tools import PROFILES, Tool

URL = "http://quorate.test"
LEASE = "/v1/agent/coordination/lease"


def tool(name: str) -> Tool:
    found = PROFILES["coordination"].find(name)
    assert found is not None
    return found


class Service:
    """Records requests, and answers them."""

    def __init__(self, answer: Callable[[httpx2.Request], httpx2.Response]) -> None:
        self.requests: list[httpx2.Request] = []
        self._answer = answer
        self.received = asyncio.Event()
        self.released = asyncio.Event()
        self.released.set()

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        self.received.set()
        await self.released.wait()
        return self._answer(request)

    @asynccontextmanager
    async def caller(self, agent: str | None = None) -> AsyncIterator[RemoteCaller]:
        transport = httpx2.MockTransport(self.handle)
        async with AsyncClient(URL, "qk_test", transport=transport) as client:
            yield RemoteCaller(client, agent, timeout_seconds=0.2)


def done(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json={"released": True})


def fail(_request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("refused")


async def test_arguments_become_the_request_of_the_operation() -> None:
    service = Service(done)
    async with service.caller() as caller:
        await caller.call(tool("release_lease"), {"leaseId": "a/b", "idempotency_key": "once"})
        await caller.call(tool("mail_inbox"), {"agent_name": "ann", "limit": 5})
        await caller.call(tool("propose"), {"action": "a", "contactEmail": "c@d.de", "reason": "r"})
    release, inbox, propose = service.requests

    assert (release.method, release.url.raw_path.decode()) == ("DELETE", f"{LEASE}/a%2Fb")
    assert release.headers["idempotency-key"] == "once"
    assert inbox.url.params["limit"] == "5"
    assert "idempotency-key" not in inbox.headers
    assert orjson.loads(propose.content)["reason"] == "r"


@pytest.mark.parametrize("agent", ["ann", "agent_01a22973-bb97-7728-94eb-68f873571ff7"])
async def test_configured_agent_acts_in_calls_that_name_none(agent: str) -> None:
    service = Service(done)
    contact = {"contactEmail": "c@d.de"}
    async with service.caller(agent) as caller:
        await caller.call(tool("acquire_lease"), contact)
        await caller.call(tool("acquire_lease"), {**contact, "agentName": "bob"})
        await caller.call(tool("propose"), {**contact, "action": "a", "reason": "r"})
        await caller.call(tool("mail_inbox"), {})
        await caller.call(tool("list_leases"), {})
    own, other, propose, inbox, listed = service.requests

    assert agent in orjson.loads(own.content).values()
    assert agent not in orjson.loads(other.content).values()
    assert agent in orjson.loads(propose.content).values()
    assert agent in dict(inbox.url.params).values()
    assert not listed.url.params  # Here the agent is a filter.


async def test_rejection_keeps_the_problem_of_the_service() -> None:
    problem = problem_body("lease_conflict", "Held.", {"willNotify": True}, "1")
    service = Service(lambda _: httpx2.Response(409, content=problem))
    async with service.caller() as caller:
        result = await caller.call(tool("acquire_lease"), {"contactEmail": "c@d.de"})

    assert result == Failure(problem=orjson.loads(problem))


async def test_invalid_arguments_are_rejected_without_a_request() -> None:
    service = Service(done)
    async with service.caller() as caller:
        for arguments in ({"leaseId": 5}, {}, {"leaseId": ""}, {"leaseId": "x" * 65}):
            result = await caller.call(tool("release_lease"), arguments)
            assert isinstance(result, Failure)
            assert result.problem["code"] == "invalid_request"

    assert service.requests == []


async def test_service_that_does_not_answer_is_unavailable() -> None:
    service = Service(fail)
    async with service.caller() as caller:
        result = await caller.call(tool("heartbeat"), {})

    assert isinstance(result, Failure)
    assert result.problem["code"] == "unavailable"
    assert "same idempotency_key" in describe(result.problem)
    assert len({one.headers["idempotency-key"] for one in service.requests}) == 1


async def test_cancelled_command_is_completed_before_the_end() -> None:
    service = Service(done)
    service.released.clear()
    async with service.caller() as caller:
        calling = asyncio.create_task(caller.call(tool("release_lease"), {"leaseId": "a"}))
        await service.received.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        service.released.set()
        await caller.end_commands()
        again = await caller.call(tool("release_lease"), {"leaseId": "a"})

    assert again == Success(body=b'{"released":true}')
    assert len(service.requests) == 2


async def test_cancelled_read_ends_its_request() -> None:
    service = Service(done)
    service.released.clear()
    async with service.caller() as caller:
        calling = asyncio.create_task(caller.call(tool("wait_for_notifications"), {}))
        await service.received.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await caller.end_commands()  # There are none.
