"""The newest events that match a filter, read backwards in windows of the log."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.view import PAGE_LENGTH, SEQUENCE_DIGITS_MAX
from quorate.contracts.problems import Problem
from quorate.domain.shared.records import record

WINDOW = 1_000  # Events that one call of the operation may return.
WINDOWS_MAX = 4


@record
class History:
    """Events, the newest first. ``older`` is where the next page begins, "" at the start."""

    events: list[Mapping[str, Any]]
    head: int
    since: int
    older: str


async def recent_events(
    caller: Caller, *, before: str = "", text: str = "", length: int = PAGE_LENGTH, **filters: str
) -> History | None:
    """Return None for a role that may not read the log.

    One page looks at no more than WINDOWS_MAX windows; its end says how far it looked.
    """
    if not caller.may_call("listEvents"):
        return None
    head = int((await caller.read("listEvents", after=0, limit=1)).body["head"])
    end = min(head, _sequence(before) - 1) if before else head
    found: list[Mapping[str, Any]] = []
    lowest = end
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
        end = lowest
        if len(found) >= length or not lowest:
            break
    is_cut = len(found) > length
    shown = found[:length]
    since = shown[-1]["sequence"] if is_cut else lowest + 1
    return History(events=shown, head=head, since=since, older=str(since) if since > 1 else "")


def _contains(event: Mapping[str, Any], text: str) -> bool:
    return not text or text.casefold() in str(event).casefold()


def _sequence(sent: str) -> int:
    if not sent.isdecimal() or len(sent) > SEQUENCE_DIGITS_MAX:
        raise Problem("invalid_request", "before: a sequence of the log is a number.")
    return int(sent)
