"""Votes: open and decided proposals, with their tally against the majority."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.view import PAGE_LENGTH, Place, View


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    found = await caller.read(
        "listConsensus",
        limit=PAGE_LENGTH,
        after=place.get("after"),
        status=place.get("status"),
    )
    return {"votes": found.body, "next_after": found.next_after}


VIEW = View(
    name="votes",
    path="/votes",
    title="Votes",
    template="votes.html",
    load=load,
    needs=("listConsensus",),
    filters=("status", "after"),
)
