"""Explanations of messages and tasks over HTTP; what other tenants have is unknown."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from quorate.domain.identity.principals import Principal
from quorate.domain.mail.delivery_attempts import QueueHeld, RecordFailure
from quorate.domain.mail.settings import RetryPolicy
from quorate.domain.shared.state import Command
from quorate.eventlog.envelopes import CommandEnvelope
from quorate.projections import explained_events
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.mail_service import create_mailboxes
from tests.integration.api.task_agents import create_agent
from tests.integration.api.test_mail_to_other_tenants import create_other_tenant

PERSON = "kim@example.com"
Json = dict[str, Any]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path / "data") as running:
        yield running


async def explain(service: InProcess, id_: object, **options: str) -> Json:
    response = await service.get(f"/v1/explain/{id_}", **options)
    assert response.status == 200, response.body
    found: Json = response.json
    return found


async def submit(service: InProcess, command: Command) -> None:
    """Submit a command of the SMTP relay, which is not configured."""
    running = service.running.service
    principal = Principal(key_id="key", role="tenant", tenant=service.credentials["tenantId"])
    envelope = CommandEnvelope(
        tenant=principal.tenant,
        actor=principal.actor,
        command_id=running.id(),
        command=command,
        render=lambda _: b"",
    )
    await running.command_bus.submit(envelope)


async def types_of_facts(service: InProcess, found: Json) -> list[str]:
    log = (await service.get("/v1/events?limit=500")).json["events"]
    types = {one["sequence"]: one["type"] for one in log}
    return [types[fact["sequence"]] for fact in found["facts"]]


async def last_of_type(service: InProcess, type_: str) -> int:
    found = (await service.get(f"/v1/events?type={type_}")).json["events"]
    return int(found[-1]["sequence"])


async def test_messages_are_explained(service: InProcess) -> None:
    ann, bob = await create_mailboxes(service, "ann", "bob")
    for sender, reader in ((bob, ann), (ann, bob)):
        sent = await sender.send(reader)
        found = await explain(service, await last_of_type(service, "MessageDelivered"))
        assert (found["outcome"], found["isComplete"]) == ("MessageDelivered", True)
        assert "MessageSent" in await types_of_facts(service, found)
    assert (await explain(service, sent["message_id"]))["outcome"] == "MessageDelivered"

    await bob.call("PUT", "/email/policy", {"mode": "closed"})
    refused = await explain(service, (await ann.send(bob))["message_id"])
    assert (refused["outcome"], refused["isComplete"]) == ("MessageRefused: contact_blocked", True)
    assert "MailPolicySet" in await types_of_facts(service, refused)

    held = await explain(service, (await ann.send(PERSON))["message_id"])
    assert (held["outcome"], held["isComplete"]) == ("MessageHeld: no_relay", False)
    assert "MessageSent" in await types_of_facts(service, held)


async def test_tasks_are_explained(service: InProcess) -> None:
    ann, bob = await create_agent(service, "ann"), await create_agent(service, "bob")
    done = await ann.spawn()
    claimed = await bob.claimed()
    await bob.report(claimed, "complete", text="Done")
    found = await explain(service, done)
    assert (found["outcome"], found["isComplete"]) == ("TaskCompleted", True)
    assert [fact["sequence"] for fact in found["facts"]][-1] == claimed["fence"]
    assert await types_of_facts(service, found) == [
        "AgentRegistered",
        "TaskSubmitted",
        "TaskClaimed",
    ]

    canceled = await ann.spawn()
    body = {"reason": "Out of date"}
    assert (await service.call("POST", f"/v1/tasks/{canceled}/cancel", body)).status == 200
    found = await explain(service, canceled)
    assert (found["outcome"], found["isComplete"]) == ("TaskCanceled", True)
    assert found["rule"] == "A task ends when an operator cancels it."


async def test_freeze_names_the_outcomes_of_other_messages(service: InProcess) -> None:
    (ann,) = await create_mailboxes(service, "ann")
    for _ in range(10):
        message_id = (await ann.send(PERSON))["message_id"]
        ids = {"message_id": message_id, "delivery_id": f"{message_id}.0"}
        await submit(service, QueueHeld(**ids))
        await submit(service, RecordFailure(**ids, is_permanent=True, policy=RetryPolicy()))
    found = await explain(service, await last_of_type(service, "MailSendingFrozen"))
    assert (found["outcome"], found["isComplete"]) == ("MailSendingFrozen: reputation", True)
    assert await types_of_facts(service, found) == ["MessageBounced"] * 10


async def test_events_of_busy_agents_leave_a_gap_and_hide_no_registration(
    service: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await create_mailboxes(service, "ann", "bob")
    for _ in range(8):
        await service.call("POST", "/v1/agent/register", {"agentName": "ann"})
    unread = await explain(service, (await ann.send("absent@agents.localhost"))["message_id"])
    assert "gap" not in unread
    message = (await ann.send(bob))["message_id"]
    monkeypatch.setattr(explained_events, "EVENTS_READ_MAX", 4)
    found = await explain(service, message)
    assert found["isComplete"]
    assert found["gap"]["after"] == 0
    names = [fact["text"].split()[1] for fact in found["facts"] if fact["kind"] == "agent"]
    assert sorted(names) == ["ann", "bob"]
    absent = (await ann.send("absent@agents.localhost"))["message_id"]
    assert not (await explain(service, absent))["isComplete"]


async def test_ids_of_another_tenant_are_as_unknown_as_ids_of_none(service: InProcess) -> None:
    (ann,) = await create_mailboxes(service, "ann")
    bob = await create_agent(service, "bob")
    message = (await ann.send("absent@agents.localhost"))["message_id"]
    task = await bob.spawn()
    await bob.report(await bob.claimed(), "complete", text="Done")
    await create_other_tenant(service)
    body = {"tenantId": "other", "role": "tenant"}
    admin = service.credentials["adminKey"]
    other = (await service.call("POST", "/v1/keys", body, key=admin)).json["key"]
    event = (await service.get("/v1/events?type=TaskCompleted")).json["events"][-1]["id"]
    unknown = "d290f1ee-6c54-4b01-90e6-d701748f0851"
    answers = []
    for id_ in (unknown, message, f"{message}.0", task, event):
        if id_ not in {unknown, f"{message}.0"}:
            assert (await explain(service, id_))["facts"]
        response = await service.get(f"/v1/explain/{id_}", key=other)
        answers.append((response.status, {**response.json, "requestId": None}))
    assert answers[0][0] == 404
    assert answers[0][1]["code"] == "nothing_to_explain"
    assert answers == [answers[0]] * 5
