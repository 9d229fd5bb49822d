"""The mailbox of an agent: send, reply, mark, and receive messages as they arrive."""

import asyncio
import itertools

import pytest

from quorate.client import (
    MailMessage,
    MessageNotFoundError,
    RecipientInvalidError,
    SubjectTooLongError,
    ThreadNotFoundError,
    TooManyRecipientsError,
)
from quorate.client.blocking import Agent as BlockingAgent
from quorate.client.blocking import Mailbox as BlockingMailbox
from quorate.client.mail import Mailbox
from tests.e2e.client.agent_fleet import Fleet, time_limit
from tests.e2e.client.lossy_proxy import lossy_proxy

LARGE = "x" * 200_000  # Larger than a request over NATS may be.
PERSON = "kim@example.com"


async def test_message_arrives_with_its_fields(fleet: Fleet) -> None:
    async with fleet.agent("Ann") as ann, fleet.agent("bob") as bob, time_limit():
        sent = await ann.mail.send("bob", "Hello", "one", html="<p>one</p>", importance="high")
        arrived = await anext(bob.mail.incoming())
        account = await ann.mail.account()

    assert (sent.status, sent.delivery_type) == ("delivered", "internal")
    assert (arrived.message_id, arrived.thread_id) == (sent.message_id, sent.thread_id)
    assert (arrived.subject, arrived.body_text, arrived.body_html) == ("Hello", "one", "<p>one</p>")
    assert (arrived.direction, arrived.importance) == ("inbound", "high")
    assert arrived.from_address == account.email_address
    assert arrived.to_addresses == [account.email_address.replace("ann", "bob")]
    assert account.rate_limits.hourly.used == 1


async def test_large_message_arrives_whole(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, fleet.agent("bob") as bob, time_limit():
        await ann.mail.send("bob", "Report", LARGE)
        arrived = await anext(bob.mail.incoming())

    assert arrived.body_text == LARGE


async def test_messages_arrive_in_order_each_once_and_resume_after_the_last(fleet: Fleet) -> None:
    texts = [f"{number}" for number in range(12)]
    received: list[str | None] = []
    async with fleet.agent("ann") as ann:
        async with fleet.agent("bob") as bob, time_limit():
            for text in texts[:4]:
                await ann.mail.send("bob", "Hello", text)
            async for message in bob.mail.incoming():
                received.append(message.body_text)
                if len(received) < 5:
                    await ann.mail.send("bob", "Hello", texts[3 + len(received)])
                if len(received) == 6:
                    break
            last = message.sequence
        async with fleet.agent("bob") as bob, time_limit():
            incoming = bob.mail.incoming(since=last)
            for text in texts[8:]:
                await ann.mail.send("bob", "Hello", text)
            received += [(await anext(incoming)).body_text for _ in texts[6:]]
            await ann.mail.send("bob", "Hello", "after all")
            received.append((await anext(incoming)).body_text)

    assert received == [*texts, "after all"]


async def test_reader_waits_only_for_matching_messages(fleet: Fleet) -> None:
    async with fleet.agent("Ann") as ann, fleet.agent("bob") as bob, time_limit():
        incoming = bob.mail.incoming(kind="STATUS", from_address=await ann.mail.address())
        arriving = asyncio.ensure_future(anext(incoming))
        await ann.mail.send("bob", "Hello", "one")
        await bob.mail.send("bob", "STATUS:7 — from another", "two")
        await ann.mail.send("bob", "STATUS:7 — halfway", "three")
        arrived = await arriving

    assert (arrived.body_text, arrived.task_id) == ("three", "7")


async def test_iteration_ends_when_agent_disconnects(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, time_limit():
        has_arrived = asyncio.Event()
        reading = asyncio.create_task(_read(ann.mail, has_arrived))
        await ann.mail.send("ann", "Note", "to myself")
        await has_arrived.wait()

    assert await reading == ["to myself"]


async def _read(mail: Mailbox, has_arrived: asyncio.Event) -> list[str | None]:
    texts = []
    async for message in mail.incoming():
        texts.append(message.body_text)
        has_arrived.set()
    return texts


# -- Send and reply ----------------------------------------------------------


async def test_reply_goes_to_sender_with_one_re_and_stays_in_the_thread(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, fleet.agent("bob") as bob, time_limit():
        sent = await ann.mail.send("bob", "Plan", "one")
        await bob.mail.reply(await anext(bob.mail.incoming()), "two")
        answer = await anext(ann.mail.incoming())
        await ann.mail.reply(answer, "three")
        thread = await bob.mail.thread(sent.thread_id)

    assert [one.subject for one in thread.messages] == ["Plan", "Re: Plan", "Re: Plan"]
    assert [one.body_text for one in thread.messages] == ["one", "two", "three"]
    assert answer.in_reply_to == sent.message_id
    assert thread.subject == "Plan"


async def test_reply_to_all_leaves_out_the_agent_itself(fleet: Fleet) -> None:
    async with (
        fleet.agent("Ann") as ann,
        fleet.agent("Bob") as bob,
        fleet.agent("eve") as eve,
        time_limit(),
    ):
        by_id = (await bob.mail.address()).replace("bob", bob.id)
        await ann.mail.send([by_id, "eve"], "Plan", "one", cc=PERSON)
        message = await anext(bob.mail.incoming())
        await bob.mail.reply(message, "two", reply_all=True)
        copy = (await eve.mail.inbox()).messages[0]
        follow_up = await ann.mail.reply(message.message_id, "three")

    assert copy.to_addresses == [message.from_address]
    assert copy.cc_addresses == [_in_domain(message, "eve"), PERSON]
    assert [one.address for one in follow_up.recipients] == [
        by_id,
        _in_domain(message, "eve"),
    ]


def _in_domain(message: MailMessage, name: str) -> str:
    return f"{name}@{message.from_address.partition('@')[2]}"


async def test_idempotency_key_sends_once(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, fleet.agent("bob") as bob, time_limit():
        sent = [
            await ann.mail.send("bob", "Hello", "one", idempotency_key="hello-1") for _ in range(2)
        ]
        arrived = (await bob.mail.inbox()).messages

    assert sent[0] == sent[1]
    assert len(arrived) == 1


async def test_lost_response_does_not_send_twice(fleet: Fleet) -> None:
    async with fleet.agent("bob") as bob, time_limit():
        with lossy_proxy(fleet.service.url, "/email/send", lambda: None) as proxy:
            key = await fleet.get_key("ann")
            sent = await asyncio.to_thread(_send_blocking, proxy.url, key)
        arrived = (await bob.mail.inbox()).messages

    assert proxy.losses == 1
    assert [one.message_id for one in arrived] == [sent]


def _send_blocking(url: str, key: str) -> str:
    with BlockingAgent.connect(url, key, nats_url="") as agent:
        return agent.mail.send("bob", "Hello", "one").message_id


async def test_lease_of_another_agent_blocks_mail_to_its_contact(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, fleet.agent("bob") as bob, time_limit():
        async with bob.lease(PERSON) as lease:
            blocked = await ann.mail.send(PERSON, "Offer", "one")
            held = await bob.mail.send(PERSON, "Offer", "two", lease=lease)
        stale = await bob.mail.send(PERSON, "Offer", "three", lease_fence=lease.fence)

    assert (blocked.status, blocked.recipients[0].reason) == ("blocked", "lease_conflict")
    assert (held.status, held.recipients[0].reason) == ("held", "no_relay")
    assert (stale.status, stale.recipients[0].reason) == ("blocked", "stale_fence")


async def test_rejections_have_their_own_exceptions(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, time_limit():
        with pytest.raises(RecipientInvalidError):
            await ann.mail.send("a b@example.com", "Hello", "one")
        with pytest.raises(TooManyRecipientsError):
            await ann.mail.send([f"agent{number}" for number in range(11)], "Hello", "one")
        with pytest.raises(SubjectTooLongError):
            await ann.mail.send("ann", "x" * 257, "one")
        with pytest.raises(MessageNotFoundError):
            await ann.mail.send("ann", "Hello", "one", in_reply_to="msg_unknown")
        with pytest.raises(ThreadNotFoundError):
            await ann.mail.thread("thr_unknown")


# -- Marks, lists and policy -------------------------------------------------


async def test_marks_are_set_and_removed(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, fleet.agent("bob") as bob, time_limit():
        await ann.mail.send("bob", "Hello", "one", ack_required=True)
        (message,) = (await bob.mail.inbox(unread_only=True)).messages
        read = await bob.mail.read(message)
        unread = await bob.mail.unread(message.message_id)
        starred = [await bob.mail.star(message), await bob.mail.star(message, starred=False)]
        acked = await bob.mail.ack(message)
        seen = await bob.mail.message(message.message_id)
        await bob.mail.delete(message)
        left = await bob.mail.inbox()
        kept = await ann.mail.sent()

    assert read.read_at is not None
    assert unread.read_at is None
    assert starred == [True, False]
    assert acked.acked_at is not None
    assert (seen.body_text, seen.acked_at) == ("one", acked.acked_at)
    assert left.messages == []
    assert [one.message_id for one in kept.messages] == [message.message_id]


async def test_iterations_read_all_pages(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.client.mail_reading.LIST_LENGTH_MAX", 2)
    async with fleet.agent("ann") as ann, time_limit():
        sent = await ann.mail.send("ann", "Note", "0")
        for number in range(1, 5):
            await ann.mail.send("ann", "Note", f"{number}", in_reply_to=sent.message_id)
        inbox = [one.body_text async for one in ann.mail.iterate_inbox()]
        outbox = [one.body_text async for one in ann.mail.iterate_sent()]
        thread = [one.body_text async for one in ann.mail.iterate_thread(sent.thread_id)]
        page = await ann.mail.thread(sent.thread_id, order="desc", limit=2)

    assert inbox == outbox == ["4", "3", "2", "1", "0"]
    assert thread == ["0", "1", "2", "3", "4"]
    assert [one.body_text for one in page.messages] == ["4", "3"]


async def test_policy_blocks_a_sender(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, fleet.agent("bob") as bob, time_limit():
        before = await bob.mail.policy()
        after = await bob.mail.set_policy("open", block=["ann"])
        sent = await ann.mail.send("bob", "Hello", "one")

    assert (before.mode, before.block) == ("open", [])
    assert (after.mode, after.block) == ("open", ["ann"])
    assert (sent.status, sent.recipients[0].reason) == ("blocked", "contact_blocked")


# -- Tenant key and blocking face ----------------------------------------------


async def test_agent_with_a_tenant_key_has_its_own_mailbox(fleet: Fleet) -> None:
    async with (
        fleet.agent("ann") as ann,
        ann.connect(fleet.service.url, fleet.tenant.text, name="bob", nats_url="") as bob,
        time_limit(),
    ):
        await ann.mail.send("bob", "Hello", "one")
        message = await anext(bob.mail.incoming())
        await bob.mail.ack(message)
        await bob.mail.reply(message, "two")
        answer = await anext(ann.mail.incoming())

    assert (answer.body_text, answer.from_agent_id) == ("two", bob.id)


async def test_blocking_mailbox(fleet: Fleet) -> None:
    url, nats_url = fleet.service.url, fleet.nats_url
    with (
        BlockingAgent.connect(url, await fleet.get_key("ann"), nats_url=nats_url) as ann,
        BlockingAgent.connect(url, await fleet.get_key("bob"), nats_url=nats_url) as bob,
    ):
        with ann.lease(PERSON) as lease:
            assert ann.mail.send(PERSON, "Offer", "one", lease=lease).status == "held"
        ann.mail.send("bob", "Hello", "one")
        message = next(bob.mail.incoming())
        bob.mail.reply(message, "two")
        arrived = list(itertools.islice(ann.mail.incoming(since=0), 1))
        thread = list(ann.mail.iterate_thread(message.thread_id))

    assert [one.body_text for one in arrived] == ["two"]
    assert [one.body_text for one in thread] == ["one", "two"]


def test_blocking_mailbox_has_every_public_name() -> None:
    public = {name for name in dir(Mailbox) if not name.startswith("_")}

    assert public - {"background", "send_located"} == {
        name for name in dir(BlockingMailbox) if not name.startswith("_")
    }
