"""The log for auditors: pages, and a stream that goes on."""

import asyncio

import orjson

from quorate.api.answers import EventsAnswer, dump
from quorate.api.endpoint import Call, Endpoint, Reply, Streamed
from quorate.api.problems import Problem
from quorate.api.roles import AUDITING
from quorate.api.schemas import PAGE_LENGTH_MAX, SEQUENCE_MAX, EventsQuery, StreamQuery
from quorate.api.service import Service
from quorate.api.tails import TooManyStreams
from quorate.eventlog.chain import public_event
from quorate.eventlog.log import Filter
from quorate.eventlog.recorded import Recorded

EVENTS = "/v1/events"
RECHECK_SECONDS = 0.5  # How long a stream may outlive its key.
KEEPALIVE_RECHECKS = 30
_KEEPALIVE = b": still here\n\n"
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


async def list_events(service: Service, call: Call) -> Reply:
    query: EventsQuery = call.query
    wanted = Filter(type=query.type, agent_id=query.agent_id)
    page = await service.log.page(call.principal.tenant, query.after, query.limit, wanted)
    body = dump(
        {
            "events": [public_event(event) for event in page.events],
            "head": page.head,
            "next": page.scanned_to,
        }
    )
    return Reply(body=body, sequence=page.head)


async def stream_events(service: Service, call: Call) -> Streamed:
    """Server-sent events from ``Last-Event-ID`` on, until either side ends."""
    after = _start(call)
    try:
        with service.tails.tail(call.principal.tenant) as woken:
            headers = [*_STREAM_HEADERS, (b"x-request-id", call.request_id.encode())]
            await call.send({"type": "http.response.start", "status": 200, "headers": headers})
            gone = asyncio.create_task(_disconnected(call))
            try:
                await _Stream(service, call, woken, gone).run(after)
            finally:
                gone.cancel()
    except TooManyStreams:
        raise Problem(
            "too_many_streams", "Try again later.", headers={"Retry-After": "5"}
        ) from None
    await call.send({"type": "http.response.body", "body": b""})
    return Streamed()


class _Stream:
    def __init__(
        self, service: Service, call: Call, woken: asyncio.Event, gone: "asyncio.Task[None]"
    ) -> None:
        self._service = service
        self._call = call
        self._woken = woken
        self._gone = gone

    async def run(self, after: int) -> None:
        idle = 0
        while not self._gone.done() and not self._service.tails.closing:
            if not await self._service.keyring.stands(self._call.principal.key_id):
                return
            self._woken.clear()
            page = await self._service.log.page(
                self._call.principal.tenant, after, PAGE_LENGTH_MAX, Filter()
            )
            if page.events:
                await self._say(b"".join(_frame(event) for event in page.events))
                after, idle = page.scanned_to, 0
                continue
            idle += await self._rest()
            if idle >= KEEPALIVE_RECHECKS:
                await self._say(_KEEPALIVE)
                idle = 0

    async def _rest(self) -> int:
        """Wait for news; 1 when there was none within RECHECK_SECONDS."""
        waiting = asyncio.ensure_future(self._woken.wait())
        try:
            done, _ = await asyncio.wait(
                {waiting, self._gone}, timeout=RECHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiting.cancel()
        return 0 if done else 1

    async def _say(self, body: bytes) -> None:
        await self._call.send({"type": "http.response.body", "body": body, "more_body": True})


def _frame(event: Recorded) -> bytes:
    body = orjson.dumps(public_event(event))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.sequence, event.type.encode(), body)


async def _disconnected(call: Call) -> None:
    while (await call.receive())["type"] != "http.disconnect":
        pass


def _start(call: Call) -> int:
    query: StreamQuery = call.query
    last = call.headers.get(b"last-event-id")
    if last is None:
        return query.after or 0
    if not last.isdigit() or len(last) > len(str(SEQUENCE_MAX)):
        raise Problem("malformed_request", "Last-Event-ID must be a sequence.")
    return int(last)


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
