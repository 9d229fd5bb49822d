"""The newest events that match a filter, read backwards in windows of the log."""

import re
from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.view import PAGE_LENGTH, SEQUENCE_DIGITS_MAX
from quorate.contracts.problems import Problem
from quorate.domain.shared.records import record

WINDOW = 1_000  # Events that one call of the operation may return.
WINDOWS_MAX = 4
_ZONE = re.compile(r"(Z|[+-]\d\d:\d\d)$", re.IGNORECASE)


@record
class History:
    """Events, the newest first. ``older`` is where the next page begins, "" at the start.

    ``archived`` is the last sequence in archive files, 0 if there is none or it was not reached.
    """

    events: list[Mapping[str, Any]]
    head: int
    since: int
    older: str
    archived: int = 0


async def recent_events(
    caller: Caller, *, before: str = "", text: str = "", length: int = PAGE_LENGTH, **filters: str
) -> History | None:
    """Return None for a role that may not read the log.

    One page looks at no more than WINDOWS_MAX windows; its end says how far it looked.
    """
    if not caller.may_call("listEvents"):
        return None
    head = int((await caller.read("listEvents", after=0, limit=1)).body["head"])
    end = min(head, parse_sequence(before) - 1) if before else head
    found: list[Mapping[str, Any]] = []
    lowest, archived = end, 0
    is_filtered = bool(text) or any(filters.values())
    size = WINDOW if is_filtered else length
    for _ in range(WINDOWS_MAX if is_filtered else 1):
        lowest = max(0, end - size)
        page = await caller.read("listEvents", None, after=lowest, limit=size, **filters)
        found += [
            one
            for one in reversed(page.body["events"])
            if one["sequence"] <= end and _contains(one, text)
        ]
        if gap := page.body["gap"]:
            lowest = archived = gap["until"]
            break
        end = lowest
        if len(found) >= length or not lowest:
            break
    is_cut = len(found) > length
    shown = found[:length]
    since = shown[-1]["sequence"] if is_cut else lowest + 1
    older = str(since) if since > archived + 1 else ""
    return History(events=shown, head=head, since=since, older=older, archived=archived)


async def sequence_at(caller: Caller, time: str) -> str:
    """Return the sequence of the first event at or after a time, "" if there is none.

    A time without a zone is in UTC, and its seconds may be missing, as browsers send it.
    """
    known = f"{time}:00" if len(time) == len("2026-03-01T12:00") else time
    zoned = known if _ZONE.search(known) else f"{known}Z"
    page = await caller.read("listEvents", after=0, limit=1, since=zoned)
    return str(page.body["events"][0]["sequence"]) if page.body["events"] else ""


def _contains(event: Mapping[str, Any], text: str) -> bool:
    return not text or text.casefold() in str(event).casefold()


def parse_sequence(sent: str) -> int:
    if not sent.isdecimal() or len(sent) > SEQUENCE_DIGITS_MAX:
        raise Problem("invalid_request", "A sequence of the log is a number.")
    return int(sent)
