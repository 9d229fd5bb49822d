"""Catching up: what an agent was told, in pages, by waiting, or as a stream.

Each notification is the JSON that was pushed over NATS, byte for byte, whichever way it is read. So an
agent that was away, slow or restarted asks from the last sequence that it has dealt with, and what
it hears twice it can tell by its id.
"""

import asyncio

from orjson import Fragment

from quorate.api.event_streams import Frames, frame, gap_facts, gap_frame, start, stream, waiting
from quorate.application.execution import Service
from quorate.application.operations import Call, Endpoint, Reply, Streamed
from quorate.bus.cloudevents import Said, notifications_said
from quorate.contracts.problems import KINDS, Problem
from quorate.contracts.requests import (
    PAGE_LENGTH_DEFAULT,
    NotificationsOf,
    NotificationsQuery,
    NotificationsStreamQuery,
)
from quorate.contracts.responses import NotificationsAnswer, dump
from quorate.contracts.roles import ACTING
from quorate.domain.identity.agents import AgentRef, means
from quorate.domain.notifications import concerns
from quorate.domain.shared.errors import DomainError
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.serialization import public
from quorate.projections.notifications import NoticedPage

NOTIFICATIONS = "/v1/agent/notifications"
PAGE_BYTES_MAX = 512 * 1024  # A page is cut there: NATS takes no message of any length.


async def list_notifications(service: Service, call: Call) -> Reply:
    query: NotificationsQuery = call.query
    agent_id = await _agent_id(service, call)
    page = await service.notifications.page(
        call.principal.tenant, agent_id, query.after, query.limit
    )
    if query.wait and not _has_news(page):
        page = await _waited_for(service, call, agent_id)
    return Reply(body=_page_body(page, agent_id), sequence=page.head)


async def _waited_for(service: Service, call: Call, agent_id: str) -> NoticedPage:
    """The first page that has news, or what there is when the time is up, or it is over."""
    query: NotificationsQuery = call.query
    principal, clock = call.principal, asyncio.get_running_loop().time
    until = clock() + query.wait
    place = service.tails.notifications(principal.tenant, agent_id, principal.key_id)
    async with waiting(call, place) as wait:
        while True:
            wait.begin()
            page = await service.notifications.page(
                principal.tenant, agent_id, query.after, query.limit
            )
            left = until - clock()
            if _has_news(page) or wait.over or left <= 0:
                break
            await wait.for_news(left)
        if wait.revoked:
            raise Problem("unauthorized", "The key was revoked.")
    return page


def _has_news(page: NoticedPage) -> bool:
    return bool(page.events) or page.gap is not None


async def stream_notifications(service: Service, call: Call) -> Streamed:
    """Server-sent events from ``Last-Event-ID`` on, until either side ends."""
    principal, agent_id = call.principal, await _agent_id(service, call)

    async def look(after: int) -> Frames:
        page = await service.notifications.page(
            principal.tenant, agent_id, after, PAGE_LENGTH_DEFAULT
        )
        told = [
            frame(event.sequence, said.notification.name, said.body)
            for event in page.events
            for said in _said_to(agent_id, event)
        ]
        missed = [gap_frame(page.gap)] if page.gap else []
        body = b"".join([*missed, *told])
        return Frames(body=body, after=page.next, more=page.next < page.head)

    place = service.tails.notifications(principal.tenant, agent_id, principal.key_id)
    return await stream(call, place, start(call), look)


async def _agent_id(service: Service, call: Call) -> str:
    """Whose notifications are asked for: an agent's key reads its own and nobody else's."""
    query: NotificationsOf = call.query
    ref = AgentRef(id=query.agent_id, name=query.agent_name)
    try:
        ref = means(call.principal, ref)
    except DomainError as refusal:
        title = KINDS[refusal.code].title
        raise Problem(refusal.code, f"{title}.", **public(refusal.facts)) from None
    if call.principal.role == "agent":
        return str(ref.id)
    found = await service.notifications.agent_id(call.principal.tenant, ref)
    if found is None:
        raise Problem("agent_not_found", "No such agent.")
    return found


# -- Saying it -----------------------------------------------------------------


def _said_to(agent_id: str, event: RecordedEvent) -> list[Said]:
    return [said for said in notifications_said(event) if concerns(said.notification, agent_id)]


def _page_body(page: NoticedPage, agent_id: str) -> bytes:
    bodies: list[bytes] = []
    size, next_ = 0, page.next
    for number, event in enumerate(page.events, start=1):
        said = [one.body for one in _said_to(agent_id, event)]
        bodies += said
        size += sum(map(len, said))
        if size >= PAGE_BYTES_MAX and number < len(page.events):
            next_ = event.sequence
            break
    answer = {
        "notifications": [Fragment(body) for body in bodies],
        "next": next_,
        "head": page.head,
        "gap": gap_facts(page.gap) if page.gap else None,
    }
    return dump(answer)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=NOTIFICATIONS,
        name="listNotifications",
        summary="Catch up on what an agent was told, or wait for it",
        roles=ACTING,
        query=NotificationsQuery,
        answer=NotificationsAnswer,
        problems=("agent_not_found", "acting_as_another", "too_many_streams"),
        handler=list_notifications,
    ),
    Endpoint(
        method="GET",
        path=NOTIFICATIONS + "/stream",
        name="streamNotifications",
        summary="Follow what an agent is told as server-sent events",
        roles=ACTING,
        query=NotificationsStreamQuery,
        problems=("agent_not_found", "acting_as_another", "too_many_streams"),
        streams=True,
        handler=stream_notifications,
    ),
)
