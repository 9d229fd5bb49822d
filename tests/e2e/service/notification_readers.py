"""Asking what an agent was told, in the three ways in which one can."""

import asyncio
from contextlib import AbstractAsyncContextManager

from tests.e2e.service.event_stream import Stream, following
from tests.e2e.service.http_clients import Caller, success
from tests.e2e.service.service_process import Json

NOTIFICATIONS = "/v1/agent/notifications"


async def page(caller: Caller, after: int = 0, **query: object) -> Json:
    """One page, for a caller that may leave out who it is, or names somebody in ``query``."""
    asked = {name: str(value) for name, value in {"after": after, **query}.items()}
    found: Json = success(await caller.ask("GET", NOTIFICATIONS, query=asked))
    assert found.keys() == {"notifications", "next", "head", "gap"}
    return found


async def everything(caller: Caller, after: int = 0, **query: object) -> list[Json]:
    """All notifications up to now, page by page."""
    told: list[Json] = []
    while True:
        found = await page(caller, after, **query)
        told += found["notifications"]
        after = found["next"]
        if after == found["head"]:
            return told


def waiting(caller: Caller, after: int, seconds: float, **query: object) -> asyncio.Task[Json]:
    """A long poll under way."""
    return asyncio.create_task(page(caller, after, wait=seconds, **query))


def streaming(
    caller: Caller, last: int | str | None = None, query: str = ""
) -> AbstractAsyncContextManager[Stream]:
    return following(caller, last=last, query=query, what=NOTIFICATIONS)


def names(notifications: list[Json]) -> list[str]:
    return [notification["type"].removeprefix("quorate.") for notification in notifications]
