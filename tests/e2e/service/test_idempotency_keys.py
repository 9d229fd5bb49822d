"""One idempotency key is one command of an agent, whichever way and however often it is sent."""

import pytest

from quorate.api.nats_commands import SERVED
from quorate.application.operations import Endpoint
from tests.e2e.service.http_clients import LEASE, Agent, Operator, Tenant
from tests.e2e.service.nats_agent import Asking
from tests.e2e.service.two_tenants import Ask, side_of

CONTACT = "user@example.com"
COMMANDS = [endpoint for endpoint in SERVED if endpoint.command]


def named(endpoint: Endpoint) -> str:
    return endpoint.name


@pytest.mark.parametrize("http_first", [True, False], ids=["http_first", "nats_first"])
@pytest.mark.parametrize("endpoint", COMMANDS, ids=named)
async def test_a_key_used_one_way_counts_the_other_way(
    endpoint: Endpoint, http_first: bool, operator: Operator
) -> None:
    side = await side_of(operator)
    ask, asking = Ask.of(endpoint, side), await Asking.of(side.agent)
    headers = {"Idempotency-Key": "once"}

    async def over_http() -> tuple[bytes, bool]:
        said = await ask.by(side.agent, headers)
        assert said.status == 200
        return said.body, ("idempotent-replayed", "true") in said.headers

    async def over_nats() -> tuple[bytes, bool]:
        heard = await asking.ask(endpoint.name, ask.message(), headers=headers)
        assert heard.status == 200
        return heard.content, heard.headers.get("idempotent-replayed") == "true"

    first, second = (over_http, over_nats) if http_first else (over_nats, over_http)
    answer, replayed = await first()
    events = await side.tenant.events()

    assert not replayed
    assert await second() == (answer, True)
    assert await first() == (answer, True)
    assert await side.tenant.events() == events


async def test_a_refusal_is_replayed_too(tenant: Tenant) -> None:
    holder, rival = await tenant.agents_of("ann", "bob")
    lease = await holder.lease(holder.id, CONTACT)
    bob = await Asking.of(rival)
    asked = {"contactEmail": CONTACT, "idempotencyKey": "once"}
    first = await bob.ask("acquireLease", asked)
    await holder.release(lease["id"])

    again = await bob.ask("acquireLease", asked)
    over_http = await rival.ask(
        "POST", LEASE, {"contactEmail": CONTACT}, headers={"Idempotency-Key": "once"}
    )

    assert (first.code, again.code) == ("lease_conflict", "lease_conflict")
    assert again.json()["leaseHolder"] == first.json()["leaseHolder"]
    assert again.headers["idempotent-replayed"] == "true"
    assert over_http.headers["idempotent-replayed"] == "true"
    assert over_http.status_code == 409


async def test_a_key_in_the_message_is_the_key_in_the_header(tenant: Tenant) -> None:
    ann = await Asking.of(await tenant.agent_of("ann"))
    fields = {"contactEmail": CONTACT}
    named = {"idempotency-KEY": "k"}  # A header's name has no case; a key must not be overlooked.

    first = await ann.ask("acquireLease", fields, headers=named)
    second = await ann.ask("acquireLease", {**fields, "idempotencyKey": "k"})
    both = await ann.ask("acquireLease", {**fields, "idempotencyKey": "k"}, headers=named)
    other = await ann.ask("acquireLease", {**fields, "intent": "x", "idempotencyKey": "k"})

    assert first.content == second.content == both.content
    assert "idempotent-replayed" not in first.headers
    assert both.headers["idempotent-replayed"] == "true"
    assert (other.status, other.code) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "é", "x" * 256, "a\tb", 1, True, ["k"], {"k": 1}], ids=repr)
async def test_a_key_that_cannot_be_one_is_refused(tenant: Tenant, key: object) -> None:
    ann = await Asking.of(await tenant.agent_of("ann"))

    assert await ann.may_not("heartbeat", idempotencyKey=key) == "idempotency_key_invalid"


async def test_two_different_keys_are_refused(tenant: Tenant) -> None:
    ann = await Asking.of(await tenant.agent_of("ann"))

    answer = await ann.ask("heartbeat", {"idempotencyKey": "a"}, headers={"Idempotency-Key": "b"})

    assert answer.code == "idempotency_key_invalid"


async def test_a_question_takes_no_key(tenant: Tenant) -> None:
    ann = await Asking.of(await tenant.agent_of("ann"))

    assert await ann.may_not("listLeases", idempotencyKey="k") == "invalid_request"


async def test_keys_of_other_agents_are_other_keys(tenant: Tenant) -> None:
    for agent in await tenant.agents_of("ann", "bob"):
        answer = await (await Asking.of(agent)).ask(
            "acquireLease", {"contactEmail": f"{agent.name}@x.de", "idempotencyKey": "k"}
        )
        assert answer.json()["agentId"] == agent.id


async def test_another_key_of_the_same_agent_replays_as_well(tenant: Tenant) -> None:
    """What was asked with the old key is not asked again with the new one."""
    agent = await tenant.agent_of("ann")
    renewed = Agent(tenant.operator, await tenant.issue("agent", "ann"))
    asked = {"contactEmail": CONTACT, "idempotencyKey": "k"}

    first = await (await Asking.of(agent)).ask("acquireLease", asked)
    second = await (await Asking.of(renewed)).ask("acquireLease", asked)

    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"
