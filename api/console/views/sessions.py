"""Sessions of all agents with their last message, the last changed one first."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.view import PAGE_LENGTH, Place, View


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    found = await caller.read(
        "listSessions",
        limit=PAGE_LENGTH,
        after=place.get("after"),
        filter=place.get("text"),
    )
    return {"sessions": found.body, "next_after": found.next_after}


VIEW = View(
    name="sessions",
    path="/sessions",
    title="Sessions",
    template="sessions.html",
    load=load,
    needs=("listSessions",),
    filters=("text", "after"),
)
