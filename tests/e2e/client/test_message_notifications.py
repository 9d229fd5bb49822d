"""The SDK gives notifications of mail as typed objects, pushed and listed."""

from typing import Any

from quorate.client import MessageReceived, MessageStatus
from quorate.client.results import Notification
from tests.e2e.client.agent_fleet import Fleet, ReceivedNotifications, collecting
from tests.e2e.service.http_clients import Agent as Sender
from tests.e2e.service.nats_listener import wait_until

KINDS = (MessageReceived, MessageStatus)


async def send(sender: Sender, to: str, text: str) -> str:
    address = f"{to}@{sender.issued.tenant}.agents.localhost"
    body = {"to": [address], "subject": "TASK:7: leads", "body_text": text, "ack_required": True}
    sent = await sender.request_ok("POST", "/email/send", body)
    return str(sent["message_id"])


def of_mail(notifications: list[Notification]) -> list[Any]:
    return [one.data for one in notifications if isinstance(one.data, KINDS)]


async def wait_for(received: ReceivedNotifications, count: int) -> list[Any]:
    await wait_until(lambda: len(of_mail(received.notifications)) >= count)
    return of_mail(received.notifications)


async def test_message_is_typed_and_has_its_body(fleet: Fleet) -> None:
    sender = await fleet.tenant.create_agent("sender")
    async with fleet.agent("outreach") as agent:
        began_after = agent.cursor
        async with collecting(agent) as received:
            message_id = await send(sender, "outreach", "h\u00e9llo")
            [pushed] = await wait_for(received, 1)
        unread = await send(sender, "outreach", "not read yet")
    async with fleet.agent("outreach", after=began_after) as agent, collecting(agent) as again:
        listed, later = await wait_for(again, 2)

    assert (pushed.message_id, pushed.body_text) == (message_id, "h\u00e9llo")
    assert (pushed.kind, pushed.task_id, pushed.level) == ("TASK", "7", None)
    assert listed == pushed
    assert (later.message_id, later.body_text) == (unread, "not read yet")


async def test_status_of_a_sent_message_is_typed(fleet: Fleet) -> None:
    sender = await fleet.tenant.create_agent("sender")
    async with fleet.agent("outreach") as agent, collecting(agent) as received:
        key = await fleet.get_key("outreach")
        request = {"to": [f"sender@{fleet.tenant.id}.agents.localhost"], "subject": "x"}
        headers = {"Authorization": f"Bearer {key}"}
        sent = await sender.request_ok("POST", "/email/send", request, headers=headers)
        await sender.request_ok("POST", f"/email/message/{sent['message_id']}/ack")
        [status] = await wait_for(received, 1)

    assert (status.status, status.by_agent_id) == ("acknowledged", sender.id)
    assert status.message_id == sent["message_id"]
