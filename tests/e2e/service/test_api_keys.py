"""A key opens what its role allows, until it is revoked; without one, nothing opens."""

import asyncio
import json
import time
from collections.abc import Mapping

import pytest
from httpx2 import Response
from nats.errors import Error as NatsError

from quorate.domain.identity.api_keys import key_text
from tests.e2e.service.event_stream import following
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
    refusal,
    success,
)
from tests.e2e.service.nats_listener import Listener, until
from tests.e2e.service.raw_socket import raw
from tests.e2e.service.service_process import Json, Running, files

REVOKED_SECONDS_MAX = 1.0
LEASES = f"{COORDINATION}/leases"
HEARTBEATS = f"{COORDINATION}/heartbeat"
CONTACT = "user@example.com"


async def with_headers(
    tenant: Tenant, headers: Mapping[str, str] | list[tuple[str, str]]
) -> Response:
    return await tenant.http.get(LEASES, headers=headers)


def unauthorized(response: Response) -> Json:
    problem = refusal(response)
    assert (problem["status"], problem["code"]) == (401, "unauthorized")
    assert response.headers["www-authenticate"].startswith("Bearer")
    return problem


# -- What is no key ----------------------------------------------------------


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
async def test_without_a_valid_key_the_answer_is_401(
    tenant: Tenant, headers: Mapping[str, str]
) -> None:
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    unauthorized(await tenant.http.get(LEASES, headers=sent))


async def test_the_scheme_must_be_bearer(tenant: Tenant) -> None:
    for scheme in ("Basic", "Token", "Digest", "BearerBearer"):
        unauthorized(await with_headers(tenant, {"Authorization": f"{scheme} {tenant.key}"}))
    assert (
        await with_headers(tenant, {"Authorization": f"bearer {tenant.key}"})
    ).status_code == 200


async def test_two_authorization_headers_are_none(tenant: Tenant, other: Tenant) -> None:
    for second in (str(tenant.key), str(other.key), "nonsense"):
        pair = [("Authorization", f"Bearer {tenant.key}"), ("Authorization", f"Bearer {second}")]
        unauthorized(await with_headers(tenant, pair))


@pytest.mark.parametrize("bad", [b"", b" ", b"\0", b"a\0b", b"a\x01b", b"a\nb: c"])
async def test_a_key_that_is_no_header_value_is_refused(tenant: Tenant, bad: bytes) -> None:
    head = f"GET {LEASES} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "

    said = await raw(tenant.line.service, head.encode() + bad + b"\r\n\r\n")

    assert said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 "))


async def test_all_keys_that_are_wrong_look_the_same(tenant: Tenant) -> None:
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

    told = {}
    for name, key in wrong.items():
        headers = {"Authorization": f"Bearer {key}", "X-Request-Id": "same"}
        response = await with_headers(tenant, headers)
        told[name] = unauthorized(response)

    assert all(problem == told["unknown"] for problem in told.values())
    for key in wrong.values():
        with pytest.raises(NatsError, match="Authorization Violation"):
            await Listener.connected(tenant.line.service.nats_url, key)


async def test_a_key_in_the_query_opens_nothing_and_is_not_logged(tenant: Tenant) -> None:
    key = tenant.issued.text
    for name in ("apiKey", "api_key", "key", "token", "access_token", "Authorization", "X-API-Key"):
        response = await tenant.http.get(LEASES, params={name: key})
        unauthorized(response)
        named = await tenant.ask("GET", LEASES, query={name: key})
        assert refusal(named)["status"] == 422
        assert key not in response.text + named.text

    assert key not in tenant.line.service.said()


# -- Revoking ----------------------------------------------------------------


async def is_refused(caller: Caller, method: str, path: str, body: object = None) -> bool:
    return (await caller.ask(method, path, body)).status_code == 401


async def test_a_revoked_key_stops_working_within_a_second_everywhere(tenant: Tenant) -> None:
    auditor = await tenant.auditor()
    await auditor.events()  # Its connection is kept alive from here on.
    listener = await auditor.listen(f"quorate.{tenant.id}.log.>")
    async with following(auditor) as stream:
        await stream.event()

        await tenant.operator.revoke(auditor.issued)
        began = time.monotonic()

        async with asyncio.timeout(REVOKED_SECONDS_MAX):
            await listener.lost.wait()
            await stream.end()
            await until(lambda: is_refused(auditor, "GET", EVENTS))
        assert time.monotonic() - began < REVOKED_SECONDS_MAX
        with pytest.raises(NatsError, match="Authorization Violation"):
            await auditor.listen()


async def test_a_key_that_was_just_used_is_refused_on_its_own_connection(tenant: Tenant) -> None:
    issued = await tenant.issue("agent", "ann")
    agent = Caller(tenant.line, issued.text)
    await agent.register("ann")

    await tenant.must("DELETE", f"{KEYS}/{issued.id}")

    await until(lambda: is_refused(agent, "POST", HEARTBEATS, {}), REVOKED_SECONDS_MAX)
    unauthorized(await agent.ask("GET", LEASES))


async def test_revoking_twice_is_the_same_as_once(tenant: Tenant) -> None:
    issued = await tenant.issue("auditor")

    answers = [await tenant.must("DELETE", f"{KEYS}/{issued.id}") for _ in range(2)]

    assert answers == [{"revoked": True}] * 2
    assert len(await tenant.events("KeyRevoked")) == 1
    (listed,) = (key for key in await tenant.listed(KEYS) if key["id"] == issued.id)
    assert listed["revokedAt"] is not None


async def test_the_old_key_works_beside_the_new_one_until_it_is_revoked(tenant: Tenant) -> None:
    old, new = [await tenant.issue("agent", "ann") for _ in range(2)]
    assert old.agent_id == new.agent_id
    await Caller(tenant.line, old.text).register("ann")
    listeners = [await tenant.operator.listen(key) for key in (old, new)]
    for key in (old, new):
        success(await Caller(tenant.line, key.text).ask("POST", HEARTBEATS, {}))

    await tenant.operator.revoke(old)

    ousted = Caller(tenant.line, old.text)
    await until(lambda: is_refused(ousted, "POST", HEARTBEATS, {}), REVOKED_SECONDS_MAX)
    success(await Caller(tenant.line, new.text).ask("POST", HEARTBEATS, {}))
    await until(listeners[0].lost.is_set)
    assert not listeners[1].lost.is_set()


# -- Roles -------------------------------------------------------------------


async def test_an_agents_key_acts_as_no_other_agent(tenant: Tenant) -> None:
    ann, bob = await tenant.agents_of("ann", "bob")
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
        problem = refusal(await ann.ask(method, path, body))
        assert (problem["status"], problem["code"]) == (403, "acting_as_another"), path

    assert await tenant.events() == before
    assert (await tenant.consensus(request["id"]))["approvals"] == 0


async def test_an_agents_key_need_not_say_who_it_is(tenant: Tenant) -> None:
    ann = await tenant.agent_of("ann")

    lease = await ann.must("POST", LEASE, {"contactEmail": CONTACT})
    request = await ann.must(
        "POST", CONSENSUS, {"action": "a", "contactEmail": CONTACT, "reason": "r"}
    )
    vote = await ann.must("POST", f"{CONSENSUS}/{request['id']}/vote", {"vote": "approve"})

    assert {lease["agentId"], request["requestingAgentId"], vote["agentId"]} == {ann.id}
    await ann.must("POST", HEARTBEATS, {})
    assert (await ann.must("POST", f"{AGENT}/register", {}))["id"] == ann.id


async def test_every_key_tells_whose_it_is(tenant: Tenant) -> None:
    ann, auditor = await tenant.agent_of("ann"), await tenant.auditor()
    for holder in (tenant, ann, auditor):
        own = await holder.must("GET", f"{KEYS}/self")

        (listed,) = (key for key in await tenant.listed(KEYS) if key["id"] == holder.issued.id)
        assert own == listed
        assert (own["role"], own["tenantId"]) == (holder.issued.role, tenant.id)
        assert (own["agentId"], own["agentName"]) == (
            holder.issued.agent_id,
            holder.issued.agent_name,
        )
        assert own["revokedAt"] is None
    operators = await tenant.operator.must("GET", f"{KEYS}/self")
    assert (operators["role"], operators["agentId"]) == ("admin", None)


async def test_a_key_that_is_called_self_cannot_be_revoked_by_that_name(tenant: Tenant) -> None:
    for method in ("DELETE", "PUT", "POST"):
        response = await tenant.ask(method, f"{KEYS}/self")
        assert refusal(response)["code"] == "method_not_allowed"
        assert response.headers["allow"] == "GET, HEAD"
    assert (await tenant.must("GET", f"{KEYS}/self"))["revokedAt"] is None


@pytest.mark.parametrize("role", ["admin", "tenant"])
async def test_a_tenants_key_issues_no_key_of_its_own_rank(tenant: Tenant, role: str) -> None:
    assert await tenant.may_not("POST", KEYS, {"role": role}) == "role_forbidden"
    assert await tenant.may_not("DELETE", f"{KEYS}/{tenant.issued.id}") == "role_forbidden"
    assert await tenant.may_not("POST", "/v1/tenants", {"tenantId": "mine"}) == "role_forbidden"
    assert len(await tenant.events("KeyIssued")) == 1


async def test_a_tenants_key_issues_keys_of_its_agents_and_auditors(tenant: Tenant) -> None:
    agent = await tenant.must("POST", KEYS, {"role": "agent", "agentName": "ann"})
    auditor = await tenant.must("POST", KEYS, {"role": "auditor"})

    registered = await Caller(tenant.line, agent["key"]).must("POST", f"{AGENT}/register", {})
    assert registered["id"] == agent["agentId"]
    assert await Caller(tenant.line, auditor["key"]).events()


@pytest.mark.parametrize("role", ["agent", "auditor"])
async def test_agents_and_auditors_issue_and_revoke_no_keys(tenant: Tenant, role: str) -> None:
    holders = {"agent": await tenant.agent_of("ann"), "auditor": await tenant.auditor()}
    holder: KeyHolder = holders[role]

    assert await holder.may_not("POST", KEYS, {"role": "auditor"}) == "role_forbidden"
    assert await holder.may_not("GET", KEYS) == "role_forbidden"
    assert await holder.may_not("DELETE", f"{KEYS}/{tenant.issued.id}") == "role_forbidden"


async def test_an_auditor_reads_and_does_nothing(tenant: Tenant) -> None:
    auditor = await tenant.auditor()
    before = await tenant.events()

    assert await auditor.events() == before
    assert (
        await auditor.may_not("POST", f"{AGENT}/register", {"agentName": "x"}) == "role_forbidden"
    )
    assert await tenant.events() == before


async def test_an_agents_key_is_told_of_the_log_by_nobody(tenant: Tenant) -> None:
    ann = await tenant.agent_of("ann")

    assert await ann.may_not("GET", EVENTS) == "role_forbidden"
    assert await ann.may_not("GET", f"{EVENTS}/stream") == "role_forbidden"


# -- Where keys are found, and where not -------------------------------------


async def used(tenant: Tenant) -> list[IssuedKey]:
    """Keys of every role that were used in every way that has to do with text."""
    ann, auditor = await tenant.agent_of("ann"), await tenant.auditor()
    await ann.lease(ann.id, CONTACT)
    await tenant.listed(KEYS)
    for holder in (ann, auditor, tenant):
        listener = await holder.listen()
        await listener.client.publish("forged", b"")  # The server logs what it denies.
        await listener.client.flush()
        await holder.ask("POST", LEASE, content=b'{"broken')
        await holder.ask("POST", LEASE, content=b"x" * 100_000)
        await holder.ask("GET", f"{AGENT}/nothing-here")
        await holder.ask("GET", EVENTS, query={"after": "never"})
    return [ann.issued, auditor.issued, tenant.issued]


async def test_keys_are_written_nowhere_but_where_the_operator_keeps_its_own(
    service: Running, tenant: Tenant
) -> None:
    keys = [issued.text for issued in await used(tenant)]
    own = [str(service.credentials[name]) for name in ("apiKey", "adminKey")]
    secrets = [key.split("_")[2].encode() for key in (*keys, *own)]

    kept = files(service.data_dir, without=("credentials.json",))
    assert {"quorate.db", "nats-server.log", "nats-server.conf"} <= {path.name for path in kept}
    for path in (*kept, service.stderr):
        content = path.read_bytes()
        assert [secret for secret in secrets if secret in content] == [], path
    assert not any(secret in service.stdout for secret in secrets)
    credentials = (service.data_dir / "credentials.json").read_text()
    assert not any(key in credentials for key in keys)


async def test_no_answer_repeats_a_key(tenant: Tenant) -> None:
    keys = [issued.text for issued in await used(tenant)]
    answers = [
        json.dumps(await tenant.events()),
        json.dumps(await tenant.listed(KEYS)),
        json.dumps(await tenant.listed(f"{AGENT}/agents")),
    ]

    assert not any(key in answer for key in keys for answer in answers)
    assert not any("key" in listed for listed in await tenant.listed(KEYS))


async def test_the_log_says_which_key_was_refused_by_its_id_only(operator: Operator) -> None:
    tenant = await operator.tenant()
    await tenant.may_not("POST", "/v1/tenants", {"tenantId": "mine"})

    (line,) = (
        line
        for line in operator.service.logged("http.refused")
        if line.get("key_id") == tenant.issued.id
    )

    assert (line["path"], line["status"]) == ("/v1/tenants", 403)
