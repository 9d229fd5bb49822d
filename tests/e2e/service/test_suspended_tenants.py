"""A suspended tenant is disconnected from NATS and its streams end; other tenants go on."""

import asyncio

import pytest
from nats.errors import Error as NatsError

from tests.e2e.service.http_clients import Operator, Tenant
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.nats_listener import wait_until


async def test_suspension_ends_connections_and_resumption_allows_them_again(
    operator: Operator, tenant: Tenant
) -> None:
    ann, other = await tenant.create_agent("ann"), await operator.create_tenant()
    bob = await NatsAgent.of(await other.create_agent("bob"))
    connected = await ann.listen()
    stays = bob.listener

    await operator.request_ok("POST", f"/v1/tenants/{tenant.id}/suspend")
    await wait_until(lambda: not connected.client.is_connected)

    with pytest.raises(NatsError):
        await ann.listen()
    assert (await ann.request("GET", "/v1/quotas")).json()["code"] == "tenant_suspended"
    assert (await bob.request("listLeases")).status == 200
    assert stays.client.is_connected

    await operator.request_ok("POST", f"/v1/tenants/{tenant.id}/resume")
    again = await NatsAgent.of(ann)
    assert (await again.request("getQuotas")).json()["agentId"] == ann.id


async def test_suspension_ends_event_streams(operator: Operator, tenant: Tenant) -> None:
    auditor = await tenant.create_auditor()
    headers = {"Authorization": f"Bearer {auditor.key}"}
    async with auditor.http.stream("GET", "/v1/events/stream", headers=headers) as stream:
        assert stream.status_code == 200
        await operator.request_ok("POST", f"/v1/tenants/{tenant.id}/suspend")
        async with asyncio.timeout(20):
            async for _ in stream.aiter_bytes():
                pass
