"""Following server-sent events, a tenant's log unless told otherwise, with a parser not ours."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from httpx2 import ServerSentEvent

from tests.e2e.service.http_clients import EVENTS, Caller
from tests.e2e.service.service_process import Json

FOLLOWED_SECONDS_MAX = 20.0


class Stream:
    """What came so far. A stream that breaks off, instead of ending, is an error."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self._queue: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue()

    async def frame(self) -> ServerSentEvent:
        """The next event as it was framed."""
        async with asyncio.timeout(FOLLOWED_SECONDS_MAX):
            frame = await self._queue.get()
        assert frame is not None, "the stream has ended"
        return frame

    async def event(self) -> Json:
        event: Json = json.loads((await self.frame()).data)
        return event

    async def events(self, count: int) -> list[Json]:
        return [await self.event() for _ in range(count)]

    async def end(self) -> None:
        """Return when the service has ended the stream, whatever it still had to say."""
        async with asyncio.timeout(FOLLOWED_SECONDS_MAX):
            while await self._queue.get() is not None:
                pass

    async def follow(self, caller: Caller, path: str, headers: dict[str, str]) -> None:
        async with caller.http.sse(path, headers=headers) as source:
            self.opened.set()
            async for frame in source:
                self._queue.put_nowait(frame)
        self._queue.put_nowait(None)


@asynccontextmanager
async def following(
    caller: Caller, *, last: int | str | None = None, query: str = "", what: str = EVENTS
) -> AsyncIterator[Stream]:
    """Follow from the beginning, or from what ``last`` says was seen last."""
    headers = {"Authorization": f"Bearer {caller.key}"}
    if last is not None:
        headers["Last-Event-ID"] = str(last)
    stream = Stream()
    following_ = asyncio.create_task(stream.follow(caller, f"{what}/stream{query}", headers))
    opening = asyncio.create_task(stream.opened.wait())
    try:
        await asyncio.wait({following_, opening}, return_when=asyncio.FIRST_COMPLETED)
        if following_.done():
            following_.result()
        yield stream
        if following_.done():
            following_.result()
    finally:
        opening.cancel()
        following_.cancel()
        await asyncio.gather(opening, following_, return_exceptions=True)
