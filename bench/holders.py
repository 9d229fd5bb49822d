"""Agents with keys of their own, as they connect to NATS."""

import asyncio

import httpx2

from quorate.bench.processes import Running
from quorate.domain.identity.api_keys import Principal
from quorate.domain.shared.records import record

ISSUED_AT_ONCE = 32
CALL_SECONDS_MAX = 30


@record
class KeyHolder:
    key: str
    principal: Principal

    @property
    def agent_id(self) -> str:
        assert self.principal.agent_id is not None
        return self.principal.agent_id


def client(service: Running, key: str | None = None) -> httpx2.AsyncClient:
    """Speaks for the tenant, unless another key is given."""
    headers = {"Authorization": f"Bearer {key or service.key}"}
    return httpx2.AsyncClient(base_url=service.url, headers=headers, timeout=CALL_SECONDS_MAX)


async def key_holders(service: Running, count: int, prefix: str = "holder") -> list[KeyHolder]:
    """So many agents, registered, each with its key."""
    async with client(service) as http:
        gate = asyncio.Semaphore(ISSUED_AT_ONCE)

        async def one(number: int) -> KeyHolder:
            name = f"{prefix}-{number}"
            async with gate:
                issued = await http.post("/v1/keys", json={"role": "agent", "agentName": name})
                issued.raise_for_status()
                registered = await http.post("/v1/agent/register", json={"agentName": name})
                registered.raise_for_status()
            found = issued.json()
            principal = Principal(
                key_id=found["id"],
                role="agent",
                tenant=found["tenantId"],
                agent_id=found["agentId"],
                agent_name=name,
            )
            return KeyHolder(key=found["key"], principal=principal)

        return list(await asyncio.gather(*(one(number) for number in range(count))))
