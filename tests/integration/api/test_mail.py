"""Mail over HTTP: sending, marks, deletion and erasure, limits of sizes, and who may do what."""

import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from quorate.domain.mail.addresses import RECIPIENTS_MAX
from quorate.domain.mail.messages import BODY_BYTES_MAX
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.mail_service import (
    DOMAIN,
    SEND,
    Mailbox,
    create_mailboxes,
    mail_to,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
EURO = "\N{EURO SIGN}"  # Three bytes of UTF-8.
OF_256_KIB = EURO * (BODY_BYTES_MAX // 3) + "x" * (BODY_BYTES_MAX % 3)
_numbers = itertools.count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("mail") / "data") as service:
        yield service


@pytest_asyncio.fixture(loop_scope="module")
async def boxes(service: InProcess) -> list[Mailbox]:
    """Three agents whose names no other test uses."""
    number = next(_numbers)
    return await create_mailboxes(service, *(f"{name}{number}" for name in ("ann", "bob", "cat")))


def path_of(message: str, action: str = "") -> str:
    return f"/email/message/{message}{action}"


# -- Sending -------------------------------------------------------------------


async def test_message_is_in_the_inbox_when_the_sender_has_its_answer(
    boxes: list[Mailbox],
) -> None:
    ann, bob, _ = boxes
    sent = await ann.send(bob, subject="TASK:7 — Report", importance="urgent")
    assert (sent["status"], sent["delivery_type"]) == ("delivered", "internal")
    assert sent["message_id"].startswith("msg_")
    assert sent["thread_id"].startswith("thr_")
    expected = {
        "address": bob.address,
        "delivery_type": "internal",
        "status": "delivered",
        "reason": None,
    }
    assert sent["recipients"] == [expected]

    page = await bob.inbox()
    [message] = page["messages"]
    assert (page["total"], page["unread_count"], page["has_more"]) == (1, 1, False)
    assert message["message_id"] == sent["message_id"]
    assert (message["from_address"], message["from_agent_id"]) == (ann.address, ann.id)
    assert (message["direction"], message["body_text"]) == ("inbound", "hello")
    assert (message["kind"], message["task_id"], message["importance"]) == ("TASK", "7", "urgent")
    [own] = (await ann.call("GET", "/email/sent"))["messages"]
    assert (own["direction"], own["to_addresses"]) == ("outbound", [bob.address])


async def test_tenant_key_names_the_agent(boxes: list[Mailbox], service: InProcess) -> None:
    ann, bob, _ = boxes
    for fields in ({"agent_id": ann.id}, {"agent_name": ann.name}):
        body = mail_to(bob, **fields)
        response = await ann.request("POST", SEND, body, key=service.key)
        assert response.status == 200
    other = Mailbox(service, "", "", service.key)
    assert (await other.inbox(agent_id=bob.id))["total"] == 2
    assert "mailbox_required" in await other.rejection("GET", "/email/inbox")


async def test_other_mailboxes_are_closed_to_an_agent(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    assert "403" in await ann.rejection("GET", "/email/inbox", agent_id=bob.id)
    assert "403" in await ann.rejection("POST", SEND, mail_to(bob, agent_id=bob.id))


@pytest.mark.parametrize(
    ("fields", "rejection"),
    [
        ({"subject": "é" * 257}, "422 subject_too_long"),
        ({"subject": "a\r\nBcc: x@example.com"}, "422 invalid_request"),
        ({"subject": "a\x00b"}, "422 invalid_request"),
        ({"subject": "a\u2028b"}, "422 invalid_request"),
        ({"to": []}, "422 too_many_recipients"),
        ({"to": ["ann"]}, "422 recipient_invalid"),
        ({"in_reply_to": "msg_none"}, "404 message_not_found"),
        ({"importance": "very"}, "422 invalid_request"),
    ],
)
async def test_invalid_message_is_rejected(
    boxes: list[Mailbox], fields: dict[str, object], rejection: str
) -> None:
    ann, bob, _ = boxes
    assert await ann.rejection("POST", SEND, mail_to(bob) | fields) == rejection
    assert (await bob.inbox())["total"] == 0


async def test_recipients_are_counted_together(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    many = [f"nobody{number}@{DOMAIN}" for number in range(RECIPIENTS_MAX - 1)]
    sent = await ann.send(*many[:4], cc=[*many[4:], bob.address])
    assert (sent["status"], len(sent["recipients"])) == ("partial", RECIPIENTS_MAX)
    too_many = mail_to(*many, cc=[bob.address, "kim@example.com"])
    assert await ann.rejection("POST", SEND, too_many) == "422 too_many_recipients"


async def test_longest_message_is_exact_in_bytes(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    sent = await ann.send(bob, subject="é" * 256, body_text=OF_256_KIB, body_html=OF_256_KIB)
    message = await bob.get(sent["message_id"])
    assert message["body_text"] == message["body_html"] == OF_256_KIB
    assert message["subject"] == "é" * 256
    for part in ("body_text", "body_html"):
        body = mail_to(bob) | {part: OF_256_KIB + "x"}
        assert await ann.rejection("POST", SEND, body) == "413 body_too_large"


async def test_other_tenants_look_like_the_rest_of_the_world(
    boxes: list[Mailbox], service: InProcess
) -> None:
    """An agent of another tenant and an address that never existed have the same answer."""
    ann, *_ = boxes
    admin = service.credentials["adminKey"]
    created = await ann.request("POST", "/v1/tenants", {"tenantId": "umbrella"}, key=admin)
    assert created.status in {200, 409}
    key = await ann.request(
        "POST", "/v1/keys", {"role": "tenant", "tenantId": "umbrella"}, key=admin
    )
    register = {"agentName": "rex"}
    agent = await ann.request("POST", "/v1/agent/register", register, key=key.json["key"])
    assert agent.status == 200

    answers = []
    for address in (f"rex@umbrella.{DOMAIN}", f"rex@nowhere.{DOMAIN}", "rex@example.com"):
        sent = await ann.send(address)
        [recipient] = sent["recipients"]
        assert recipient.pop("address") == address
        answers.append((recipient, sent["status"], sent["delivery_type"], sent["message"]))
    assert answers == [answers[0]] * 3
    assert answers[0][1:3] == ("held", "external")


async def test_idempotency_key_sends_once(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    headers = {"Idempotency-Key": ann.name}
    first, again = [
        await ann.request("POST", SEND, mail_to(bob), headers=headers) for _ in range(2)
    ]
    assert first.body == again.body
    assert again.header("idempotent-replayed") == "true"
    other = await ann.request("POST", SEND, mail_to(bob, subject="b"), headers=headers)
    assert other.status in {409, 422}
    assert (await bob.inbox())["total"] == 1


# -- Marks ---------------------------------------------------------------------


async def test_reading_lists_marks_nothing(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    sent = await ann.send(bob)
    for _ in range(2):
        page = await bob.inbox(unread_only="true")
        assert (page["total"], page["unread_count"]) == (1, 1)
    await bob.call("GET", f"/email/thread/{sent['thread_id']}")
    assert (await bob.inbox())["unread_count"] == 1


async def test_message_is_read_when_it_is_got(boxes: list[Mailbox], service: InProcess) -> None:
    ann, bob, _ = boxes
    message_id = (await ann.send(bob))["message_id"]
    issued = await service.call("POST", "/v1/keys", {"role": "auditor"})
    auditor = Mailbox(service, "auditor", "", issued.json["key"])
    for reader, query in (
        (bob, {"mark_read": "false"}),
        (ann, {}),
        (auditor, {}),
        (auditor, {"agent_id": bob.id}),
    ):
        await reader.get(message_id, **query)
        assert (await bob.inbox())["unread_count"] == 1
    assert (await bob.get(message_id))["read_at"] is not None
    assert (await bob.inbox())["unread_count"] == 0
    assert (await bob.inbox(unread_only="true"))["total"] == 0
    assert "role_forbidden" in await auditor.rejection("POST", path_of(message_id, "/star"), {})


async def test_unread_messages_of_all_mailboxes_are_counted(
    boxes: list[Mailbox], service: InProcess
) -> None:
    ann, bob, cat = boxes
    before = (await service.get("/email/unread")).json
    sent = await ann.send(bob, cat)
    await ann.send(bob)

    after = (await service.get("/email/unread")).json
    await bob.get(sent["message_id"])
    read = (await service.get("/email/unread")).json

    assert after == {"unread": before["unread"] + 3, "mailboxes": before["mailboxes"] + 2}
    assert read == {"unread": before["unread"] + 2, "mailboxes": before["mailboxes"] + 2}
    assert await ann.rejection("GET", "/email/unread") == "403 role_forbidden"


async def test_star_toggles_without_a_body(boxes: list[Mailbox]) -> None:
    ann, bob, _ = boxes
    star = path_of((await ann.send(bob))["message_id"], "/star")
    assert await bob.call("POST", star) == {"starred": True}
    assert await bob.call("POST", star) == {"starred": False}
    assert await bob.call("POST", star, {"starred": True}) == {"starred": True}
    assert await bob.call("POST", star, {"starred": True}) == {"starred": True}
    assert await ann.call("POST", star) == {"starred": True}  # Of the sent message.
    assert await bob.call("POST", star, {}) == {"starred": False}


async def test_marks_of_a_message(boxes: list[Mailbox]) -> None:
    ann, bob, cat = boxes
    message_id = (await ann.send(bob, ack_required=True))["message_id"]
    for action, read, acked in (
        ("/read", True, False),
        ("/unread", False, False),
        ("/ack", True, True),
        ("/ack", True, True),
    ):
        marks = await bob.call("POST", path_of(message_id, action))
        assert (marks["read_at"] is not None, marks["acked_at"] is not None) == (read, acked)
    for action in ("", "/read", "/unread", "/ack", "/star"):
        method = "POST" if action else "GET"
        assert await cat.rejection(method, path_of(message_id, action)) == "404 message_not_found"


# -- Deletion and erasure --------------------------------------------------------


async def test_deletion_concerns_the_own_mailbox(boxes: list[Mailbox]) -> None:
    ann, bob, cat = boxes
    sent = await ann.send(bob, cat)
    message = path_of(sent["message_id"])
    assert await cat.call("DELETE", message) == {"deleted": True}
    assert (await cat.inbox())["total"] == (await cat.inbox())["unread_count"] == 0
    assert await cat.rejection("DELETE", message) == "404 message_not_found"
    assert await cat.rejection("GET", message) == "404 message_not_found"
    thread = await cat.call("GET", f"/email/thread/{sent['thread_id']}")
    assert len(thread["messages"]) == 1

    assert (await bob.inbox())["total"] == 1
    assert await ann.call("DELETE", message) == {"deleted": True}
    assert (await ann.call("GET", "/email/sent"))["total"] == 0
    assert await ann.rejection("GET", message) == "404 message_not_found"
    assert (await bob.get(sent["message_id"]))["body_text"] == "hello"


async def test_message_to_oneself_is_in_both_lists(boxes: list[Mailbox]) -> None:
    ann, *_ = boxes
    message_id = (await ann.send(ann))["message_id"]
    await ann.call("DELETE", path_of(message_id))
    assert (await ann.inbox())["total"] == 0
    assert (await ann.call("GET", "/email/sent"))["total"] == 1
    assert (await ann.get(message_id))["direction"] == "outbound"
    await ann.call("DELETE", path_of(message_id))
    assert await ann.rejection("GET", path_of(message_id)) == "404 message_not_found"


async def test_erased_body_is_gone_everywhere(boxes: list[Mailbox], service: InProcess) -> None:
    ann, bob, cat = boxes
    sent = await ann.send(bob, cat, body_html="<p>hello</p>")
    await bob.call("PUT", "/email/policy", {"mode": "open", "block": ["x"]})
    erase = path_of(sent["message_id"], "/erase")
    assert "role_forbidden" in await ann.rejection("POST", erase, {})
    response = await ann.request("POST", erase, {"detail": "request of a person"}, key=service.key)
    assert response.json["erased_at"] is not None
    assert (await ann.request("POST", erase, {}, key=service.key)).body == response.body

    thread = await ann.call("GET", f"/email/thread/{sent['thread_id']}")
    inbox = await bob.inbox()
    for message in (
        *thread["messages"],
        *inbox["messages"],
        await cat.get(sent["message_id"]),
        await ann.get(sent["message_id"]),
    ):
        assert message["body_text"] is message["body_html"] is None
        assert (message["erased_at"], message["subject"]) == (response.json["erased_at"], "Hi")
    account = await bob.call("GET", "/email/account")
    assert (account["stored_bytes"], account["unread_count"]) == (0, 1)
    assert (await bob.call("GET", "/email/policy"))["block"] == ["x"]


# -- Threads -------------------------------------------------------------------


async def test_thread_is_read_by_participants_only(boxes: list[Mailbox]) -> None:
    ann, bob, cat = boxes
    sent = await ann.send(bob, subject="First")
    thread = f"/email/thread/{sent['thread_id']}"
    assert await cat.rejection("GET", thread) == "404 thread_not_found"
    await bob.send(ann, subject="Re: First", in_reply_to=sent["message_id"])
    last = await bob.send(cat, in_reply_to=sent["message_id"])

    page = await cat.call("GET", thread)
    assert (page["subject"], len(page["messages"])) == ("First", 3)
    assert page["participant_addresses"] == [ann.address, bob.address, cat.address]
    assert page["messages"][-1]["message_id"] == last["message_id"]
    assert (await cat.get(sent["message_id"]))["body_text"] == "hello"
    latest = await cat.call("GET", thread, order="desc", limit=1)
    assert latest["messages"][0]["message_id"] == last["message_id"]
