"""Audit: the head of the hash chain, where the log begins, exports, and keys with their issuers."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.key_issuers import find_issuers
from quorate.api.console.views.view import PAGE_LENGTH, Place, View


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    first = (await caller.read("listEvents", after=0, limit=1)).body
    head = first["head"]
    last = (await caller.read("listEvents", after=max(0, head - 1), limit=1)).body
    keys, next_after = None, None
    issuers: Mapping[str, str] = {}
    if caller.may_call("listKeys"):
        listed = await caller.read("listKeys", limit=PAGE_LENGTH, after=place.get("after"))
        keys, next_after = listed.body, listed.next_after
        issuers = await find_issuers(caller, keys)
    return {
        "head": head,
        "last": next(iter(last["events"]), None),
        "oldest": next(iter(first["events"]), None),
        "gap": first["gap"],
        "log_id": first.get("logId"),
        "ready": (await caller.read("ready")).body,
        "keys": keys,
        "issuers": issuers,
        "next_after": next_after,
        "own_key": caller.session.principal.key_id,
    }


VIEW = View(
    name="audit",
    path="/audit",
    title="Audit",
    template="audit.html",
    load=load,
    needs=("listEvents",),
    filters=("after",),
)
