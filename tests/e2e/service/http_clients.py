"""Speaking HTTP to a running service: as its operator, as a tenant, as one agent, as an auditor.

Every test makes tenants of its own, so tests that share a service never meet. All keys are issued
over HTTP, as an operator would; what a test hears over NATS it hears with the same keys.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, TypeAlias

from httpx2 import AsyncClient, Limits, Response

from quorate.domain.identity.api_keys import Principal, Role
from quorate.domain.shared.records import record
from tests.e2e.service.nats_listener import Listener
from tests.e2e.service.service_process import Json, Running

Names: TypeAlias = Mapping[str, str]

CONNECTIONS_MAX = 1_000
PATIENCE_SECONDS = 30.0
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
    """For all requests of one test; how many at once is the test's business."""
    return AsyncClient(
        base_url=url,
        verify=False,  # There is no TLS here, and loading certificates takes long.
        trust_env=False,
        timeout=PATIENCE_SECONDS,
        limits=Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
    )


@record
class IssuedKey:
    """A key as it was shown once."""

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


class Line:
    """Leads to a service, also when that was restarted and is somewhere else now."""

    def __init__(self, service: Running) -> None:
        self.service = service
        self.http = client(service.url)

    async def find_again(self) -> None:
        await self.http.aclose()
        self.http = client(self.service.url)


class Caller:
    """Makes requests with one key, or with none."""

    def __init__(self, line: Line, key: str | None) -> None:
        self.line = line
        self.key = key

    @property
    def http(self) -> AsyncClient:
        return self.line.http

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content: bytes | str | None = None,
        query: Names | None = None,
        headers: Names | None = None,
    ) -> Response:
        """Whatever comes back. ``content`` is sent as it is, and said to be JSON."""
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

    async def must(
        self, method: str, path: str, body: object = None, *, headers: Names | None = None
    ) -> Json:
        """The answer to a request that has to succeed."""
        return dict(success(await self.ask(method, path, body, headers=headers)))

    async def listed(self, path: str, **query: str) -> list[Json]:
        """What a list has to say."""
        return list(success(await self.ask("GET", path, query=query)))

    async def may_not(self, method: str, path: str, body: object = None) -> str:
        """The code with which a request is refused that has to be refused."""
        return str(refusal(await self.ask(method, path, body))["code"])

    # -- The verbs -----------------------------------------------------------

    async def register(self, name: str, **more: object) -> Json:
        body = {"agentName": name, **more}
        return await self.must("POST", f"{AGENT}/register", body)

    async def heartbeat(self, agent_id: str) -> Json:
        body = {"agentId": agent_id}
        return await self.must("POST", f"{COORDINATION}/heartbeat", body)

    async def acquire(self, agent_id: str, contact: str, **more: object) -> Response:
        body = {"agentId": agent_id, "contactEmail": contact, **more}
        return await self.ask("POST", LEASE, body)

    async def lease(self, agent_id: str, contact: str, **more: object) -> Json:
        return dict(success(await self.acquire(agent_id, contact, **more)))

    async def release(self, lease_id: str) -> Json:
        return await self.must("DELETE", f"{LEASE}/{lease_id}")

    async def leases(self, **query: str) -> list[Json]:
        return await self.listed(f"{COORDINATION}/leases", **query)

    async def request_send(self, agent_id: str, contact: str, **more: object) -> Json:
        body = {"agentId": agent_id, "contactEmail": contact, **more}
        return await self.must("POST", f"{AGENT}/request-send", body)

    async def propose(self, agent_id: str, **more: object) -> Json:
        body = {
            "requestingAgentId": agent_id,
            "action": "pause outreach",
            "contactEmail": "ceo@bigcorp.com",
            "reason": "Fatigue scores are high",
            **more,
        }
        return await self.must("POST", CONSENSUS, body)

    async def vote(self, request_id: str, agent_id: str, choice: str) -> Response:
        body = {"agentId": agent_id, "vote": choice}
        return await self.ask("POST", f"{CONSENSUS}/{request_id}/vote", body)

    async def consensus(self, request_id: str) -> Json:
        return await self.must("GET", f"{CONSENSUS}/{request_id}")

    async def agent(self, agent_id: str) -> Json:
        return await self.must("GET", f"{AGENT}/agents/{agent_id}")

    async def events(self, type_: str | None = None) -> list[Json]:
        """The whole log of the tenant, or all events of one type, oldest first."""
        found: list[Json] = []
        query = {"limit": str(PAGE_LENGTH), "after": "0"}
        if type_ is not None:
            query["type"] = type_
        while True:
            page = success(await self.ask("GET", EVENTS, query=query))
            found += page["events"]
            if page["next"] >= page["head"]:
                return found
            query["after"] = str(page["next"])

    async def head(self) -> int:
        """The sequence of the tenant's last event."""
        return int((await self.must("GET", f"{EVENTS}?limit=1"))["head"])


class KeyHolder(Caller):
    """A caller whose key is known by more than its text."""

    def __init__(self, operator: "Operator", issued: IssuedKey) -> None:
        super().__init__(operator.line, issued.text)
        self.operator = operator
        self.issued = issued
        self.text = issued.text

    async def listen(self, *subjects: str, comes_back: bool = False) -> Listener:
        """Connected to NATS with this key, and subscribed."""
        return await self.operator.listen(self.issued, *subjects, comes_back=comes_back)


class Agent(KeyHolder):
    """One agent, registered, with a key of its own."""

    @property
    def id(self) -> str:
        assert self.issued.agent_id is not None
        return self.issued.agent_id

    @property
    def name(self) -> str:
        assert self.issued.agent_name is not None
        return self.issued.agent_name

    async def hear_all(self) -> Listener:
        """Listening to everything an agent may hear."""
        tenant = self.issued.tenant
        own, everyone = f"quorate.{tenant}.agent.{self.id}.>", f"quorate.{tenant}.all.>"
        return await self.listen(own, everyone)


class Tenant(KeyHolder):
    """A tenant, speaking with the key that may act for any of its agents."""

    @property
    def id(self) -> str:
        return self.issued.tenant

    async def issue(self, role: Role, agent_name: str | None = None) -> IssuedKey:
        return await self.operator.issue(self.id, role, agent_name)

    async def agent_of(self, name: str) -> Agent:
        """A registered agent with its own key."""
        agent = Agent(self.operator, await self.issue("agent", name))
        await agent.register(name)
        return agent

    async def agents_of(self, *names: str) -> list[Agent]:
        return [await self.agent_of(name) for name in names]

    async def auditor(self) -> KeyHolder:
        return KeyHolder(self.operator, await self.issue("auditor"))


class Operator(Caller):
    """Holds the admin key, and everything that has to be closed after a test."""

    def __init__(self, service: Running) -> None:
        super().__init__(Line(service), service.admin_key)
        self.service = service
        self._stack = AsyncExitStack()

    async def restart(self) -> None:
        self.service.restart()
        await self.line.find_again()

    async def close(self) -> None:
        await self._stack.aclose()
        await self.http.aclose()

    async def tenant(self, tenant_id: str | None = None) -> Tenant:
        """A new tenant, under a name that nobody had before unless one is given."""
        tenant_id = tenant_id or f"tenant-{next(_NUMBERS)}"
        await self.must("POST", "/v1/tenants", {"tenantId": tenant_id})
        return Tenant(self, await self.issue(tenant_id, "tenant"))

    async def issue(self, tenant: str, role: Role, agent_name: str | None = None) -> IssuedKey:
        body = {"tenantId": tenant, "role": role}
        if agent_name is not None:
            body["agentName"] = agent_name
        answer = await self.must("POST", KEYS, body)
        return IssuedKey(
            id=answer["id"],
            text=answer["key"],
            role=role,
            tenant=tenant,
            agent_id=answer["agentId"],
            agent_name=answer["agentName"],
        )

    async def revoke(self, issued: IssuedKey) -> None:
        await self.must("DELETE", f"{KEYS}/{issued.id}")

    async def listen(self, issued: IssuedKey, *subjects: str, comes_back: bool = False) -> Listener:
        listener = await Listener.connected(
            self.service.nats_url, issued.text, issued.principal, comes_back=comes_back
        )
        self._stack.push_async_callback(listener.close)
        await listener.hear(*subjects)
        return listener


@asynccontextmanager
async def speaking_to(service: Running) -> AsyncIterator[Operator]:
    operator = Operator(service)
    try:
        yield operator
    finally:
        await operator.close()


def success(response: Response) -> Any:  # noqa: ANN401 - whatever JSON can say.
    assert response.status_code == 200, response.text
    return response.json()


def refusal(response: Response) -> Json:
    """A problem that says all that every problem says, and nothing about our insides."""
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: Json = response.json()
    assert {"type", "title", "status", "detail", "code", "requestId"} <= problem.keys()
    assert problem["status"] == response.status_code
    assert problem["requestId"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    return problem


def types(events: Sequence[Json]) -> list[str]:
    return [event["type"] for event in events]


@asynccontextmanager
async def alive(*agents: Agent) -> AsyncIterator[None]:
    """These agents heartbeat as long as this lasts."""

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
