"""One event: why it was decided, its JSON, its place in the chain, and the rest of its command."""

from collections.abc import Mapping
from typing import Any

import orjson

from quorate.api.console.caller import Caller
from quorate.api.console.views.view import PAGE_LENGTH, SEQUENCE_DIGITS_MAX, Place, View
from quorate.contracts.problems import Problem


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    sent = place.ids["sequence"]
    if not sent.isdecimal() or len(sent) > SEQUENCE_DIGITS_MAX or not int(sent):
        raise Problem("not_found", "A sequence of the log is a number from 1.")
    sequence = int(sent)
    first = max(0, sequence - PAGE_LENGTH)
    page = await caller.read("listEvents", after=first, limit=2 * PAGE_LENGTH)
    near = page.body["events"]
    event = next((one for one in near if one["sequence"] == sequence), None)
    if event is None:
        raise Problem("not_found", f"The log contains no event {sequence}; it may be archived.")
    same = [one for one in near if one["commandId"] == event["commandId"] and one is not event]
    explained = None
    if caller.may_call("explain"):
        explained = (await caller.read("explain", {"id": str(sequence)})).body
    return {
        "event": event,
        "explained": explained,
        "previous": next((one for one in near if one["sequence"] == sequence - 1), None),
        "same_command": same,
        "head": page.body["head"],
        "json": orjson.dumps(event, option=orjson.OPT_INDENT_2).decode(),
    }


VIEW = View(
    name="event",
    path="/log/{sequence}",
    title="Event",
    template="event.html",
    load=load,
    needs=("listEvents",),
    in_navigation=False,
)
