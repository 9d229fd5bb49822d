"""The tenant's event log: pages, and a stream of server-sent events."""

from collections.abc import Iterable, Sequence
from operator import attrgetter, itemgetter

import orjson

from quorate.api.event_streams import (
    Frames,
    check_cursor,
    frame,
    gap_frame,
    gap_range,
    start_after,
    stream,
)
from quorate.application.contact_emails import parse_contact_email
from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, Streamed, handles
from quorate.application.read_budget import in_parts
from quorate.application.rendering import dump
from quorate.application.subscriptions import CommittedEvent
from quorate.contracts.event_log import (
    IDS_MAX,
    LIST_CONTENTS,
    LIST_EVENTS,
    STREAM_EVENTS,
    ContentsQuery,
    EventsQuery,
)
from quorate.contracts.wire_models import PAGE_LENGTH_MAX
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.contents import Content, content_id_of
from quorate.domain.shared.timestamps import of
from quorate.eventlog.archive.content_lines import content_line, refs_in
from quorate.eventlog.event_filter import Filter
from quorate.eventlog.hash_chain import public_event
from quorate.eventlog.recorded_event import RecordedEvent

SCANNED_EVENT_BYTES = 32  # Counted for an event that was read, but not selected.


@handles(LIST_EVENTS)
async def list_events(service: Service, call: Call) -> Reply:
    query: EventsQuery = call.query
    principal: Principal = call.principal
    selected = Filter(
        type=query.type,
        agent_id=query.agent_id,
        contact_key=parse_contact_email(query.contact_email).key if query.contact_email else None,
        actor=query.actor,
        since=of(query.since) if query.since else None,
        until=of(query.until) if query.until else None,
    )
    async with service.read_budget.turn(principal):
        page = await service.log.page(principal.tenant, query.after, query.limit, selected)
        check_cursor(service, query.log_id, query.after, page.head)
        events = [orjson.Fragment(one) async for one in in_parts(page.events, _render)]
    body = dump(
        {
            "events": events,
            "head": page.head,
            "next": page.scanned_to,
            "gap": gap_range(page.gap) if page.gap else None,
            "logId": service.log.id,
        }
    )
    # A filtered page may read many events for few.
    service.read_budget.charge(principal, max(len(body), page.scanned * SCANNED_EVENT_BYTES))
    return Reply(body=body, sequence=page.head)


@handles(LIST_CONTENTS)
async def list_contents(service: Service, call: Call) -> Reply:
    query: ContentsQuery = call.query
    principal: Principal = call.principal
    if query.ids is not None:
        return await _contents_of(service, call, query.ids.split(",")[:IDS_MAX])
    async with service.read_budget.turn(principal):
        page = await service.log.page(principal.tenant, query.after, query.limit, Filter())
        check_cursor(service, query.log_id, query.after, page.head)
        sequences, after = _referring(page.events, call.page_bytes_max)
        found = await service.reader.contents.all(principal.tenant, sequences)
    contents = [{"sequence": sequences[one.id], **content_line(one)} for one in found.values()]
    body = dump(
        {
            "contents": sorted(contents, key=itemgetter("sequence", "part")),
            "head": page.head,
            "next": page.scanned_to if after is None else after,
            "gap": gap_range(page.gap) if page.gap else None,
            "logId": service.log.id,
        }
    )
    service.read_budget.charge(principal, max(len(body), len(page.events) * SCANNED_EVENT_BYTES))
    return Reply(body=body, sequence=page.head)


async def _contents_of(service: Service, call: Call, ids: Sequence[str]) -> Reply:
    """Return the contents of these ids, of as many as a page takes and of one at least."""
    principal, query = call.principal, call.query
    head = await service.log.committed_sequence(principal.tenant)
    check_cursor(service, query.log_id, 0, head)
    contents: list[Content] = []
    size = answered = 0
    async with service.read_budget.turn(principal):
        for id_ in ids:
            found = (await service.reader.contents.all(principal.tenant, (id_,))).values()
            size += sum(len(one.data) for one in found)
            if answered and size > call.page_bytes_max:
                break
            contents += sorted(found, key=attrgetter("part"))
            answered += 1
    body = dump(
        {
            "contents": [{"sequence": None, **content_line(one)} for one in contents],
            "head": head,
            "next": answered,
            "gap": None,
            "logId": service.log.id,
        }
    )
    service.read_budget.charge(principal, max(len(body), answered * SCANNED_EVENT_BYTES))
    return Reply(body=body, sequence=head)


def _referring(
    events: Iterable[RecordedEvent], bytes_max: int
) -> tuple[dict[str, int], int | None]:
    """Return the ids to which events refer, with their sequences, until the page is full.

    The second value is the last sequence before a full page; None if all events were taken.
    """
    sequences: dict[str, int] = {}
    size = 0
    for event in events:
        if not (refs := refs_in(orjson.loads(event.data))):
            continue
        size += sum(ref.bytes for ref in refs.values())
        if sequences and size > bytes_max:
            return sequences, event.sequence - 1
        sequences[content_id_of(event.stream)] = event.sequence
    return sequences, None


@handles(STREAM_EVENTS)
async def stream_events(service: Service, call: Call) -> Streamed:
    """Stream events after ``Last-Event-ID`` until the caller or the service ends the stream."""
    principal: Principal = call.principal
    after = await start_after(service, call)
    subscription = service.subscriptions.subscribe_to_log(principal.tenant, principal.key_id)
    source = _LogSource(service, principal)
    return await stream(call, subscription, after, source, service.log.id)


class _LogSource:
    def __init__(self, service: Service, principal: Principal) -> None:
        self._service = service
        self._principal = principal

    async def read(self, after: int) -> Frames:
        async with self._service.read_budget.turn_of_stream(self._principal):
            page = await self._service.log.page(
                self._principal.tenant, after, PAGE_LENGTH_MAX, Filter()
            )
            frames = [one async for one in in_parts(page.events, _frame)]
        gap = [gap_frame(page.gap)] if page.gap else []
        return Frames(
            body=b"".join([*gap, *frames]),
            after=page.scanned_to,
            more=page.scanned_to < page.head,
        )

    async def frames(self, committed: Sequence[CommittedEvent]) -> bytes:
        return b"".join([one.made(_frame) for one in committed])

    async def count(self, size: int) -> None:
        await self._service.read_budget.count_of_stream(self._principal, size)


def _render(event: RecordedEvent) -> bytes:
    return dump(public_event(event))


def _frame(event: RecordedEvent) -> bytes:
    return frame(event.sequence, event.type, _render(event))
