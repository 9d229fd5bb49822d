"""Agents: who is alive, and how old the last heartbeat is against its window."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.view import PAGE_LENGTH, Place, View


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    found = await caller.read(
        "listAgents",
        limit=PAGE_LENGTH,
        after=place.get("after"),
        status=place.get("status"),
    )
    return {"agents": found.body, "next_after": found.next_after}


VIEW = View(
    name="agents",
    path="/agents",
    title="Agents",
    template="agents.html",
    load=load,
    needs=("listAgents",),
    filters=("status", "after"),
)
