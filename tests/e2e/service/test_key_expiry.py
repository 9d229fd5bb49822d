"""A key stops working when it expires; a rotation replaces a key by another one."""

import asyncio

import pytest
from nats.errors import Error as NatsError

from tests.e2e.service.event_stream import follow_events
from tests.e2e.service.http_clients import EVENTS, KEYS, Caller, Tenant, rejection, success
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import Json
from tests.e2e.service.test_api_keys import HEARTBEATS, REVOKED_SECONDS_MAX, is_unauthorized

OVERLAP_SECONDS = 3


async def test_expired_key_is_rejected_everywhere_within_a_second(tenant: Tenant) -> None:
    auditor = await tenant.create_auditor()
    await auditor.events()
    listener = await auditor.listen(f"quorate.{tenant.id}.log.>")
    async with follow_events(auditor) as stream:
        await stream.event()

        new = await tenant.request_ok(
            "POST", f"{KEYS}/{auditor.issued.id}/rotate", {"overlapSeconds": OVERLAP_SECONDS}
        )

        assert not await is_unauthorized(auditor, "GET", EVENTS)
        assert not listener.lost.is_set()
        async with asyncio.timeout(OVERLAP_SECONDS + REVOKED_SECONDS_MAX):
            await listener.lost.wait()
            await stream.end()
            await wait_until(lambda: is_unauthorized(auditor, "GET", EVENTS))
        with pytest.raises(NatsError, match="Authorization Violation"):
            await auditor.listen()
    old = await get_key(tenant, auditor.issued.id)
    assert (old["revokedAt"], new["role"], new["expiresAt"]) == (None, "auditor", None)
    success(await Caller(tenant.connection, new["key"]).request("GET", EVENTS))


async def get_key(tenant: Tenant, key_id: str) -> Json:
    (found,) = (key for key in await tenant.request_list(KEYS) if key["id"] == key_id)
    return found


async def test_rotated_key_is_revoked_at_once_and_the_secret_is_sent_once(tenant: Tenant) -> None:
    old = await tenant.issue("agent", "ann")
    agent = Caller(tenant.connection, old.text)
    await agent.register("ann")
    path, body = f"{KEYS}/{old.id}/rotate", {"expiresInSeconds": 3_600}
    once = {"Idempotency-Key": "rotate-1"}

    new = success(await tenant.request("POST", path, body, headers=once))

    assert (new["role"], new["agentId"], new["agentName"]) == ("agent", old.agent_id, "ann")
    assert new["expiresAt"] > new["createdAt"]
    await wait_until(lambda: is_unauthorized(agent, "POST", HEARTBEATS, {}), REVOKED_SECONDS_MAX)
    success(await Caller(tenant.connection, new["key"]).request("POST", HEARTBEATS, {}))
    repeated = success(await tenant.request("POST", path, body, headers=once))
    assert repeated == new | {"key": None}
    assert rejection(await tenant.request("POST", path, {}))["code"] == "key_ended"


async def test_rotation_is_limited_to_keys_of_the_tenant(tenant: Tenant, other: Tenant) -> None:
    key = await other.issue("auditor")

    problem = rejection(await tenant.request("POST", f"{KEYS}/{key.id}/rotate", {}))

    assert problem["code"] == "key_not_found"
    assert not await is_unauthorized(Caller(other.connection, key.text), "GET", EVENTS)


@pytest.mark.parametrize("seconds", [0, 59, 10 * 365 * 86_400 + 1, 90.5, "90"])
async def test_expiry_outside_its_bounds_is_rejected(tenant: Tenant, seconds: object) -> None:
    body = {"role": "auditor", "expiresInSeconds": seconds}

    assert rejection(await tenant.request("POST", KEYS, body))["code"] == "invalid_request"
