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
from quorate.application.operations import Call, Endpoint, Reply, Streamed
from quorate.bus.cloudevents import NotificationMessage, notification_messages
from quorate.contracts.problems import KINDS, Problem
from quorate.contracts.requests import (
    PAGE_LENGTH_DEFAULT,
    AgentNotificationsQuery,
    NotificationsQuery,
    NotificationsStreamQuery,
)
from quorate.contracts.responses import NotificationsResponse, dump
from quorate.contracts.roles import CAN_ACT
from quorate.domain.identity.agents import AgentRef, resolve_agent
from quorate.domain.shared.errors import DomainError
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.serialization import public
from quorate.projections.notifications import NotificationPage

NOTIFICATIONS = "/v1/agent/notifications"
PAGE_BYTES_MAX = 512 * 1024  # Pages are limited, because a NATS message has a maximum size.


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
    try:
        ref = resolve_agent(call.principal, ref)
    except DomainError as error:
        title = KINDS[error.code].title
        raise Problem(error.code, f"{title}.", **public(error.details)) from None
    if call.principal.role == "agent":
        return str(ref.id)
    found = await service.notifications.agent_id(call.principal.tenant, ref)
    if found is None:
        raise Problem("agent_not_found", "Agent not found.")
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


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=NOTIFICATIONS,
        name="listNotifications",
        summary="List an agent's notifications",
        description="With `wait`, the request waits until a notification is available.",
        roles=CAN_ACT,
        query=NotificationsQuery,
        response=NotificationsResponse,
        problems=("agent_not_found", "acting_as_another", "too_many_streams"),
        handler=list_notifications,
    ),
    Endpoint(
        method="GET",
        path=NOTIFICATIONS + "/stream",
        name="streamNotifications",
        summary="Stream an agent's notifications",
        description="The response is a stream of server-sent events.",
        roles=CAN_ACT,
        query=NotificationsStreamQuery,
        problems=("agent_not_found", "acting_as_another", "too_many_streams"),
        streams=True,
        handler=stream_notifications,
    ),
)
