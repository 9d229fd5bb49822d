"""Mail is pushed to its recipient over NATS and streams; nothing is lost while NATS is away."""

import json
import os
import signal

import pytest

from tests.e2e.service.http_clients import Agent, Tenant
from tests.e2e.service.nats_listener import Listener, wait_until
from tests.e2e.service.notification_readers import (
    NOTIFICATIONS,
    open_stream,
    read_all,
    read_page,
    start_long_poll,
)
from tests.e2e.service.service_process import Json, ServiceProcess

# nats-py does not close the socket of a lost connection.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SERVE = ()
CONTACT = "kim@example.com"
LENGTH_NOTIFIED_MAX = 16 * 1_024
MAIL = ("message_received", "message_status", "acknowledgement_due", "send_blocked")


def address(agent: Agent) -> str:
    return f"{agent.name}@{agent.issued.tenant}.agents.localhost"


async def send(sender: Agent, *to: str, **more: object) -> Json:
    body = {"to": to, "subject": "Hello", "body_text": "hello", **more}
    return await sender.request_ok("POST", "/email/send", body)


async def own_listener(agent: Agent, *, reconnects: bool = False) -> Listener:
    """Subscribe to the notifications for one agent only."""
    subject = f"quorate.{agent.issued.tenant}.agent.{agent.id}.>"
    return await agent.listen(subject, reconnects=reconnects)


def published(listener: Listener) -> list[bytes]:
    """Return the bytes of each message once, in the order of arrival."""
    return list(dict.fromkeys(message.data for message in listener.messages))


async def mail_of(agent: Agent, after: int = 0) -> list[Json]:
    found = await read_all(agent, after)
    return [one for one in found if one["type"].removeprefix("quorate.") in MAIL]


async def test_message_is_pushed_to_its_recipient_only(tenant: Tenant, other: Tenant) -> None:
    ann, bob, cid = await tenant.create_agents("ann", "bob", "cid")
    outsider = await other.create_agent("bob")
    after = await tenant.head()
    listeners = {one: await own_listener(one) for one in (ann, bob, cid, outsider)}
    async with open_stream(bob, last=after) as stream:
        sent = await send(ann, address(bob), body_text="h\u00e9llo \N{ROCKET}")
        long = await send(ann, address(bob), body_text="x" * (LENGTH_NOTIFIED_MAX + 1))
        await wait_until(lambda: len(listeners[bob].messages) == 2)
        frames = [await stream.frame() for _ in range(2)]
    listed = await bob.request("GET", NOTIFICATIONS, query={"after": str(after)})

    data = [json.loads(one)["data"] for one in published(listeners[bob])]
    assert [one["message_id"] for one in data] == [sent["message_id"], long["message_id"]]
    assert [one["body_text"] for one in data] == ["h\u00e9llo \N{ROCKET}", None]
    assert data[0]["from_address"] == address(ann)
    assert b'"notifications":[' + b",".join(published(listeners[bob])) + b"]" in listed.content
    assert [one.data.encode() for one in frames] == published(listeners[bob])
    for one in (ann, cid, outsider):
        await listeners[one].client.flush()
        assert listeners[one].messages == []
        assert await mail_of(one) == []


async def test_sender_is_notified_of_what_became_of_its_message(tenant: Tenant) -> None:
    ann, bob, cid = await tenant.create_agents("ann", "bob", "cid")
    listeners = {one: await own_listener(one) for one in (ann, bob, cid)}
    await cid.lease(cid.id, CONTACT)

    unknown = address(ann).replace("ann@", "unknown@")
    sent = await send(ann, address(bob), unknown, CONTACT, subject="A secret", ack_required=True)
    await bob.request_ok("POST", f"/email/message/{sent['message_id']}/ack")
    await wait_until(lambda: len(listeners[ann].messages) == 4)
    blocked = await listeners[cid].notification("send_blocked")

    statuses = {one["data"]["status"]: one["data"] for one in await mail_of(ann)}
    assert statuses.keys() == {"bounced", "blocked", "read", "acknowledged"}
    assert statuses["bounced"]["address"] == unknown
    assert (statuses["blocked"]["address"], statuses["blocked"]["reason"]) == (
        CONTACT,
        "lease_conflict",
    )
    assert statuses["acknowledged"]["by_agent_id"] == bob.id
    assert blocked["data"]["contactEmail"] == CONTACT
    assert "secret" not in json.dumps(blocked)
    assert listeners[cid].names() == ["send_blocked"]
    assert listeners[bob].names() == ["message_received"]


async def test_body_that_was_erased_before_catching_up_is_null(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    listener = await own_listener(bob)
    sent = await send(ann, address(bob))
    pushed = await listener.notification("message_received")
    await tenant.request_ok("POST", f"/email/message/{sent['message_id']}/erase")
    [listed] = await mail_of(bob)
    async with open_stream(bob, last=pushed["sequence"] - 1) as stream:
        streamed = (await stream.frame()).json()

    assert pushed["data"]["body_text"] == "hello"
    assert listed == streamed == pushed | {"data": pushed["data"] | {"body_text": None}}


async def test_agent_that_lost_nats_catches_up_without_a_gap(
    service: ServiceProcess, tenant: Tenant
) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    after = await tenant.head()
    listener = await own_listener(bob, reconnects=True)
    first = await send(ann, address(bob), body_text="before")
    await listener.notification("message_received")
    (pid,) = service.nats_servers()
    os.kill(pid, signal.SIGKILL)
    await listener.lost.wait()
    missed = [await send(ann, address(bob), body_text=f"number {one}") for one in range(3)]

    page = await read_page(bob, after)
    expected = [first["message_id"], *(one["message_id"] for one in missed)]
    assert [one["data"]["message_id"] for one in page["notifications"]] == expected
    assert page["gap"] is None
    await wait_until(lambda: len(published(listener)) >= len(expected))
    listed = await bob.request("GET", NOTIFICATIONS, query={"after": str(after)})
    assert b'"notifications":[' + b",".join(published(listener)) + b"]" in listed.content


async def test_long_poll_ends_with_the_body_of_a_message(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    poll = start_long_poll(bob, await tenant.head(), 30)
    sent = await send(ann, address(bob))

    [notification] = (await poll)["notifications"]
    assert notification["data"]["message_id"] == sent["message_id"]
    assert notification["data"]["body_text"] == "hello"
