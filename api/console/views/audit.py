"""Audit: the head of the hash chain, where the log begins, exports, and keys with their issuers."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.key_issuers import find_issuers
from quorate.api.console.views.process_metrics import read_gauges
from quorate.api.console.views.view import PAGE_LENGTH, Place, View
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp, iso

VERIFIED = "quorate_log_verified_events"
VERIFIED_AT = "quorate_log_verified_timestamp_seconds"


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
        "ready": None if caller.as_of else (await caller.read("ready")).body,
        "verified": await _verification(caller),
        "keys": keys,
        "issuers": issuers,
        "next_after": next_after,
        "own_key": caller.session.principal.key_id,
    }


async def _verification(caller: Caller) -> Mapping[str, Any] | None:
    """Return how many events of all tenants were verified since the start, and when that ended."""
    found = await read_gauges(caller, VERIFIED, VERIFIED_AT)
    if VERIFIED not in found:
        return None
    seconds = found.get(VERIFIED_AT, 0.0)
    at = iso(Timestamp(round(seconds * MILLISECONDS_PER_SECOND))) if seconds else None
    return {"events": int(found[VERIFIED]), "at": at}


VIEW = View(
    name="audit",
    path="/audit",
    title="Audit",
    template="audit.html",
    load=load,
    needs=("listEvents",),
    filters=("after",),
)
