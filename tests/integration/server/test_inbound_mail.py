"""Mail from outside: who receives it, what is rejected, threads, copies and reports."""

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest
import pytest_asyncio

from quorate.contracts.mail.messages import INBOUND_BYTES_MAX
from quorate.domain.mail.delivery_attempts import QueueHeld, RecordRelayed
from quorate.domain.shared.quotas import Quotas
from quorate.eventlog.envelopes import Accepted, CommandEnvelope
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.server.inbound_service import (
    KIM,
    InboundService,
    complaint,
    create_inbound,
    dsn,
    raw_message,
)

SEED = 20261129
MAILBOX_BYTES = 300_000
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    quotas = Quotas(mailbox_bytes_per_agent=MAILBOX_BYTES)
    async with run_in_process(tmp_path_factory.mktemp("inbound"), quotas=quotas) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def service(running: InProcess) -> InboundService:
    """A tenant of its own, with the agents ann and bob."""
    return await create_inbound(running, "ann", "bob")


async def test_message_reaches_the_agents_it_names(service: InboundService) -> None:
    raw = raw_message(
        service.ann.upper(), f"nobody@{service.domain}", "lee@example.org", subject="TASK:7 Look"
    )

    found = await service.receive(raw)

    assert found["accepted"] == [service.ann]
    assert {one["address"]: one["reason"] for one in found["rejected"]} == {
        f"nobody@{service.domain}": "no_such_agent",
        "lee@example.org": "not_local",
    }
    (message,) = await service.inbox("ann")
    assert message["message_id"] == found["message_id"]
    assert (message["from_address"], message["from_agent_id"]) == (KIM, None)
    assert (message["subject"], message["kind"], message["task_id"]) == ("TASK:7 Look", "TASK", "7")
    assert message["body_text"].replace("\r\n", "\n") == "Hi.\n"
    assert message["direction"] == "inbound"
    assert await service.inbox("bob") == []


async def test_other_domains_are_not_local_whether_they_exist_or_not(
    service: InboundService,
) -> None:
    other = await create_inbound(service.service)

    found = await service.receive(
        raw_message(
            service.ann,
            f"eve@{other.domain}",
            f"eve@unknown.{service.domain}",
            f"ann@sub{service.domain}",
        )
    )

    reasons = {one["reason"] for one in found["rejected"]}
    assert (found["accepted"], reasons) == ([service.ann], {"not_local"})


async def test_repeated_message_is_stored_once(service: InboundService) -> None:
    raw = raw_message(service.ann)
    found = await asyncio.gather(*(service.receive(raw) for _ in range(5)))

    again = await service.receive(raw)

    assert {one["message_id"] for one in found} == {again["message_id"]}
    assert all(one["accepted"] == [service.ann] for one in [*found, again])
    assert len(await service.inbox("ann")) == 1


async def test_copy_for_another_recipient_reaches_it(service: InboundService) -> None:
    """Mail servers send one copy for each recipient, and no header names those of Bcc."""
    first = await service.receive(raw_message("list@example.com", Delivered_To=service.ann))

    second = await service.receive(raw_message("list@example.com", X_Original_To=service.bob))

    assert second["accepted"] == [service.bob]
    assert second["message_id"] == first["message_id"]
    for agent in ("ann", "bob"):
        (message,) = await service.inbox(agent)
        assert message["message_id"] == first["message_id"]
        assert message["body_text"].startswith("Hi.")


async def test_message_id_of_another_message_gives_no_access_to_it(
    service: InboundService,
) -> None:
    secret = await service.receive(raw_message(service.ann, text="The code is 7.\n"))

    found = await service.receive(
        raw_message(service.bob, sender="eve@example.net", text="Mine.\n")
    )

    (message,) = await service.inbox("bob")
    assert found["message_id"] not in {None, secret["message_id"]}
    assert message["body_text"].startswith("Mine.")


async def test_replies_join_the_thread_of_their_recipient(service: InboundService) -> None:
    body = {"to": [KIM], "subject": "Offer", "body_text": "?", "agent_name": "ann"}
    sent = await service.ok("POST", "/email/send", body)
    own = f"<{sent['message_id']}@{service.domain}>"
    await service.receive(raw_message(service.ann, message_id="<2@example.com>", In_Reply_To=own))
    await service.receive(
        raw_message(service.ann, message_id="<3@example.com>", References=f"{own} <2@example.com>")
    )
    await service.receive(raw_message(service.bob, message_id="<4@example.com>", In_Reply_To=own))

    thread = await service.ok("GET", f"/email/thread/{sent['thread_id']}")

    ids = [one["message_id"] for one in thread["messages"]]
    assert len(ids) == 3
    assert [one["in_reply_to"] for one in thread["messages"]] == [None, *ids[:2]]
    (outsider,) = await service.inbox("bob")
    assert outsider["thread_id"] != sent["thread_id"], "bob takes no part in the thread"


async def test_policy_of_the_agent_applies(service: InboundService) -> None:
    await service.ok("PUT", "/email/policy", {"mode": "closed", "agent_name": "ann"})

    found = await service.receive(raw_message(service.ann, service.bob))

    assert found["accepted"] == [service.bob]
    assert found["rejected"] == [
        {"address": service.ann, "reason": "contact_blocked", "detail": None}
    ]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Auto_Submitted": "auto-replied"}, "loop"),
        ({"message_id": "<msg_1@{domain}>"}, "loop"),
        ({"Return_Path": "<>"}, "loop"),
        ({"sender": "bob@{domain}"}, "sender_is_local"),
    ],
)
async def test_loops_and_forged_senders_are_rejected(
    service: InboundService, headers: dict[str, str], reason: str
) -> None:
    with_domain = {name: value.format(domain=service.domain) for name, value in headers.items()}

    found = await service.receive(raw_message(service.ann, **with_domain))

    assert (found["message_id"], found["accepted"]) == (None, [])
    assert [(one["address"], one["reason"]) for one in found["rejected"]] == [(service.ann, reason)]
    assert await service.inbox("ann") == []


async def test_message_that_passed_many_servers_is_a_loop(service: InboundService) -> None:
    received = b"Received: from a by b; Sun, 29 Nov 2026 12:00:00 +0000\r\n" * 26

    found = await service.receive(received + raw_message(service.ann))

    assert [one["reason"] for one in found["rejected"]] == ["loop"]
    assert "25" in found["rejected"][0]["detail"]


async def test_attachments_are_listed(service: InboundService) -> None:
    raw = (
        f"From: {KIM}\r\nTo: {service.ann}\r\nSubject: Files\r\nMessage-ID: <5@example.com>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n"
        "--b\r\nContent-Type: application/pdf\r\n"
        'Content-Disposition: attachment; filename="../../offer.pdf"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n"
    ).encode()

    await service.receive(raw)

    (message,) = await service.inbox("ann")
    (attachment,) = message["attachments"]
    assert message["has_attachments"] is True
    assert (attachment["name"], attachment["content_type"]) == ("offer.pdf", "application/pdf")
    assert attachment["size"] == len(b"hello")


async def relayed(service: InboundService, *to: str) -> str:
    """Send a message of ann and record that it was relayed; return its id."""
    body = {"to": list(to), "subject": "Offer", "body_text": "?", "agent_name": "ann"}
    sent = await service.ok("POST", "/email/send", body)
    message_id = str(sent["message_id"])
    running = service.service.running.service
    for number in range(len(to)):
        id_ = f"{message_id}.{number}"
        for command in (
            QueueHeld(message_id=message_id, delivery_id=id_),
            RecordRelayed(message_id=message_id, delivery_id=id_),
        ):
            envelope = CommandEnvelope(
                tenant=service.tenant,
                actor="quorate",
                command_id=running.id(),
                command=command,
                render=lambda _: b"",
            )
            assert isinstance(await running.command_bus.submit(envelope), Accepted)
    return message_id


async def bounced(service: InboundService) -> dict[str, str]:
    found = await service.ok("GET", "/v1/events?type=MessageBounced&limit=100")
    return {one["data"]["address"]: one["data"]["detail"] for one in found["events"]}


async def test_bounce_report_bounces_the_recipients_it_names(service: InboundService) -> None:
    message_id = await relayed(service, KIM, "lee@example.org")
    report = dsn(
        f"{message_id}@{service.domain}", "Kim@Example.com", "eve@example.com", to=service.ann
    )

    for _ in range(2):  # Repeated reports count once.
        found = await service.receive(report)
        assert (found["accepted"], found["message_id"]) == ([service.ann], None)

    assert await bounced(service) == {KIM: "550 5.1.1 No such user"}
    account = await service.ok("GET", "/email/account?agent_name=ann")
    assert account["total_bounced"] == 1
    assert await service.inbox("ann") == []


async def test_complaint_counts_for_the_sender(service: InboundService) -> None:
    message_id = await relayed(service, KIM)

    await service.receive(complaint(f"{message_id}@{service.domain}", KIM, to=service.ann))

    account = await service.ok("GET", "/email/account?agent_name=ann")
    assert account["total_spam_complaints"] == 1


@pytest.mark.parametrize("original", ["msg_" + "0" * 32 + "@{domain}", "1@example.com"])
async def test_report_about_an_unknown_message_is_rejected(
    service: InboundService, original: str
) -> None:
    found = await service.receive(dsn(original.format(domain=service.domain), KIM, to=service.ann))

    assert [one["reason"] for one in found["rejected"]] == ["unknown_report"]


async def test_only_keys_of_role_mail_may_deliver(service: InboundService) -> None:
    response = await service.post(raw_message(service.ann), key=service.service.key)

    assert (response.status, response.json["code"]) == (403, "role_forbidden")


async def test_message_that_is_too_large_is_rejected(service: InboundService) -> None:
    response = await service.post(raw_message(service.ann, text="x" * INBOUND_BYTES_MAX))

    assert (response.status, response.json["code"]) == (413, "body_too_large")


async def test_full_mailbox_rejects(service: InboundService) -> None:
    lines = "x" * 70 + "\r\n"
    half = raw_message(service.ann, text=lines * (MAILBOX_BYTES // 140))
    assert (await service.receive(half))["accepted"] == [service.ann]

    again = half.replace(b"<1@", b"<2@") + lines.encode()
    found = await service.receive(again)

    assert [one["reason"] for one in found["rejected"]] == ["mailbox_full"]


async def test_hostile_bytes_never_cause_an_internal_error(service: InboundService) -> None:
    valid = raw_message(
        service.ann, Content_Type="multipart/mixed; boundary=b", text="--b\r\n\r\n\0x"
    )
    random = Random(SEED)
    samples = [b"", b"\0", b"\r\n\r\n", random.randbytes(1_000), b"From: " + b"(" * 20_000, valid]
    for _ in range(100):
        changed = bytearray(valid)
        for _ in range(random.randint(1, 20)):
            changed[random.randrange(len(changed))] = random.randrange(256)
        samples.append(bytes(changed))

    for raw in samples:
        response = await service.post(raw)

        assert response.status in {200, 400}, (raw, response.body)
        if response.status == 200:
            assert {"message_id", "accepted", "rejected"} == response.json.keys()
        else:
            assert response.json["detail"]
