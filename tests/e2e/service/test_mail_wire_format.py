"""The requests that programs for the original service send: paths, fields, header, parameters."""

import json

import pytest
from httpx2 import Response

from tests.e2e.service.http_clients import Agent, Tenant, success
from tests.e2e.service.service_process import Json

MESSAGE_FIELDS = {
    *("message_id", "thread_id", "from_address", "from_agent_id", "to_addresses", "cc_addresses"),
    *("subject", "body_text", "body_html", "direction", "status", "has_attachments"),
    *("attachments", "read_at", "starred", "acked_at", "importance", "ack_required"),
    *("in_reply_to", "kind", "task_id", "sequence", "created_at"),
}
SENT_FIELDS = {"message_id", "thread_id", "status", "delivery_type", "message", "recipients"}
ACCOUNT_FIELDS = {
    *("email_address", "status", "send_tier", "reputation_score", "total_sent", "total_received"),
    *("total_bounced", "total_spam_complaints", "sending_frozen", "frozen_reason", "rate_limits"),
    "created_at",
}
SENDS_PER_HOUR_OF_PROVISIONAL = 100


class Program:
    """A program for the original service: it knows a base URL, a key and the header for it."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._headers = {"X-API-Key": agent.text}

    async def get(self, path: str, **params: str) -> Json:
        response = await self._agent.http.get(path, params=params, headers=self._headers)
        return dict(success(response))

    async def post(self, path: str, body: Json | None = None) -> Json:
        return dict(success(await self.respond(path, body)))

    async def respond(self, path: str, body: Json | None = None) -> Response:
        return await self._agent.http.post(path, json=body, headers=self._headers)

    async def delete(self, path: str) -> Json:
        return dict(success(await self._agent.http.delete(path, headers=self._headers)))

    async def send(self, *to: str, **fields: object) -> Json:
        body = {"to": list(to), "subject": "Hello", "body_text": "one", **fields}
        return await self.post("/email/send", body)

    async def address(self) -> str:
        return str((await self.get("/email/account"))["email_address"])


@pytest.fixture
async def ann(tenant: Tenant) -> Program:
    return Program(await tenant.create_agent("ann"))


@pytest.fixture
async def bob(tenant: Tenant) -> Program:
    return Program(await tenant.create_agent("bob"))


async def test_sent_message_is_in_the_inbox_with_all_fields(ann: Program, bob: Program) -> None:
    sent = await ann.send(await bob.address(), subject="TASK:7 — Count", body_text=json.dumps({}))
    inbox = await bob.get("/email/inbox", unread_only="true")

    assert set(sent) == SENT_FIELDS
    assert (sent["status"], sent["delivery_type"]) == ("delivered", "internal")
    assert {"messages", "total", "unread_count", "has_more"} <= set(inbox)
    (message,) = inbox["messages"]
    assert set(message) >= MESSAGE_FIELDS
    assert message["message_id"] == sent["message_id"]
    assert (message["kind"], message["task_id"]) == ("TASK", "7")
    assert (inbox["total"], inbox["unread_count"], inbox["has_more"]) == (1, 1, False)


async def test_reading_the_inbox_does_not_mark_and_reading_a_message_does(
    ann: Program, bob: Program
) -> None:
    sent = await ann.send(await bob.address())
    for _ in range(2):
        assert (await bob.get("/email/inbox", unread_only="true"))["total"] == 1

    message = await bob.get(f"/email/message/{sent['message_id']}")

    assert message["read_at"] is not None
    assert (await bob.get("/email/inbox", unread_only="true"))["total"] == 0
    assert (await bob.get("/email/inbox"))["total"] == 1


async def test_replies_form_a_thread_in_chronological_order(ann: Program, bob: Program) -> None:
    addresses = [await ann.address(), await bob.address()]
    first = await ann.send(addresses[1], subject="Plan")
    second = await bob.send(addresses[0], subject="Re: Plan", in_reply_to=first["message_id"])
    thread = await ann.get(f"/email/thread/{first['thread_id']}")

    assert second["thread_id"] == first["thread_id"]
    assert (thread["subject"], thread["participant_addresses"]) == ("Plan", addresses)
    ids = [one["message_id"] for one in thread["messages"]]
    assert ids == [first["message_id"], second["message_id"]]


async def test_star_toggles_and_delete_removes(ann: Program, bob: Program) -> None:
    path = f"/email/message/{(await ann.send(await bob.address()))['message_id']}"

    assert await bob.post(f"{path}/star") == {"starred": True}
    assert await bob.post(f"{path}/star") == {"starred": False}
    assert await bob.delete(path) == {"deleted": True}
    assert (await bob.get("/email/inbox"))["messages"] == []


async def test_account_has_the_limits_and_what_remains(ann: Program) -> None:
    await ann.send(await ann.address())
    account = await ann.get("/email/account")

    assert set(account) >= ACCOUNT_FIELDS
    for limit in account["rate_limits"].values():
        assert (limit["used"], limit["remaining"]) == (1, limit["limit"] - 1)


async def test_errors_have_the_object_of_the_original(ann: Program) -> None:
    response = await ann.respond("/email/send", {"to": ["a@b@c"], "subject": "", "body_text": ""})

    error = response.json()["error"]
    assert set(error) == {"code", "message", "retry_after", "details"}
    assert error["code"] == "recipient_invalid"


async def test_limit_of_an_hour_is_exact(ann: Program, tenant: Tenant) -> None:
    account = await ann.get("/email/account")
    path = f"/email/accounts/{account['agent_id']}/tier"
    await tenant.request_ok("POST", path, {"tier": "provisional"})
    for _ in range(SENDS_PER_HOUR_OF_PROVISIONAL):
        await ann.send(account["email_address"])

    body = {"to": [account["email_address"]], "subject": "", "body_text": ""}
    response = await ann.respond("/email/send", body)

    error = response.json()["error"]
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) == error["retry_after"] > 0
    assert error["code"] == "rate_limit_exceeded"
    assert error["details"]["limit_type"] == "hourly"
    assert error["details"]["hourly_used"] == error["details"]["hourly_limit"]
    assert {"hourly_resets_at", "daily_used", "daily_limit"} <= set(error["details"])
    assert (await ann.get("/email/account"))["rate_limits"]["hourly"]["remaining"] == 0
