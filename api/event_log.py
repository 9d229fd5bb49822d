"""The log for auditors: pages, and a stream that goes on."""

import orjson

from quorate.api.event_streams import Frames, frame, gap_facts, gap_frame, start, stream
from quorate.application.execution import Service
from quorate.application.operations import Call, Endpoint, Reply, Streamed
from quorate.contracts.requests import PAGE_LENGTH_MAX, EventsQuery, StreamQuery
from quorate.contracts.responses import EventsAnswer, dump
from quorate.contracts.roles import AUDITING
from quorate.eventlog.event_store import Filter
from quorate.eventlog.hash_chain import public_event

EVENTS = "/v1/events"


async def list_events(service: Service, call: Call) -> Reply:
    query: EventsQuery = call.query
    wanted = Filter(type=query.type, agent_id=query.agent_id)
    page = await service.log.page(call.principal.tenant, query.after, query.limit, wanted)
    body = dump(
        {
            "events": [public_event(event) for event in page.events],
            "head": page.head,
            "next": page.scanned_to,
            "gap": gap_facts(page.gap) if page.gap else None,
        }
    )
    return Reply(body=body, sequence=page.head)


async def stream_events(service: Service, call: Call) -> Streamed:
    """Server-sent events from ``Last-Event-ID`` on, until either side ends."""
    principal = call.principal

    async def look(after: int) -> Frames:
        page = await service.log.page(principal.tenant, after, PAGE_LENGTH_MAX, Filter())
        frames = [
            frame(one.sequence, one.type, orjson.dumps(public_event(one))) for one in page.events
        ]
        missed = [gap_frame(page.gap)] if page.gap else []
        body = b"".join([*missed, *frames])
        return Frames(body=body, after=page.scanned_to, more=page.scanned_to < page.head)

    place = service.tails.log(principal.tenant, principal.key_id)
    return await stream(call, place, start(call), look)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=EVENTS,
        name="listEvents",
        summary="Read the tenant's log, oldest first",
        roles=AUDITING,
        query=EventsQuery,
        answer=EventsAnswer,
        handler=list_events,
    ),
    Endpoint(
        method="GET",
        path=EVENTS + "/stream",
        name="streamEvents",
        summary="Follow the tenant's log as server-sent events",
        roles=AUDITING,
        query=StreamQuery,
        problems=("too_many_streams",),
        streams=True,
        handler=stream_events,
    ),
)
