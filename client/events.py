"""The tenant's log over HTTP, page by page, from any sequence to its head."""

from collections.abc import Iterator
from typing import Any

from quorate.client.audit import Http
from quorate.client.errors import CallFailed
from quorate.domain.shared.records import record

EVENTS = "/v1/events"
PAGE_LENGTH_MAX = 1_000


@record
class EventPage:
    """Events in order; ``head`` is the log's last sequence, ``next`` where the next page begins.

    Those before them up to ``archived_until`` were asked for too, and were archived.
    """

    events: list[dict[str, Any]]
    head: int
    next: int
    archived_until: int | None


def page(http: Http, after: int, limit: int = PAGE_LENGTH_MAX) -> EventPage:
    """Up to ``limit`` events that follow ``after``; raises CallFailed."""
    found = http.get(EVENTS, {"after": after, "limit": limit})
    try:
        gap = found.get("gap")
        return EventPage(
            events=found["events"],
            head=found["head"],
            next=found["next"],
            archived_until=gap["until"] if gap else None,
        )
    except KeyError as error:
        raise CallFailed(f"the answer has no {error}: the service is not Quorate") from error


def pages(http: Http, after: int) -> Iterator[EventPage]:
    """Pages until the head is reached, as it is by then."""
    while True:
        found = page(http, after)
        yield found
        if found.next >= found.head:
            return
        if found.next <= after:
            raise CallFailed(f"the service gives no events after {after}, but says there are more")
        after = found.next
