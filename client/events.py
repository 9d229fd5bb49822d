"""Read a tenant's event log over HTTP, page by page."""

from collections.abc import Iterator
from typing import Any

from quorate.client.audit import AuditClient
from quorate.client.errors import RequestFailedError
from quorate.domain.shared.records import record

EVENTS = "/v1/events"
PAGE_LENGTH_MAX = 1_000


@record
class EventPage:
    """One page of the event log.

    * ``events``: the events in ascending order.
    * ``head``: the last sequence of the log.
    * ``next``: the value of ``after`` for the next page.
    * ``archived_until``: the requested events up to this sequence are archived and not part of the
      page; None if there are none.
    """

    events: list[dict[str, Any]]
    head: int
    next: int
    archived_until: int | None


def fetch_page(client: AuditClient, after: int, limit: int = PAGE_LENGTH_MAX) -> EventPage:
    """Return up to ``limit`` events after the sequence ``after``.

    Raises RequestFailedError or one of its subclasses.
    """
    found = client.get(EVENTS, {"after": after, "limit": limit})
    try:
        gap = found.get("gap")
        return EventPage(
            events=found["events"],
            head=found["head"],
            next=found["next"],
            archived_until=gap["until"] if gap else None,
        )
    except KeyError as error:
        message = f"The response has no member {error}, so it is not from Quorate"
        raise RequestFailedError(message) from error


def iterate_pages(client: AuditClient, after: int) -> Iterator[EventPage]:
    """Yield the pages after ``after`` until the head of the log, which may move meanwhile.

    Raises RequestFailedError or one of its subclasses.
    """
    while True:
        page = fetch_page(client, after)
        yield page
        if page.next >= page.head:
            return
        if page.next <= after:
            raise RequestFailedError(
                f"The service returns no events after {after}, although its log continues"
            )
        after = page.next
