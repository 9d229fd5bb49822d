"""Read server-sent events with a third-party parser."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from httpx2 import ServerSentEvent

from tests.e2e.service.http_clients import EVENTS, Caller
from tests.e2e.service.service_process import Json

EVENT_SECONDS_MAX = 60.0


class EventStream:
    """A stream of server-sent events; a connection error is raised to the test."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self._queue: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue()

    async def frame(self) -> ServerSentEvent:
        """Return the next frame."""
        async with asyncio.timeout(EVENT_SECONDS_MAX):
            frame = await self._queue.get()
        assert frame is not None, "the stream has ended"
        return frame

    async def event(self) -> Json:
        event: Json = json.loads((await self.frame()).data)
        return event

    async def events(self, count: int) -> list[Json]:
        return [await self.event() for _ in range(count)]

    async def end(self) -> None:
        """Wait until the service has ended the stream, and discard the remaining frames."""
        async with asyncio.timeout(EVENT_SECONDS_MAX):
            while await self._queue.get() is not None:
                pass

    async def follow(self, caller: Caller, path: str, headers: dict[str, str]) -> None:
        async with caller.http.sse(path, headers=headers) as source:
            self.opened.set()
            async for frame in source:
                self._queue.put_nowait(frame)
        self._queue.put_nowait(None)


@asynccontextmanager
async def follow_events(
    caller: Caller, *, last: int | str | None = None, query: str = "", path: str = EVENTS
) -> AsyncIterator[EventStream]:
    """Stream a tenant's log or other entries from the start, or after the sequence ``last``."""
    headers = {"Authorization": f"Bearer {caller.key}"}
    if last is not None:
        headers["Last-Event-ID"] = str(last)
    stream = EventStream()
    reader = asyncio.create_task(stream.follow(caller, f"{path}/stream{query}", headers))
    opening = asyncio.create_task(stream.opened.wait())
    try:
        await asyncio.wait({reader, opening}, return_when=asyncio.FIRST_COMPLETED)
        if reader.done():
            reader.result()
        yield stream
        if reader.done():
            reader.result()
    finally:
        opening.cancel()
        reader.cancel()
        await asyncio.gather(opening, reader, return_exceptions=True)
