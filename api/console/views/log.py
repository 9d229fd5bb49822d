"""Log: the newest events, with filters; a jump to a sequence."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.recent_events import recent_events
from quorate.api.console.views.view import PAGE_LENGTH, Place, View


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    history = await recent_events(
        caller,
        before=place.get("before"),
        text=place.get("text"),
        length=PAGE_LENGTH,
        type=place.get("type"),
        agent_id=place.get("agent"),
        contact_email=place.get("contact"),
        actor=place.get("actor"),
    )
    return {"history": history}


VIEW = View(
    name="log",
    path="/log",
    title="Log",
    template="log.html",
    load=load,
    needs=("listEvents",),
    filters=("type", "agent", "contact", "actor", "text", "before"),
)
