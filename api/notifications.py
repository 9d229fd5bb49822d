"""An agent's notifications over HTTP: pages, long polls, and a stream of server-sent events.

* Each notification has exactly the bytes that were published over NATS.
* An agent that was disconnected, slow or restarted catches up from the last sequence it handled.
  It recognizes repetitions by their id.
"""

import asyncio

from orjson import Fragment

from quorate.api.event_streams import (
    Frames,
    frame,
    gap_frame,
    gap_range,
    start_after,
    stream,
    wait_while_connected,
)
from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, Streamed, handles
from quorate.application.rendering import dump
from quorate.bus.cloudevents import NotificationMessage, notification_messages
from quorate.contracts.notification_pages import (
    LIST_NOTIFICATIONS,
    STREAM_NOTIFICATIONS,
    AgentNotificationsQuery,
    NotificationsQuery,
)
from quorate.contracts.problems import Problem
from quorate.contracts.wire_models import PAGE_LENGTH_DEFAULT
from quorate.domain.identity.agents import AgentNotFound, AgentRef, resolve_agent
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.projections.notifications import NotificationPage

PAGE_BYTES_MAX = 512 * 1024  # Pages are limited, because a NATS message has a maximum size.


@handles(LIST_NOTIFICATIONS)
async def list_notifications(service: Service, call: Call) -> Reply:
    query: NotificationsQuery = call.query
    agent_id = await _agent_id(service, call)
    page = await service.notifications.page(
        call.principal.tenant, agent_id, query.after, query.limit
    )
    if query.wait and not _has_content(page):
        page = await _wait_for_page(service, call, agent_id)
    return Reply(body=_page_body(page, agent_id), sequence=page.head)


async def _wait_for_page(service: Service, call: Call, agent_id: str) -> NotificationPage:
    """Return the first page with content, or the current page when the wait ends."""
    query: NotificationsQuery = call.query
    principal, clock = call.principal, asyncio.get_running_loop().time
    until = clock() + query.wait
    subscription = service.subscriptions.subscribe_to_notifications(
        principal.tenant, agent_id, principal.key_id
    )
    async with wait_while_connected(call, subscription) as wait:
        while True:
            wait.begin()
            page = await service.notifications.page(
                principal.tenant, agent_id, query.after, query.limit
            )
            left = until - clock()
            if _has_content(page) or wait.has_ended or left <= 0:
                break
            await wait.for_change(left)
        if wait.is_revoked:
            raise Problem("unauthorized", "The key was revoked.")
    return page


def _has_content(page: NotificationPage) -> bool:
    return bool(page.events) or page.gap is not None


@handles(STREAM_NOTIFICATIONS)
async def stream_notifications(service: Service, call: Call) -> Streamed:
    """Stream notifications after ``Last-Event-ID`` until either side ends the stream."""
    principal, agent_id = call.principal, await _agent_id(service, call)

    async def read_frames(after: int) -> Frames:
        page = await service.notifications.page(
            principal.tenant, agent_id, after, PAGE_LENGTH_DEFAULT
        )
        frames = [
            frame(event.sequence, message.notification.name, message.body)
            for event in page.events
            for message in _messages_to(agent_id, event)
        ]
        gap = [gap_frame(page.gap)] if page.gap else []
        body = b"".join([*gap, *frames])
        return Frames(body=body, after=page.next, more=page.next < page.head)

    subscription = service.subscriptions.subscribe_to_notifications(
        principal.tenant, agent_id, principal.key_id
    )
    return await stream(call, subscription, start_after(call), read_frames)


async def _agent_id(service: Service, call: Call) -> str:
    """Find the agent whose notifications are requested. An agent key reads only its own."""
    query: AgentNotificationsQuery = call.query
    ref = AgentRef(id=query.agent_id, name=query.agent_name)
    ref = resolve_agent(call.principal, ref)
    if call.principal.role == "agent":
        return str(ref.id)
    found = await service.notifications.agent_id(call.principal.tenant, ref)
    if found is None:
        raise AgentNotFound
    return found


# -- Serialization -------------------------------------------------------------


def _messages_to(agent_id: str, event: RecordedEvent) -> list[NotificationMessage]:
    return [
        message for message in notification_messages(event) if message.notification.is_for(agent_id)
    ]


def _page_body(page: NotificationPage, agent_id: str) -> bytes:
    bodies: list[bytes] = []
    size, next_ = 0, page.next
    for number, event in enumerate(page.events, start=1):
        of_event = [message.body for message in _messages_to(agent_id, event)]
        bodies += of_event
        size += sum(map(len, of_event))
        if size >= PAGE_BYTES_MAX and number < len(page.events):
            next_ = event.sequence
            break
    page_response = {
        "notifications": [Fragment(body) for body in bodies],
        "next": next_,
        "head": page.head,
        "gap": gap_range(page.gap) if page.gap else None,
    }
    return dump(page_response)
