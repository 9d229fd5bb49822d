"""Log: the newest events, with filters; a jump to a sequence or to a time."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.recent_events import parse_sequence, recent_events, sequence_at
from quorate.api.console.views.view import PAGE_LENGTH, Place, View


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    history = await recent_events(
        caller,
        before=place.get("before") or await _beginning(caller, place),
        text=place.get("text"),
        length=PAGE_LENGTH,
        type=place.get("type"),
        agent_id=place.get("agent"),
        contact_email=place.get("contact"),
        actor=place.get("actor"),
    )
    return {"history": history}


async def _beginning(caller: Caller, place: Place) -> str:
    """Return the sequence before which the page begins, "" for the newest event."""
    if sequence := place.get("sequence"):
        return str(parse_sequence(sequence) + 1)
    return await sequence_at(caller, place.get("until")) if place.get("until") else ""


VIEW = View(
    name="log",
    path="/log",
    title="Log",
    template="log.html",
    load=load,
    needs=("listEvents",),
    filters=("type", "agent", "contact", "actor", "text", "sequence", "until", "before"),
)
