"""The tenant's event log: pages, and a stream of server-sent events."""

import orjson

from quorate.api.event_streams import Frames, frame, gap_frame, gap_range, start_after, stream
from quorate.application.contact_emails import parse_contact_email
from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, Streamed, handles
from quorate.application.rendering import dump
from quorate.contracts.event_log import LIST_EVENTS, STREAM_EVENTS, EventsQuery
from quorate.contracts.wire_models import PAGE_LENGTH_MAX
from quorate.domain.shared.timestamps import of
from quorate.eventlog.event_filter import Filter
from quorate.eventlog.hash_chain import public_event


@handles(LIST_EVENTS)
async def list_events(service: Service, call: Call) -> Reply:
    query: EventsQuery = call.query
    selected = Filter(
        type=query.type,
        agent_id=query.agent_id,
        contact_key=parse_contact_email(query.contact_email).key if query.contact_email else None,
        actor=query.actor,
        since=of(query.since) if query.since else None,
        until=of(query.until) if query.until else None,
    )
    page = await service.log.page(call.principal.tenant, query.after, query.limit, selected)
    body = dump(
        {
            "events": [public_event(event) for event in page.events],
            "head": page.head,
            "next": page.scanned_to,
            "gap": gap_range(page.gap) if page.gap else None,
        }
    )
    return Reply(body=body, sequence=page.head)


@handles(STREAM_EVENTS)
async def stream_events(service: Service, call: Call) -> Streamed:
    """Stream events after ``Last-Event-ID`` until the caller or the service ends the stream."""
    principal = call.principal

    async def read_frames(after: int) -> Frames:
        page = await service.log.page(principal.tenant, after, PAGE_LENGTH_MAX, Filter())
        frames = [
            frame(one.sequence, one.type, orjson.dumps(public_event(one))) for one in page.events
        ]
        gap = [gap_frame(page.gap)] if page.gap else []
        body = b"".join([*gap, *frames])
        return Frames(body=body, after=page.scanned_to, more=page.scanned_to < page.head)

    subscription = service.subscriptions.subscribe_to_log(principal.tenant, principal.key_id)
    return await stream(call, subscription, start_after(call), read_frames)
