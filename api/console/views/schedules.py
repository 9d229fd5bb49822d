"""Schedules of all agents: what they send where, and when they occur next."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.view import PAGE_LENGTH, Place, View


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    found = await caller.read("listSchedules", limit=PAGE_LENGTH, after=place.get("after"))
    return {"schedules": found.body, "next_after": found.next_after}


VIEW = View(
    name="schedules",
    path="/schedules",
    title="Schedules",
    template="schedules.html",
    load=load,
    needs=("listSchedules",),
    filters=("after",),
    in_navigation=False,
)
