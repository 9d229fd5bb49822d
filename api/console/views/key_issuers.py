"""Who issued the keys of a page: the actor of the event that issued each.

A key never changes its issuer, so a process remembers those that it found. An event is found by the
time of the key, which the log finds by sequence.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.domain.shared.timestamps import Timestamp, instant, iso

KNOWN_MAX = 10_000
SAME_MILLISECOND_MAX = 100  # Keys that were issued together.
_known: dict[str, str] = {}  # The issuer of a key by its id, "" if the event is archived.


async def find_issuers(caller: Caller, keys: Iterable[Mapping[str, Any]]) -> Mapping[str, str]:
    """Return the issuers by the ids of the keys."""
    found: dict[str, str] = {}
    for key in keys:
        id_ = key["id"]
        if id_ not in _known:
            _remember(id_, await _issuer(caller, id_, instant(key["createdAt"])))
        found[id_] = _known[id_]
    return found


async def _issuer(caller: Caller, key_id: str, at: Timestamp) -> str:
    page = await caller.read(
        "listEvents",
        type="KeyIssued",
        since=iso(at),
        until=iso(Timestamp(at + 1)),
        limit=SAME_MILLISECOND_MAX,
    )
    issued = (one for one in page.body["events"] if one["data"]["keyId"] == key_id)
    return next((str(one["actor"]) for one in issued), "")


def _remember(key_id: str, issuer: str) -> None:
    if len(_known) >= KNOWN_MAX:
        _known.clear()
    _known[key_id] = issuer
