"""The AsyncAPI document and an API key are sufficient to use the service without an SDK."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator

import pytest

from tests.e2e.service.asyncapi_client import (
    RESPONSE_SECONDS_MAX,
    DocumentedClient,
    OperationRejected,
    documented_clients,
)
from tests.e2e.service.http_clients import IssuedKey, Tenant
from tests.e2e.service.service_process import Json, ServiceProcess
from tests.support.paths import ROOT

CONTACT = "user@example.com"
PLAIN = ROOT / "examples" / "plain_nats.py"
CONFLICT = 3  # Exit code of the example when another agent holds the contact.


@pytest.fixture
async def clients(tenant: Tenant) -> AsyncIterator[list[DocumentedClient]]:
    async with documented_clients(tenant, "ann", "bob") as clients:
        yield clients


# -- Requests and notifications ----------------------------------------------


async def test_documented_client_registers_leases_and_receives_a_conflict(
    clients: list[DocumentedClient],
) -> None:
    ann, bob = clients
    for client in clients:
        await client.subscribe_to_all()
        agent = await client.request("register")
        assert agent["id"] == client.issued.agent_id
    lease = await ann.request("acquireLease", contactEmail=CONTACT, intent="outbound_sales")

    with pytest.raises(OperationRejected) as refused:
        await bob.request("acquireLease", contactEmail=CONTACT)

    assert refused.value.problem["code"] == "lease_conflict"
    assert refused.value.problem["leaseHolder"]["agentId"] == ann.issued.agent_id
    for client in clients:
        notification = await client.notification("lease_conflict")
        assert notification["data"]["leaseId"] == lease["id"]
        assert notification["data"]["agentName"] == "bob"
    await ann.request("releaseLease", leaseId=lease["id"])
    free = await bob.notification("lease_available")
    assert free["data"]["contactEmail"] == CONTACT
    assert (await bob.request("acquireLease", contactEmail=CONTACT))["fence"] > lease["fence"]


async def test_documented_client_catches_up_after_a_disconnection(
    clients: list[DocumentedClient],
) -> None:
    ann, bob = clients
    for client in clients:
        await client.request("register")
    await ann.request("acquireLease", contactEmail=CONTACT)
    with pytest.raises(OperationRejected):
        await bob.request("acquireLease", contactEmail=CONTACT)

    page = await ann.request("listNotifications", after=0)

    assert [one["type"] for one in page["notifications"]].count("quorate.lease_conflict") == 1
    assert page["next"] == page["head"]
    assert (await ann.request("heartbeat"))["lastNotification"] == page["notifications"][-1][
        "sequence"
    ]


async def test_same_idempotency_key_returns_the_same_response(
    clients: list[DocumentedClient],
) -> None:
    ann, _ = clients
    await ann.request("register")
    fields = {"contactEmail": CONTACT, "idempotencyKey": "once"}

    lease = await ann.request("acquireLease", **fields)

    assert await ann.request("acquireLease", **fields) == lease


# -- Examples ----------------------------------------------------------------


# The first operations return the ids that the others need; the last ends the lease.
FIRST = ("register", "acquireLease", "requestConsensus", "sendMail")
LAST = ("requestConsensus", "cancelConsensus", "releaseLease", "deleteMessage", "deregister")
# By operation: the fields of other operations, and the members of its response.
IDS = {
    "acquireLease": {"leaseId": "id"},
    "requestConsensus": {"consensusId": "id"},
    "sendMail": {"message_id": "message_id", "thread_id": "thread_id"},
}


# Their examples name a file, a task or another thing that does not exist here.
ONLY_IN_EXAMPLES = {
    *("getAttachment", "sessionsDelete", "branchSession", "sessionsHistory", "sessionsSend"),
    *("spawnStatus", "spawnResult", "cancelSpawn", "renewTask", "reportProgress", "addArtifact"),
    *("requestInput", "completeTask", "failTask", "releaseTask", "answerTask", "getTask"),
    "getArtifact",
}


async def test_examples_of_requests_work(clients: list[DocumentedClient]) -> None:
    ann, _ = clients
    ids: dict[str, str] = {}
    document = ann.document
    requests = {name: one for name, one in document.all["operations"].items() if "reply" in one}
    for name in [*FIRST, *(one for one in requests if one not in FIRST + LAST), *LAST]:
        [message] = document.messages(requests[name]["messages"])
        fields = message["examples"][0]["payload"]
        given = {one: ids.get(one, fields[one]) for one in fields if one != "wait"}
        if name in ONLY_IN_EXAMPLES:
            with pytest.raises(OperationRejected, match=r"not_found|fork_point"):
                await ann.request(name, **given)
            continue
        response = await ann.request(name, **given)
        ids |= {field: response[member] for field, member in IDS.get(name, {}).items()}


async def test_plain_python_example_works(service: ServiceProcess, tenant: Tenant) -> None:
    holder = await start_example(service, await tenant.issue("agent", "holder"), CONTACT, "60")
    try:
        lines = [await read_line(holder), await read_line(holder)]
        assert [one["event"] for one in lines] == ["registered", "holding"]
        rival = await start_example(service, await tenant.issue("agent", "rival"), CONTACT, "0")
        assert await asyncio.wait_for(rival.wait(), RESPONSE_SECONDS_MAX) == CONFLICT
        conflict = await read_line(holder)
        assert (conflict["event"], conflict["agentName"]) == ("lease_conflict", "rival")
        other = await start_example(
            service, await tenant.issue("agent", "third"), "b@example.com", "0"
        )
        assert await asyncio.wait_for(other.wait(), RESPONSE_SECONDS_MAX) == 0
    finally:
        holder.kill()
        await holder.wait()


async def start_example(
    service: ServiceProcess, issued: IssuedKey, *arguments: str
) -> asyncio.subprocess.Process:
    variables = {
        "QUORATE_NATS_URL": service.nats_url,
        "QUORATE_API_KEY": issued.text,
        "QUORATE_TENANT": issued.tenant,
        "QUORATE_AGENT_ID": str(issued.agent_id),
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        PLAIN,
        *arguments,
        env=os.environ | variables,
        stdout=asyncio.subprocess.PIPE,
    )


async def read_line(process: asyncio.subprocess.Process) -> Json:
    assert process.stdout is not None
    found: Json = json.loads(
        await asyncio.wait_for(process.stdout.readline(), RESPONSE_SECONDS_MAX)
    )
    return found
