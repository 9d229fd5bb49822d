"""All messages that arrive in one session: in order, each once, without polling.

* A notification wakes the reader, and the history is read after the last index. So a message is
  complete, and a gap or a lost notification hides none.
* The position is the index of the last message, which the service counts without gaps. A reader
  that starts there continues without loss, also in another process.
"""

import asyncio
from collections.abc import AsyncGenerator

from quorate.client import session_requests
from quorate.client.agent_context import AgentContext
from quorate.client.errors import ClientClosedError, RequestFailedError, UnavailableError
from quorate.client.notifications import NotificationFeed
from quorate.client.outages import Outage
from quorate.client.rejections import InternalServerError, RejectedError
from quorate.client.results import Notification
from quorate.contracts.sessions.session_messages import SessionHistory, SessionMessageInfo
from quorate.contracts.sessions.sessions import LIMIT_MAX
from quorate.domain.sessions.notifications import SESSION_MESSAGE

PAUSE_SECONDS = 1.0  # After an attempt that had no response before its deadline.


async def follow_session(
    context: AgentContext, feed: NotificationFeed, key: str, after: int | None
) -> AsyncGenerator[SessionMessageInfo, None]:
    """Yield the messages of others after the index ``after``, until the feed ends.

    Without ``after`` it starts where the feed did. Raises RequestFailedError when the service
    rejects the feed or the request permanently.
    """
    notifications = feed.notifications(feed.cursor)
    outage = Outage("The session")
    position = after
    is_stale = True
    while True:
        if is_stale:
            try:
                if position is None:
                    position = await _last_before(context, key, feed.start)
                page = await _page(context, key, position)
            except ClientClosedError:
                return
            except RequestFailedError as failure:
                if _is_permanent(failure):
                    raise
                outage.record_failure(failure)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            outage.record_success()
            for message in page.messages:
                position = message.index
                if message.sender_id != context.agent_id:
                    yield message
            is_stale = page.has_more and bool(page.messages)
        else:
            notification = await anext(notifications, None)
            if notification is None:
                return
            is_stale = _may_be_of(notification, key)


async def _page(context: AgentContext, key: str, position: int) -> SessionHistory:
    request = session_requests.read_history(context.agent_ref, key, after=position, limit=LIMIT_MAX)
    return await context.execute(request)


async def _last_before(context: AgentContext, key: str, sequence: int) -> int:
    """Return the index of the last message that was there at this sequence, or -1."""
    cursor = None
    while True:
        request = session_requests.read_history(
            context.agent_ref, key, limit=LIMIT_MAX, cursor=cursor
        )
        page = await context.execute(request)
        for message in reversed(page.messages):
            if message.sequence <= sequence:
                return message.index
        cursor = page.next_cursor
        if cursor is None:
            return -1


def _is_permanent(failure: RequestFailedError) -> bool:
    """Whether a retry is pointless. A response of a proxy is never permanent."""
    may_pass = isinstance(failure, UnavailableError | InternalServerError)
    return isinstance(failure, RejectedError) and not may_pass


def _may_be_of(notification: Notification, key: str) -> bool:
    """Whether the notification is of a message of the session, or may stand for one."""
    if notification.is_gap:
        return True
    if notification.name != SESSION_MESSAGE:
        return False
    data = notification.raw["data"]
    return bool(data.get("session_key", key) == key)
