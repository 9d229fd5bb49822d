"""All messages that arrive in one mailbox: in order, each once, without polling.

* A notification wakes the reader, and the inbox is read after the last message. So a message is
  complete, and a gap or a lost notification hides none.
* The position is the sequence of the last message. A reader that starts there continues without
  loss, also in another process.
* Notifications come over NATS, or over HTTP while NATS is not connected (client/notifications.py).
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, TypeAlias

from quorate.client import mail_requests
from quorate.client.agent_context import AgentContext
from quorate.client.errors import ClientClosedError, UnavailableError
from quorate.client.notifications import NotificationFeed
from quorate.client.outages import Outage
from quorate.client.results import Notification
from quorate.client.serialization import Response
from quorate.contracts.mail.messages import LIST_LENGTH_MAX, InboxPage, MailMessage
from quorate.domain.mail.notifications import MESSAGE_RECEIVED

PAUSE_SECONDS = 1.0  # After an attempt that had no response before its deadline.
Filters: TypeAlias = Mapping[str, Any]


async def follow_inbox(
    context: AgentContext, feed: NotificationFeed, position: int, filters: Filters
) -> AsyncGenerator[MailMessage, None]:
    """Yield the messages after the sequence ``position`` that match, until the feed ends.

    Raises RequestFailedError when the service rejects the feed or the request permanently.
    """
    start = feed.cursor  # What the feed has delivered is in the inbox.
    outage = Outage("The inbox")
    notifications = feed.notifications(start)
    is_stale = True
    while True:
        if is_stale:
            try:
                response = await _read_page(context, position, filters)
            except UnavailableError as failure:
                outage.record_failure(failure)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            except ClientClosedError:
                return
            outage.record_success()
            page = response.result
            for message in page.messages:
                position = message.sequence
                yield await complete(context, message)
            is_stale = page.has_more and bool(page.messages)
            if not is_stale:  # The page shows all messages up to its sequence.
                position = max(position, response.sequence or 0)
        else:
            notification = await anext(notifications, None)
            if notification is None:
                return
            is_stale = _may_match(notification, position, filters)


async def _read_page(context: AgentContext, position: int, filters: Filters) -> Response[InboxPage]:
    return await context.transport.send(
        mail_requests.list_inbox(
            context.agent_ref, since=str(position), limit=LIST_LENGTH_MAX, **filters
        )
    )


async def complete(context: AgentContext, message: MailMessage) -> MailMessage:
    """Return the message with its bodies, which a list may leave out."""
    if message.erased_at is not None or (message.body_text, message.body_html) != (None, None):
        return message
    request = mail_requests.get_message(context.agent_ref, message.message_id, mark_read=False)
    return await context.execute(request)


def _may_match(notification: Notification, position: int, filters: Filters) -> bool:
    """Whether the notification is of a message that was not read, or may stand for one."""
    if notification.sequence <= position:
        return False
    if notification.is_gap:
        return True
    if notification.name != MESSAGE_RECEIVED:
        return False
    data = notification.raw["data"]
    return all(
        _equal(data[name], wanted)
        for name, wanted in filters.items()
        if wanted is not None and name in data
    )


def _equal(found: object, wanted: object) -> bool:
    return str(found).lower() == str(wanted).lower()
