"""An API key permits what its role allows until it is revoked; without a key, requests fail."""

import asyncio
import json
import time
from collections.abc import Mapping

import pytest
from httpx2 import Response
from nats.errors import Error as NatsError

from quorate.domain.identity.key_format import key_text
from tests.e2e.service.event_stream import follow_events
from tests.e2e.service.http_clients import (
    AGENT,
    CONSENSUS,
    COORDINATION,
    EVENTS,
    KEYS,
    LEASE,
    Caller,
    IssuedKey,
    KeyHolder,
    Operator,
    Tenant,
    rejection,
    success,
)
from tests.e2e.service.nats_listener import Listener, wait_until
from tests.e2e.service.raw_socket import send_raw
from tests.e2e.service.service_process import Json, ServiceProcess, list_files

REVOKED_SECONDS_MAX = 1.0
LEASES = f"{COORDINATION}/leases"
HEARTBEATS = f"{COORDINATION}/heartbeat"
CONTACT = "user@example.com"


async def with_headers(
    tenant: Tenant, headers: Mapping[str, str] | list[tuple[str, str]]
) -> Response:
    return await tenant.http.get(LEASES, headers=headers)


def expect_unauthorized(response: Response) -> Json:
    problem = rejection(response)
    assert (problem["status"], problem["code"]) == (401, "unauthorized")
    assert response.headers["www-authenticate"].startswith("Bearer")
    return problem


# -- Invalid keys ------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Bearer qk_"},
        {"Authorization": "Bearer ☃".encode().decode("latin-1")},
        {"Authorization": "Bearer " + "x" * 10_240},
        {"X-API-Key": ""},
        {"X-API-Key": "nonsense"},
        {"Cookie": "key=nonsense"},
    ],
    ids=str,
)
async def test_request_without_a_valid_key_is_unauthorized(
    tenant: Tenant, headers: Mapping[str, str]
) -> None:
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    expect_unauthorized(await tenant.http.get(LEASES, headers=sent))


async def test_authorization_accepts_only_the_bearer_scheme(tenant: Tenant) -> None:
    for scheme in ("Basic", "Token", "Digest", "BearerBearer"):
        expect_unauthorized(await with_headers(tenant, {"Authorization": f"{scheme} {tenant.key}"}))
    assert (
        await with_headers(tenant, {"Authorization": f"bearer {tenant.key}"})
    ).status_code == 200


async def test_duplicate_authorization_headers_are_unauthorized(
    tenant: Tenant, other: Tenant
) -> None:
    for second in (str(tenant.key), str(other.key), "nonsense"):
        pair = [("Authorization", f"Bearer {tenant.key}"), ("Authorization", f"Bearer {second}")]
        expect_unauthorized(await with_headers(tenant, pair))


@pytest.mark.parametrize("bad", [b"", b" ", b"\0", b"a\0b", b"a\x01b", b"a\nb: c"])
async def test_key_with_invalid_header_characters_is_rejected(tenant: Tenant, bad: bytes) -> None:
    head = f"GET {LEASES} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "

    said = await send_raw(tenant.connection.service, head.encode() + bad + b"\r\n\r\n")

    assert said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 "))


async def test_all_invalid_keys_get_the_same_response(tenant: Tenant) -> None:
    issued = tenant.issued.text
    swapped = "A" if issued[-1] != "A" else "B"
    revoked = await tenant.issue("auditor")
    await tenant.operator.revoke(revoked)
    wrong = {
        "checksum": issued[:-1] + swapped,
        "secret": key_text(tenant.issued.id, bytes(32)),
        "unknown": key_text("0" * 16, bytes(32)),
        "revoked": revoked.text,
        "case": issued.swapcase(),
    }

    problems = {}
    for name, key in wrong.items():
        headers = {"Authorization": f"Bearer {key}", "X-Request-Id": "same"}
        response = await with_headers(tenant, headers)
        problems[name] = expect_unauthorized(response)

    assert all(problem == problems["unknown"] for problem in problems.values())
    for key in wrong.values():
        with pytest.raises(NatsError, match="Authorization Violation"):
            await Listener.connected(tenant.connection.service.nats_url, key)


async def test_key_in_the_query_is_ignored_and_not_logged(tenant: Tenant) -> None:
    key = tenant.issued.text
    for name in ("apiKey", "api_key", "key", "token", "access_token", "Authorization", "X-API-Key"):
        response = await tenant.http.get(LEASES, params={name: key})
        expect_unauthorized(response)
        named = await tenant.request("GET", LEASES, query={name: key})
        assert rejection(named)["status"] == 422
        assert key not in response.text + named.text

    assert key not in tenant.connection.service.read_stderr()


# -- Revoking ----------------------------------------------------------------


async def is_unauthorized(caller: Caller, method: str, path: str, body: object = None) -> bool:
    return (await caller.request(method, path, body)).status_code == 401


async def test_revoked_key_is_rejected_everywhere_within_a_second(tenant: Tenant) -> None:
    auditor = await tenant.create_auditor()
    await auditor.events()  # Opens a keep-alive connection.
    listener = await auditor.listen(f"quorate.{tenant.id}.log.>")
    async with follow_events(auditor) as stream:
        await stream.event()

        await tenant.operator.revoke(auditor.issued)
        began = time.monotonic()

        async with asyncio.timeout(REVOKED_SECONDS_MAX):
            await listener.lost.wait()
            await stream.end()
            await wait_until(lambda: is_unauthorized(auditor, "GET", EVENTS))
        assert time.monotonic() - began < REVOKED_SECONDS_MAX
        with pytest.raises(NatsError, match="Authorization Violation"):
            await auditor.listen()


async def test_revoked_key_is_rejected_on_an_open_connection(tenant: Tenant) -> None:
    issued = await tenant.issue("agent", "ann")
    agent = Caller(tenant.connection, issued.text)
    await agent.register("ann")

    await tenant.request_ok("DELETE", f"{KEYS}/{issued.id}")

    await wait_until(lambda: is_unauthorized(agent, "POST", HEARTBEATS, {}), REVOKED_SECONDS_MAX)
    expect_unauthorized(await agent.request("GET", LEASES))


async def test_second_revocation_has_no_effect(tenant: Tenant) -> None:
    issued = await tenant.issue("auditor")

    responses = [await tenant.request_ok("DELETE", f"{KEYS}/{issued.id}") for _ in range(2)]

    assert responses == [{"revoked": True}] * 2
    assert len(await tenant.events("KeyRevoked")) == 1
    (listed,) = (key for key in await tenant.request_list(KEYS) if key["id"] == issued.id)
    assert listed["revokedAt"] is not None


async def test_old_key_works_beside_a_new_key_until_revoked(tenant: Tenant) -> None:
    old, new = [await tenant.issue("agent", "ann") for _ in range(2)]
    assert old.agent_id == new.agent_id
    await Caller(tenant.connection, old.text).register("ann")
    listeners = [await tenant.operator.listen(key) for key in (old, new)]
    for key in (old, new):
        success(await Caller(tenant.connection, key.text).request("POST", HEARTBEATS, {}))

    await tenant.operator.revoke(old)

    revoked = Caller(tenant.connection, old.text)
    await wait_until(lambda: is_unauthorized(revoked, "POST", HEARTBEATS, {}), REVOKED_SECONDS_MAX)
    success(await Caller(tenant.connection, new.text).request("POST", HEARTBEATS, {}))
    await wait_until(listeners[0].lost.is_set)
    assert not listeners[1].lost.is_set()


# -- Roles -------------------------------------------------------------------


async def test_agent_key_cannot_act_as_another_agent(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    lease = await bob.lease(bob.id, CONTACT)
    request = await bob.propose(bob.id)
    proposal = {"action": "a", "contactEmail": CONTACT, "reason": "r"}
    before = await tenant.events()
    as_bob: list[tuple[str, str, Json | None]] = [
        ("POST", HEARTBEATS, {"agentId": bob.id}),
        ("POST", HEARTBEATS, {"agentName": "bob"}),
        ("POST", LEASE, {"agentId": bob.id, "contactEmail": CONTACT}),
        ("POST", LEASE, {"agentName": "bob", "contactEmail": CONTACT}),
        ("POST", f"{LEASE}/{lease['id']}/renew", {}),
        ("DELETE", f"{LEASE}/{lease['id']}", None),
        ("POST", f"{AGENT}/request-send", {"agentId": bob.id, "contactEmail": CONTACT}),
        ("POST", CONSENSUS, {"requestingAgentId": bob.id, **proposal}),
        ("POST", CONSENSUS, {"proposerAgent": "bob", **proposal}),
        ("POST", f"{CONSENSUS}/{request['id']}/vote", {"agentId": bob.id, "vote": "approve"}),
        ("POST", f"{CONSENSUS}/{request['id']}/vote", {"agentName": "bob", "vote": "approve"}),
        ("POST", f"{AGENT}/register", {"agentName": "bob"}),
        ("PUT", f"{AGENT}/agents/{bob.id}/config", {"humanizer_enabled": True}),
    ]

    for method, path, body in as_bob:
        problem = rejection(await ann.request(method, path, body))
        assert (problem["status"], problem["code"]) == (403, "acting_as_another"), path

    assert await tenant.events() == before
    assert (await tenant.consensus(request["id"]))["approvals"] == 0


async def test_agent_key_determines_the_agent(tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann")

    lease = await ann.request_ok("POST", LEASE, {"contactEmail": CONTACT})
    request = await ann.request_ok(
        "POST", CONSENSUS, {"action": "a", "contactEmail": CONTACT, "reason": "r"}
    )
    vote = await ann.request_ok("POST", f"{CONSENSUS}/{request['id']}/vote", {"vote": "approve"})

    assert {lease["agentId"], request["requestingAgentId"], vote["agentId"]} == {ann.id}
    await ann.request_ok("POST", HEARTBEATS, {})
    assert (await ann.request_ok("POST", f"{AGENT}/register", {}))["id"] == ann.id


async def test_own_key_endpoint_returns_role_tenant_and_agent(tenant: Tenant) -> None:
    ann, auditor = await tenant.create_agent("ann"), await tenant.create_auditor()
    for holder in (tenant, ann, auditor):
        own = await holder.request_ok("GET", f"{KEYS}/self")

        (listed,) = (
            key for key in await tenant.request_list(KEYS) if key["id"] == holder.issued.id
        )
        assert own == listed
        assert (own["role"], own["tenantId"]) == (holder.issued.role, tenant.id)
        assert (own["agentId"], own["agentName"]) == (
            holder.issued.agent_id,
            holder.issued.agent_name,
        )
        assert own["revokedAt"] is None
    operators = await tenant.operator.request_ok("GET", f"{KEYS}/self")
    assert (operators["role"], operators["agentId"]) == ("admin", None)


async def test_own_key_endpoint_allows_only_get(tenant: Tenant) -> None:
    for method in ("DELETE", "PUT", "POST"):
        response = await tenant.request(method, f"{KEYS}/self")
        assert rejection(response)["code"] == "method_not_allowed"
        assert response.headers["allow"] == "GET, HEAD"
    assert (await tenant.request_ok("GET", f"{KEYS}/self"))["revokedAt"] is None


@pytest.mark.parametrize("role", ["admin", "tenant"])
async def test_tenant_key_cannot_issue_admin_or_tenant_keys(tenant: Tenant, role: str) -> None:
    assert await tenant.request_rejected("POST", KEYS, {"role": role}) == "role_forbidden"
    assert await tenant.request_rejected("DELETE", f"{KEYS}/{tenant.issued.id}") == "role_forbidden"
    assert (
        await tenant.request_rejected("POST", "/v1/tenants", {"tenantId": "mine"})
        == "role_forbidden"
    )
    assert len(await tenant.events("KeyIssued")) == 1


async def test_tenant_key_issues_agent_and_auditor_keys(tenant: Tenant) -> None:
    agent = await tenant.request_ok("POST", KEYS, {"role": "agent", "agentName": "ann"})
    auditor = await tenant.request_ok("POST", KEYS, {"role": "auditor"})

    registered = await Caller(tenant.connection, agent["key"]).request_ok(
        "POST", f"{AGENT}/register", {}
    )
    assert registered["id"] == agent["agentId"]
    assert await Caller(tenant.connection, auditor["key"]).events()


@pytest.mark.parametrize("role", ["agent", "auditor"])
async def test_agent_and_auditor_keys_cannot_manage_keys(tenant: Tenant, role: str) -> None:
    holders = {"agent": await tenant.create_agent("ann"), "auditor": await tenant.create_auditor()}
    holder: KeyHolder = holders[role]

    assert await holder.request_rejected("POST", KEYS, {"role": "auditor"}) == "role_forbidden"
    assert await holder.request_rejected("GET", KEYS) == "role_forbidden"
    assert await holder.request_rejected("DELETE", f"{KEYS}/{tenant.issued.id}") == "role_forbidden"


async def test_auditor_key_is_read_only(tenant: Tenant) -> None:
    auditor = await tenant.create_auditor()
    before = await tenant.events()

    assert await auditor.events() == before
    assert (
        await auditor.request_rejected("POST", f"{AGENT}/register", {"agentName": "x"})
        == "role_forbidden"
    )
    assert await tenant.events() == before


async def test_agent_key_cannot_read_the_log(tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann")

    assert await ann.request_rejected("GET", EVENTS) == "role_forbidden"
    assert await ann.request_rejected("GET", f"{EVENTS}/stream") == "role_forbidden"


# -- Secrecy of keys ---------------------------------------------------------


async def use_keys(tenant: Tenant) -> list[IssuedKey]:
    """Use keys of every role in valid and invalid requests, and return them."""
    ann, auditor = await tenant.create_agent("ann"), await tenant.create_auditor()
    await ann.lease(ann.id, CONTACT)
    await tenant.request_list(KEYS)
    for holder in (ann, auditor, tenant):
        listener = await holder.listen()
        await listener.client.publish("forged", b"")  # nats-server logs denied messages.
        await listener.client.flush()
        await holder.request("POST", LEASE, content=b'{"broken')
        await holder.request("POST", LEASE, content=b"x" * 100_000)
        await holder.request("GET", f"{AGENT}/nothing-here")
        await holder.request("GET", EVENTS, query={"after": "never"})
    return [ann.issued, auditor.issued, tenant.issued]


async def test_no_file_contains_a_key_except_the_credentials_file(
    service: ServiceProcess, tenant: Tenant
) -> None:
    keys = [issued.text for issued in await use_keys(tenant)]
    own = [str(service.credentials[name]) for name in ("apiKey", "adminKey")]
    secrets = [key.split("_")[2].encode() for key in (*keys, *own)]

    kept = list_files(service.data_dir, without=("credentials.json",))
    assert {"quorate.db", "nats-server.log", "nats-server.conf"} <= {path.name for path in kept}
    for path in (*kept, service.stderr):
        content = path.read_bytes()
        assert [secret for secret in secrets if secret in content] == [], path
    assert not any(secret in service.stdout for secret in secrets)
    credentials = (service.data_dir / "credentials.json").read_text()
    assert not any(key in credentials for key in keys)


async def test_no_response_repeats_a_key(tenant: Tenant) -> None:
    keys = [issued.text for issued in await use_keys(tenant)]
    responses = [
        json.dumps(await tenant.events()),
        json.dumps(await tenant.request_list(KEYS)),
        json.dumps(await tenant.request_list(f"{AGENT}/agents")),
    ]

    assert not any(key in response for key in keys for response in responses)
    assert not any("key" in listed for listed in await tenant.request_list(KEYS))


async def test_application_log_names_a_rejected_key_by_its_id(operator: Operator) -> None:
    tenant = await operator.create_tenant()
    await tenant.request_rejected("POST", "/v1/tenants", {"tenantId": "mine"})

    (line,) = (
        line
        for line in operator.service.log_entries("http.request_rejected")
        if line.get("key_id") == tenant.issued.id
    )

    assert (line["path"], line["status"]) == ("/v1/tenants", 403)
