"""Why something was decided or refused, by the id of a lease, a vote, a message, a task or a send.

It is read once: a decision does not change, and to find it reads many events.
"""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.view import Place, View


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    found = await caller.read("explain", {"id": place.ids["id"]})
    return {"explained": found.body}


VIEW = View(
    name="why",
    path="/why/{id}",
    title="Why",
    template="why.html",
    load=load,
    needs=("explain",),
    in_navigation=False,
    is_live=False,
)
