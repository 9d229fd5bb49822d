"""Read an agent's notifications: pages, long polls and streams."""

import asyncio
from contextlib import AbstractAsyncContextManager

from tests.e2e.service.event_stream import EventStream, follow_events
from tests.e2e.service.http_clients import Caller, success
from tests.e2e.service.service_process import Json

NOTIFICATIONS = "/v1/agent/notifications"


async def read_page(caller: Caller, after: int = 0, **query: object) -> Json:
    """Read one page; ``query`` may name the agent."""
    parameters = {name: str(value) for name, value in {"after": after, **query}.items()}
    found: Json = success(await caller.request("GET", NOTIFICATIONS, query=parameters))
    assert found.keys() == {"notifications", "next", "head", "gap", "logId"}
    return found


async def read_all(caller: Caller, after: int = 0, **query: object) -> list[Json]:
    """Read all notifications so far, page by page."""
    notifications: list[Json] = []
    while True:
        found = await read_page(caller, after, **query)
        notifications += found["notifications"]
        after = found["next"]
        if after == found["head"]:
            return notifications


def start_long_poll(
    caller: Caller, after: int, seconds: float, **query: object
) -> asyncio.Task[Json]:
    """Start a long poll."""
    return asyncio.create_task(read_page(caller, after, wait=seconds, **query))


def open_stream(
    caller: Caller, last: int | str | None = None, query: str = ""
) -> AbstractAsyncContextManager[EventStream]:
    return follow_events(caller, last=last, query=query, path=NOTIFICATIONS)


def notification_names(notifications: list[Json]) -> list[str]:
    return [notification["type"].removeprefix("quorate.") for notification in notifications]
