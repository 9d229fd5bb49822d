"""One thread: its messages in order, with the state of the delivery to each recipient."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.view import PAGE_LENGTH, Place, View

BODY_SHOWN_MAX = 8_000  # Characters of a message.


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    path = {"thread_id": place.ids["id"]}
    # Without an agent: a key of the tenant reads the messages as they were recorded.
    found = await caller.read("getThread", path, limit=PAGE_LENGTH, cursor=place.get("cursor"))
    return {"thread": found.body, "body_max": BODY_SHOWN_MAX}


VIEW = View(
    name="mail-thread",
    path="/mail/threads/{id}",
    title="Thread",
    template="mail_thread.html",
    load=load,
    needs=("getThread",),
    filters=("cursor",),
    in_navigation=False,
)
