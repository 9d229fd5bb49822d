"""Read the tenant's event log: pages, and a stream of server-sent events."""

from typing import Annotated, Any

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.problems import LogMismatch, TooManyStreams
from quorate.contracts.roles import CAN_AUDIT
from quorate.contracts.wire_models import (
    PAGE_LENGTH_DEFAULT,
    AgentId,
    ContactEmail,
    PageLength,
    Query,
    QueryTime,
    ResponseModel,
    Sequence,
    Time,
    optional,
)
from quorate.domain.shared.email_addresses import AddressUnusable

EVENTS = "/v1/events"


LOG_ID_LENGTH_MAX = 64
IDS_MAX = 100  # Of a request; more are not answered.
IDS_LENGTH_MAX = 65 * IDS_MAX
LogId = Annotated[str, Field(max_length=LOG_ID_LENGTH_MAX)]


class CursorQuery(Query):
    """A query that continues after a sequence; ``logId`` names the log that the sequence is of."""

    log_id: LogId | None = Field(
        default=None,
        description="`logId` of the page with your cursor. Another log is rejected.",
    )


class EventsQuery(CursorQuery):
    after: Sequence = Field(default=0, description="Sequence of the last event you received.")
    limit: PageLength = PAGE_LENGTH_DEFAULT
    type: Annotated[str, Field(max_length=64)] | None = None
    agent_id: AgentId | None = None
    contact_email: ContactEmail | None = Field(
        default=None, description="Only events that name this contact, in any spelling."
    )
    actor: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Only events that this agent or key caused (its id)."
    )
    since: QueryTime | None = Field(
        default=None, description="Only events of this time or later (RFC 3339)."
    )
    until: QueryTime | None = Field(
        default=None, description="Only events before this time (RFC 3339)."
    )


class ContentsQuery(CursorQuery):
    after: Sequence = Field(default=0, description="Sequence of the last event you have.")
    limit: PageLength = PAGE_LENGTH_DEFAULT
    ids: Annotated[str, Field(max_length=IDS_LENGTH_MAX)] | None = Field(
        default=None,
        description="Ids of messages, separated by commas: their bodies instead of those of a "
        "range of events. The bodies of archived events are still here.",
    )


class StreamQuery(CursorQuery):
    after: Sequence | None = Field(
        default=None,
        description="Same as `Last-Event-ID`, for clients that cannot set this header.",
    )


class EventInfo(ResponseModel):
    """An event. ``hash`` links it to the preceding event; ``data`` depends on ``type``."""

    sequence: int
    id: str
    stream: str
    type: str
    version: int
    at: Time
    actor: str
    command_id: str
    data: dict[str, Any]
    hash: str


class GapInfo(ResponseModel):
    """A truncated range: the entries after ``after``, up to ``until``, were removed."""

    after: int
    until: int


class EventsInfo(ResponseModel):
    """A page of events. Send ``next`` as ``after`` to read the next page, until ``next == head``.

    With filters a page may be empty although more follows: each page searches a part of the log.

    ``gap`` names the range of preceding events that the operator moved to archive files. ``logId``
    identifies the log; send it back with ``after``.
    """

    events: list[EventInfo]
    head: int
    next: int
    gap: GapInfo | None
    log_id: str | None = optional()


class ContentInfo(ResponseModel):
    """One part of a message body; ``salt`` is hexadecimal, ``data`` is base64.

    ``sequence`` is that of the event, or null in a response to ``ids``.
    """

    sequence: int | None
    id: str
    part: str
    salt: str
    data: str


class ContentsInfo(ResponseModel):
    """A page of message bodies. Send ``next`` as ``after`` to read the next page.

    ``limit`` counts events, with or without bodies. In a response to ``ids``, ``next`` is the
    number of ids that were answered: send the others again.
    """

    contents: list[ContentInfo]
    head: int
    next: int
    gap: GapInfo | None
    log_id: str | None = optional()


LIST_EVENTS = Operation(
    method="GET",
    path=EVENTS,
    name="listEvents",
    summary="List the tenant's events",
    description=(
        "Events are in log order, oldest first. All given filters apply. A page ends at about 1 MB,"
        " also before `limit`."
    ),
    roles=CAN_AUDIT,
    query=EventsQuery,
    response=EventsInfo,
    errors=(AddressUnusable, LogMismatch),
)
LIST_CONTENTS = Operation(
    method="GET",
    path=EVENTS + "/contents",
    name="listContents",
    summary="List the message bodies to which events refer",
    description=(
        "Events contain only the salted hashes of message bodies, in `data.contents`: SHA-256 of"
        " salt and body. A page ends at about 1 MB, or with the bodies of one event. Erased bodies"
        " are left out."
    ),
    roles=CAN_AUDIT,
    query=ContentsQuery,
    response=ContentsInfo,
    errors=(LogMismatch,),
)
STREAM_EVENTS: Operation[None] = Operation(
    method="GET",
    path=EVENTS + "/stream",
    name="streamEvents",
    summary="Stream the tenant's events",
    description="The response is a stream of server-sent events.",
    roles=CAN_AUDIT,
    query=StreamQuery,
    errors=(LogMismatch, TooManyStreams),
    streams=True,
)
OPERATIONS = (LIST_EVENTS, LIST_CONTENTS, STREAM_EVENTS)
