"""Messages of sessions are pushed to their owners, equally over NATS, pages and streams."""

import asyncio
import json

import pytest

from tests.e2e.service.http_clients import Agent, Tenant
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.nats_listener import Listener, wait_until
from tests.e2e.service.notification_readers import NOTIFICATIONS, open_stream

# nats-py does not close the socket of a lost connection.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


async def own_listener(agent: Agent) -> Listener:
    return await agent.listen(f"quorate.{agent.issued.tenant}.agent.{agent.id}.>")


async def test_message_is_pushed_to_the_owner_only(tenant: Tenant, other: Tenant) -> None:
    ann, bob, cid = await tenant.create_agents("ann", "bob", "cid")
    outsider = await other.create_agent("bob")
    after = await tenant.head()
    listeners = {one: await own_listener(one) for one in (ann, bob, cid, outsider)}
    async with open_stream(bob, last=after) as stream:
        for message in ("h\u00e9llo", {"n": 1}, "x" * (16 * 1_024 + 1)):
            body = {"key": "agent:bob:main", "message": message}
            await ann.request_ok("POST", "/v1/tools/sessions_send", body)
        await wait_until(lambda: len(listeners[bob].messages) == 3)
        frames = [await stream.frame() for _ in range(3)]
    listed = await bob.request("GET", NOTIFICATIONS, query={"after": str(after)})

    published = [one.data for one in listeners[bob].messages]
    data = [json.loads(one)["data"] for one in published]
    assert [one["content"] for one in data] == ["h\u00e9llo", {"n": 1}, None]
    assert [one["index"] for one in data] == [0, 1, 2]
    assert b'"notifications":[' + b",".join(published) + b"]" in listed.content
    assert [one.data.encode() for one in frames] == published
    for one in (ann, cid, outsider):
        await listeners[one].client.flush()
        assert listeners[one].messages == []


async def test_wait_for_a_reply_works_over_nats(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    asking, answering = await NatsAgent.of(ann), await NatsAgent.of(bob)
    listener = await own_listener(bob)
    fields = {"key": "agent:bob:main", "message": "?", "wait_for_reply": True}
    waiting = asyncio.create_task(asking.request("sessionsSend", fields))
    await wait_until(lambda: len(listener.messages) == 1)
    message_id = json.loads(listener.messages[0].data)["data"]["message_id"]
    answer = {"key": "agent:bob:main", "message": "!", "in_reply_to": message_id}
    await answering.request("sessionsSend", answer)
    assert (await waiting).json()["result"]["text"] == "!"
