"""Registered agents with agent keys, and an HTTP client for the benchmarks."""

import asyncio

import httpx2

from quorate.bench.processes import BenchService
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.records import record

CONCURRENCY = 32
TIMEOUT_SECONDS = 30


@record
class KeyHolder:
    key: str
    principal: Principal

    @property
    def agent_id(self) -> str:
        assert self.principal.agent_id is not None
        return self.principal.agent_id


def client(service: BenchService, key: str | None = None) -> httpx2.AsyncClient:
    """Return an HTTP client; its default key is the tenant key."""
    headers = {"Authorization": f"Bearer {key or service.key}"}
    return httpx2.AsyncClient(base_url=service.url, headers=headers, timeout=TIMEOUT_SECONDS)


async def key_holders(service: BenchService, count: int, prefix: str = "holder") -> list[KeyHolder]:
    """Register ``count`` agents, each with its own key."""
    async with client(service) as http:
        limit = asyncio.Semaphore(CONCURRENCY)

        async def create(number: int) -> KeyHolder:
            name = f"{prefix}-{number}"
            async with limit:
                issued = await http.post("/v1/keys", json={"role": "agent", "agentName": name})
                issued.raise_for_status()
                registered = await http.post("/v1/agent/register", json={"agentName": name})
                registered.raise_for_status()
            key = issued.json()
            principal = Principal(
                key_id=key["id"],
                role="agent",
                tenant=key["tenantId"],
                agent_id=key["agentId"],
                agent_name=name,
            )
            return KeyHolder(key=key["key"], principal=principal)

        return list(await asyncio.gather(*(create(number) for number in range(count))))
