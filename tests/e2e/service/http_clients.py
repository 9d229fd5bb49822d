"""HTTP clients of a running service: operator, tenant, agent and auditor.

Every test creates its own tenants, so tests can share a service. All keys are issued over HTTP, and
the same keys are used for NATS.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, TypeAlias

from httpx2 import AsyncClient, Limits, Response

from quorate.domain.identity.principals import Principal, Role
from quorate.domain.shared.records import record
from tests.e2e.service.nats_listener import Listener
from tests.e2e.service.service_process import Json, ServiceProcess

Names: TypeAlias = Mapping[str, str]

CONNECTIONS_MAX = 1_000
TIMEOUT_SECONDS = 30.0
PAGE_LENGTH = 1_000
HEARTBEAT_SECONDS = 0.3
AGENT = "/v1/agent"
COORDINATION = "/v1/agent/coordination"
LEASE = f"{COORDINATION}/lease"
CONSENSUS = f"{COORDINATION}/consensus"
EVENTS = "/v1/events"
KEYS = "/v1/keys"
_NUMBERS = itertools.count(1)


def client(url: str) -> AsyncClient:
    """Create the HTTP client for the requests of one test; it permits many connections."""
    return AsyncClient(
        base_url=url,
        verify=False,  # The service has no TLS, and loading certificates is slow.
        trust_env=False,
        timeout=TIMEOUT_SECONDS,
        limits=Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
    )


@record
class IssuedKey:
    """An API key as returned when it was issued."""

    id: str
    text: str
    role: Role
    tenant: str
    agent_id: str | None
    agent_name: str | None

    @property
    def principal(self) -> Principal:
        return Principal(
            key_id=self.id,
            role=self.role,
            tenant=self.tenant,
            agent_id=self.agent_id,
            agent_name=self.agent_name,
        )


class ServiceConnection:
    """The HTTP connection to a service; ``reconnect`` follows the new address after a restart."""

    def __init__(self, service: ServiceProcess) -> None:
        self.service = service
        self.http = client(service.url)

    async def reconnect(self) -> None:
        await self.http.aclose()
        self.http = client(self.service.url)


class Caller:
    """Sends requests with one key or without a key."""

    def __init__(self, connection: ServiceConnection, key: str | None) -> None:
        self.connection = connection
        self.key = key

    @property
    def http(self) -> AsyncClient:
        return self.connection.http

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content: bytes | str | None = None,
        query: Names | None = None,
        headers: Names | None = None,
    ) -> Response:
        """Send a request and return any response. ``content`` is sent unchanged as JSON."""
        sent = dict(headers or {})
        if self.key is not None:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
            return await self.http.request(
                method, path, content=content, params=query, headers=sent
            )
        if body is not None:
            return await self.http.request(method, path, json=body, params=query, headers=sent)
        return await self.http.request(method, path, params=query, headers=sent)

    async def request_ok(
        self, method: str, path: str, body: object = None, *, headers: Names | None = None
    ) -> Json:
        """Send a request that must succeed, and return the response body."""
        return dict(success(await self.request(method, path, body, headers=headers)))

    async def request_list(self, path: str, **query: str) -> list[Json]:
        """Return the items of a list."""
        return list(success(await self.request("GET", path, query=query)))

    async def request_rejected(self, method: str, path: str, body: object = None) -> str:
        """Send a request that must be rejected, and return the problem code."""
        return str(rejection(await self.request(method, path, body))["code"])

    # -- Operations ----------------------------------------------------------

    async def register(self, name: str, **more: object) -> Json:
        body = {"agentName": name, **more}
        return await self.request_ok("POST", f"{AGENT}/register", body)

    async def heartbeat(self, agent_id: str) -> Json:
        body = {"agentId": agent_id}
        return await self.request_ok("POST", f"{COORDINATION}/heartbeat", body)

    async def acquire(self, agent_id: str, contact: str, **more: object) -> Response:
        body = {"agentId": agent_id, "contactEmail": contact, **more}
        return await self.request("POST", LEASE, body)

    async def lease(self, agent_id: str, contact: str, **more: object) -> Json:
        return dict(success(await self.acquire(agent_id, contact, **more)))

    async def release(self, lease_id: str) -> Json:
        return await self.request_ok("DELETE", f"{LEASE}/{lease_id}")

    async def leases(self, **query: str) -> list[Json]:
        return await self.request_list(f"{COORDINATION}/leases", **query)

    async def request_send(self, agent_id: str, contact: str, **more: object) -> Json:
        body = {"agentId": agent_id, "contactEmail": contact, **more}
        return await self.request_ok("POST", f"{AGENT}/request-send", body)

    async def propose(self, agent_id: str, **more: object) -> Json:
        body = {
            "requestingAgentId": agent_id,
            "action": "pause outreach",
            "contactEmail": "ceo@bigcorp.com",
            "reason": "Fatigue scores are high",
            **more,
        }
        return await self.request_ok("POST", CONSENSUS, body)

    async def vote(self, request_id: str, agent_id: str, choice: str) -> Response:
        body = {"agentId": agent_id, "vote": choice}
        return await self.request("POST", f"{CONSENSUS}/{request_id}/vote", body)

    async def consensus(self, request_id: str) -> Json:
        return await self.request_ok("GET", f"{CONSENSUS}/{request_id}")

    async def agent(self, agent_id: str) -> Json:
        return await self.request_ok("GET", f"{AGENT}/agents/{agent_id}")

    async def events(self, type_: str | None = None) -> list[Json]:
        """Return the tenant's complete log, or all events of one type, oldest first."""
        found: list[Json] = []
        query = {"limit": str(PAGE_LENGTH), "after": "0"}
        if type_ is not None:
            query["type"] = type_
        while True:
            page = success(await self.request("GET", EVENTS, query=query))
            found += page["events"]
            if page["next"] >= page["head"]:
                return found
            query["after"] = str(page["next"])

    async def head(self) -> int:
        """Return the sequence of the tenant's last event."""
        return int((await self.request_ok("GET", f"{EVENTS}?limit=1"))["head"])


class KeyHolder(Caller):
    """A caller with an issued key."""

    def __init__(self, operator: "Operator", issued: IssuedKey) -> None:
        super().__init__(operator.connection, issued.text)
        self.operator = operator
        self.issued = issued
        self.text = issued.text

    async def listen(self, *subjects: str, reconnects: bool = False) -> Listener:
        """Connect to NATS with this key, and subscribe."""
        return await self.operator.listen(self.issued, *subjects, reconnects=reconnects)


class Agent(KeyHolder):
    """A registered agent with its own key."""

    @property
    def id(self) -> str:
        assert self.issued.agent_id is not None
        return self.issued.agent_id

    @property
    def name(self) -> str:
        assert self.issued.agent_name is not None
        return self.issued.agent_name

    async def subscribe_to_all(self) -> Listener:
        """Connect to NATS and subscribe to all subjects that an agent may read."""
        tenant = self.issued.tenant
        own, everyone = f"quorate.{tenant}.agent.{self.id}.>", f"quorate.{tenant}.all.>"
        return await self.listen(own, everyone)


class Tenant(KeyHolder):
    """A tenant with its tenant key, which may act for any of its agents."""

    @property
    def id(self) -> str:
        return self.issued.tenant

    async def issue(self, role: Role, agent_name: str | None = None) -> IssuedKey:
        return await self.operator.issue(self.id, role, agent_name)

    async def create_agent(self, name: str) -> Agent:
        """Create a registered agent with its own key."""
        agent = Agent(self.operator, await self.issue("agent", name))
        await agent.register(name)
        return agent

    async def create_agents(self, *names: str) -> list[Agent]:
        return [await self.create_agent(name) for name in names]

    async def create_auditor(self) -> KeyHolder:
        return KeyHolder(self.operator, await self.issue("auditor"))

    async def create_mail_server(self) -> KeyHolder:
        return KeyHolder(self.operator, await self.issue("mail"))


class Operator(Caller):
    """Holds the admin key and closes all connections after a test."""

    def __init__(self, service: ServiceProcess) -> None:
        super().__init__(ServiceConnection(service), service.admin_key)
        self.service = service
        self._stack = AsyncExitStack()

    async def restart(self) -> None:
        self.service.restart()
        await self.connection.reconnect()

    async def close(self) -> None:
        await self._stack.aclose()
        await self.http.aclose()

    async def create_tenant(self, tenant_id: str | None = None) -> Tenant:
        """Create a tenant, with a unique id by default."""
        tenant_id = tenant_id or f"tenant-{next(_NUMBERS)}"
        await self.request_ok("POST", "/v1/tenants", {"tenantId": tenant_id})
        return Tenant(self, await self.issue(tenant_id, "tenant"))

    async def issue(self, tenant: str, role: Role, agent_name: str | None = None) -> IssuedKey:
        body = {"tenantId": tenant, "role": role}
        if agent_name is not None:
            body["agentName"] = agent_name
        response = await self.request_ok("POST", KEYS, body)
        return IssuedKey(
            id=response["id"],
            text=response["key"],
            role=role,
            tenant=tenant,
            agent_id=response["agentId"],
            agent_name=response["agentName"],
        )

    async def revoke(self, issued: IssuedKey) -> None:
        await self.request_ok("DELETE", f"{KEYS}/{issued.id}")

    async def listen(self, issued: IssuedKey, *subjects: str, reconnects: bool = False) -> Listener:
        listener = await Listener.connected(
            self.service.nats_url, issued.text, issued.principal, reconnects=reconnects
        )
        self._stack.push_async_callback(listener.close)
        await listener.subscribe(*subjects)
        return listener


@asynccontextmanager
async def connect_operator(service: ServiceProcess) -> AsyncIterator[Operator]:
    operator = Operator(service)
    try:
        yield operator
    finally:
        await operator.close()


def success(response: Response) -> Any:  # noqa: ANN401 - any JSON value.
    assert response.status_code == 200, response.text
    return response.json()


def rejection(response: Response) -> Json:
    """Return the problem of a 4xx response; assert that it is complete and reveals no internals."""
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: Json = response.json()
    assert {"type", "title", "status", "detail", "code", "requestId"} <= problem.keys()
    assert problem["status"] == response.status_code
    assert problem["requestId"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    return problem


def event_types(events: Sequence[Json]) -> list[str]:
    return [event["type"] for event in events]


@asynccontextmanager
async def keep_active(*agents: Agent) -> AsyncIterator[None]:
    """Send heartbeats for these agents while the context is open."""

    async def heartbeats() -> None:
        while True:
            for agent in agents:
                await agent.heartbeat(agent.id)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    for agent in agents:
        await agent.heartbeat(agent.id)
    beating = asyncio.create_task(heartbeats())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
