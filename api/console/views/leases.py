"""Leases: who holds which contact, until when, and for what. The pattern of a list view."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.view import PAGE_LENGTH, Place, View


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    found = await caller.read(
        "listLeases",
        limit=PAGE_LENGTH,
        after=place.get("after"),
        agent_id=place.get("agent"),
        contact_email=place.get("contact"),
    )
    return {"leases": found.body, "next_after": found.next_after}


VIEW = View(
    name="leases",
    path="/leases",
    title="Leases",
    template="leases.html",
    load=load,
    needs=("listLeases",),
    filters=("agent", "contact", "after"),
)
