"""Sending limits, quotas and freezes over HTTP, and messages sent by the send gate (seed 000)."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from quorate.domain.shared.quotas import Quotas
from tests.integration.api.asgi_client import json_request
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.mail_service import DOMAIN, SEND, Mailbox, create_mailboxes, mail_to

pytestmark = pytest.mark.asyncio(loop_scope="module")
GATE, LEASE = "/v1/agent/request-send", "/v1/agent/coordination/lease"
HOURLY = 100  # Of the tier ``provisional``.
MAILBOX_BYTES = 300_000
RULES = [
    *("deduplication", "lease", "fence", "contact_policy", "sending_limits", "frozen_sender"),
    "recipient",
]
_numbers = itertools.count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    folder = tmp_path_factory.mktemp("mail") / "data"
    quotas = Quotas(mailbox_bytes_per_agent=MAILBOX_BYTES)
    async with run_in_process(folder, quotas=quotas) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="module")
async def boxes(service: InProcess) -> list[Mailbox]:
    """Three agents whose names no other test uses."""
    number = next(_numbers)
    return await create_mailboxes(service, *(f"{name}{number}" for name in ("ann", "bob", "cat")))


def contact() -> str:
    return f"kim{next(_numbers)}@example.com"


async def as_operator(box: Mailbox, action: str, body: object = None) -> Any:  # noqa: ANN401
    path = f"/email/accounts/{box.id}/{action}"
    response = await box.request("POST", path, body or {}, key=box.service.key)
    assert response.status == 200, response.body
    return response.json


# -- Limits --------------------------------------------------------------------


async def test_sending_limit_is_exact_under_concurrency(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    assert (await as_operator(ann, "tier", {"tier": "provisional"}))["send_tier"] == "provisional"
    responses = await asyncio.gather(
        *(ann.request("POST", SEND, mail_to(bob)) for _ in range(HOURLY + 15))
    )
    rejected = [one for one in responses if one.status != 200]
    assert len(rejected) == 15
    assert (await bob.inbox())["unread_count"] == HOURLY

    for one in rejected:
        error = one.json["error"]
        assert (one.status, error["code"]) == (429, "rate_limit_exceeded")
        assert 1 <= error["retry_after"] <= 3_600
        assert one.header("retry-after") == str(error["retry_after"])
        details = error["details"]
        assert {name: details[name] for name in details if name.endswith(("used", "limit"))} == {
            "hourly_used": HOURLY,
            "hourly_limit": HOURLY,
            "daily_used": HOURLY,
            "daily_limit": 500,
        }
        assert details["limit_type"] == "hourly"
        assert details["hourly_resets_at"] < details["daily_resets_at"]
    limits = (await ann.call("GET", "/email/account"))["rate_limits"]
    assert (limits["hourly"]["remaining"], limits["daily"]["remaining"]) == (0, 400)

    # By the send gate it is a block.
    body = {"recipientEmail": contact(), "payload": {"subject": "a", "text": "b"}}
    blocked = await ann.call("POST", GATE, body)
    assert (blocked["status"], blocked["reason"]) == ("blocked", "rate_limit_exceeded")
    assert failed_rules(blocked) == ["sending_limits"]
    await as_operator(ann, "tier", {"tier": "trusted"})
    assert (await ann.send(bob))["status"] == "delivered"


async def test_mailbox_quota_rejects_until_mail_is_deleted(boxes: list[Mailbox]) -> None:
    ann, bob, cat = boxes
    text = "x" * 100_000
    sent = [await ann.send(bob, body_text=text) for _ in range(3)]
    response = await ann.request("POST", SEND, mail_to(bob, cat, body_text="x"))
    assert (response.status, response.json["code"]) == (429, "quota_exceeded")
    assert response.json["error"]["details"]["quota"] == "mailbox_bytes_per_agent"
    assert (await cat.inbox())["total"] == 0

    await bob.call("DELETE", f"/email/message/{sent[0]['message_id']}")
    assert (await ann.send(bob, body_text=text))["status"] == "delivered"


async def test_frozen_agent_reaches_agents_only(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    frozen = await as_operator(ann, "freeze", {"detail": "complaints"})
    assert (frozen["sending_frozen"], frozen["frozen_reason"]) == (True, "operator")
    person = contact()
    sent = await ann.send(bob, person)
    assert (sent["status"], sent["delivery_type"]) == ("partial", "mixed")
    reasons = {one["address"]: one["reason"] for one in sent["recipients"]}
    assert reasons == {bob.address: None, person: "sending_frozen"}
    assert not (await as_operator(ann, "thaw"))["sending_frozen"]
    assert (await ann.send(contact()))["status"] == "held"


async def test_policy_of_the_recipient(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    policy = {"mode": "contacts_only", "allow": ["Other"], "block": []}
    assert await bob.call("PUT", "/email/policy", policy) == policy | {"allow": ["other"]}
    sent = await ann.send(bob)
    assert (sent["status"], sent["recipients"][0]["reason"]) == ("blocked", "contact_blocked")
    await bob.call("PUT", "/email/policy", policy | {"allow": [ann.name.upper()]})
    assert (await ann.send(bob))["status"] == "delivered"


# -- The send gate ---------------------------------------------------------------


def failed_rules(answer: Any) -> list[str]:  # noqa: ANN401 - a response.
    trace = answer["policyTrace"]
    failed = [one for one in trace["auditEvents"] if not one["passed"]]
    assert [one["rule"] for one in trace["auditEvents"]] == RULES
    assert trace["decision"] == {
        "allow": not failed,
        "reason": (failed and failed[0]["detail"]) or None,
    }
    return [one["rule"] for one in failed]


async def gate(box: Mailbox, recipient: str, **fields: Any) -> Any:  # noqa: ANN401
    payload = {"subject": "Hello", "text": "body", "html": "<p>body</p>", "other": 1}
    return await box.call("POST", GATE, {"recipientEmail": recipient, "payload": payload, **fields})


async def test_payload_is_sent_with_the_decision(boxes: list[Mailbox]) -> None:
    ann, *_ = boxes
    answer = await gate(ann, contact(), sendReason="follow-up", templateId="t1")
    assert (answer["status"], answer["reason"]) == ("queued", "no_relay")
    assert failed_rules(answer) == []
    message = await ann.get(answer["messageId"])
    assert (message["subject"], message["body_text"]) == ("Hello", "body")
    assert message["thread_id"] == answer["threadId"]
    assert answer["requestId"] == answer["id"] == answer["messageId"]


async def test_without_payload_it_is_the_gate_alone(boxes: list[Mailbox]) -> None:
    ann, *_ = boxes
    answer = await ann.call("POST", GATE, {"contactEmail": contact()})
    assert answer["status"] == "authorized"
    assert "policyTrace" not in answer
    assert (await ann.call("GET", "/email/sent"))["total"] == 0


async def test_blocks_name_their_rule(boxes: list[Mailbox]) -> None:
    ann, bob, cat = boxes
    person = contact()
    lease = await bob.call("POST", LEASE, {"contactEmail": person})
    answer = await gate(ann, person)
    assert (answer["status"], answer["reason"]) == ("blocked", "lease_conflict")
    assert failed_rules(answer) == ["lease"]
    assert failed_rules(await gate(bob, person, fence=lease["fence"] + 1)) == ["fence"]
    assert failed_rules(await gate(bob, person, fence=lease["fence"])) == []

    await cat.call("PUT", "/email/policy", {"mode": "closed"})
    assert failed_rules(await gate(ann, cat.address)) == ["contact_policy"]
    assert failed_rules(await gate(ann, f"nobody@{DOMAIN}")) == ["recipient"]
    await as_operator(ann, "freeze")
    assert failed_rules(await gate(ann, contact())) == ["frozen_sender"]


async def test_dedupe_key_sends_once(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    first = await gate(ann, bob.address, dedupeKey="once")
    assert await gate(ann, bob.address, dedupeKey="once") == first
    assert (await bob.inbox())["total"] == 1


async def test_scheduled_message_waits_for_its_time(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    later = "2100-01-01T00:00:00.000Z"
    assert (await gate(ann, contact(), scheduledAt=later))["status"] == "scheduled"
    past = await gate(ann, contact(), scheduledAt="2020-01-01T00:00:00.000Z")
    assert past["status"] == "queued"
    request = json_request(
        "POST",
        GATE,
        {"recipientEmail": bob.address, "payload": {}, "scheduledAt": later},
        key=ann.key,
    )
    response = await ann.service.ask(request)
    assert (response.status, response.json["code"]) == (422, "not_schedulable")


async def test_thread_continues_for_its_participants(boxes: list[Mailbox]) -> None:
    ann, bob, cat = boxes
    first = await gate(ann, bob.address)
    second = await gate(bob, ann.address, threadId=first["threadId"])
    assert second["threadId"] == first["threadId"]
    assert (await ann.get(second["messageId"]))["in_reply_to"] == first["messageId"]
    for thread in (first["threadId"], "thr_none"):
        body: dict[str, Any] = {
            "recipientEmail": ann.address,
            "payload": {},
            "threadId": thread,
        }
        response = await cat.request("POST", GATE, body)
        assert (response.status, response.json["code"]) == (404, "thread_not_found")
