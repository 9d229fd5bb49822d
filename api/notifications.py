"""An agent's notifications over HTTP: pages, long polls, and a stream of server-sent events.

* Each notification has exactly the bytes that were published over NATS, unless the body of its
  message was erased in between.
* An agent that was disconnected, slow or restarted catches up from the last sequence it handled.
  It recognizes repetitions by their id.
"""

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

from orjson import Fragment

from quorate.api.event_streams import (
    Frames,
    check_cursor,
    frame,
    gap_frame,
    gap_range,
    start_after,
    stream,
    wait_while_connected,
)
from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, Streamed, handles
from quorate.application.read_budget import in_parts
from quorate.application.rendering import dump
from quorate.application.subscriptions import CommittedEvent
from quorate.bus.cloudevents import notification_messages
from quorate.contracts.notification_pages import (
    LIST_NOTIFICATIONS,
    STREAM_NOTIFICATIONS,
    AgentNotificationsQuery,
    NotificationsQuery,
)
from quorate.contracts.problems import Problem
from quorate.contracts.wire_models import PAGE_LENGTH_DEFAULT
from quorate.domain.identity.agents import AgentNotFound, AgentRef, resolve_agent
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.notifications import EVERYONE
from quorate.eventlog import pages
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.projections.notifications import NotificationPage

# The frames of an event's notifications, with their recipients.
_FramesOfEvent: TypeAlias = list[tuple[str, bytes]]


@handles(LIST_NOTIFICATIONS)
async def list_notifications(service: Service, call: Call) -> Reply:
    query: NotificationsQuery = call.query
    agent_id = await _agent_id(service, call)
    page, body = await _read_page(service, call, agent_id)
    if query.wait and not _has_content(page):
        page, body = await _wait_for_page(service, call, agent_id)
    service.read_budget.charge(call.principal, len(body))
    return Reply(body=body, sequence=page.head)


async def _read_page(service: Service, call: Call, agent_id: str) -> tuple[NotificationPage, bytes]:
    query: NotificationsQuery = call.query
    async with service.read_budget.turn(call.principal):
        page = await service.notifications.page(
            call.principal.tenant, agent_id, query.after, query.limit
        )
        check_cursor(service, query.log_id, query.after, page.head)
        return page, await _page_body(page, agent_id, service.log.id)


async def _wait_for_page(
    service: Service, call: Call, agent_id: str
) -> tuple[NotificationPage, bytes]:
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
            wait.restart()
            page, body = await _read_page(service, call, agent_id)
            left = until - clock()
            if _has_content(page) or wait.has_ended or left <= 0:
                break
            await wait.for_change(left)
        if wait.is_revoked:
            raise Problem("unauthorized", "The key was revoked.")
    return page, body


def _has_content(page: NotificationPage) -> bool:
    return bool(page.events) or page.gap is not None


@handles(STREAM_NOTIFICATIONS)
async def stream_notifications(service: Service, call: Call) -> Streamed:
    """Stream notifications after ``Last-Event-ID`` until either side ends the stream."""
    principal, agent_id = call.principal, await _agent_id(service, call)
    after = await start_after(service, call)
    subscription = service.subscriptions.subscribe_to_notifications(
        principal.tenant, agent_id, principal.key_id
    )
    source = _Source(service, principal, agent_id)
    return await stream(call, subscription, after, source, service.log.id)


class _Source:
    def __init__(self, service: Service, principal: Principal, agent_id: str) -> None:
        self._service = service
        self._principal = principal
        self._agent_id = agent_id

    async def read(self, after: int) -> Frames:
        service, principal = self._service, self._principal
        async with service.read_budget.turn_of_stream(principal):
            page = await service.notifications.page(
                principal.tenant, self._agent_id, after, PAGE_LENGTH_DEFAULT
            )
            frames = [self._own(one) async for one in in_parts(page.events, _frames)]
        gap = [gap_frame(page.gap)] if page.gap else []
        body = b"".join([*gap, *frames])
        return Frames(body=body, after=page.next, more=page.next < page.head)

    async def frames(self, committed: Sequence[CommittedEvent]) -> bytes:
        rows = [one.event for one in committed]
        with_bodies = await self._service.notifications.add_bodies(rows)
        return b"".join(
            [
                self._own(one.made(_frames) if row is one.event else _frames(row))
                for one, row in zip(committed, with_bodies, strict=True)
            ]
        )

    def _own(self, frames: _FramesOfEvent) -> bytes:
        return b"".join(
            made for recipient, made in frames if recipient in (EVERYONE, self._agent_id)
        )

    async def count(self, size: int) -> None:
        await self._service.read_budget.count_of_stream(self._principal, size)


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


def _frames(event: RecordedEvent) -> _FramesOfEvent:
    return [
        (
            message.notification.recipient,
            frame(event.sequence, message.notification.name, message.body),
        )
        for message in notification_messages(event)
    ]


def _bodies(agent_id: str, event: RecordedEvent) -> list[bytes]:
    return [
        message.body
        for message in notification_messages(event)
        if message.notification.is_for(agent_id)
    ]


async def _page_body(page: NotificationPage, agent_id: str, log_id: str) -> bytes:
    bodies: list[bytes] = []
    size, next_ = 0, page.next
    async for event, of_event in in_parts(
        page.events, lambda event: (event, _bodies(agent_id, event))
    ):
        bodies += of_event
        size += sum(map(len, of_event))
        if size >= pages.NATS_PAGE_BYTES_MAX and event is not page.events[-1]:
            next_ = event.sequence
            break
    page_response = {
        "notifications": [Fragment(body) for body in bodies],
        "next": next_,
        "head": page.head,
        "gap": gap_range(page.gap) if page.gap else None,
        "logId": log_id,
    }
    return dump(page_response)
