"""Answer a list: one page, limited in items and in bytes, with a link to the next (RFC 8288).

* Every list of the registry is answered here, or has its own limit in bytes (events and
  notifications). ``tests/integration/api/test_lists.py`` calls each of them.
* A page is read and rendered in parts, within the budget of its caller.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from quorate.application.execution import Service
from quorate.application.operations import Call, Reply
from quorate.application.rendering import Json, dump
from quorate.contracts.wire_models import PageQuery
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.snapshots import QueryResult, Size

T = TypeVar("T")


async def list_reply(
    service: Service,
    call: Call,
    path: str,
    read: Callable[[str, int, Size[T]], Awaitable[QueryResult[Sequence[T]]]],
    *,
    render: Callable[[T, Timestamp], Json],
    cursor: Callable[[T], str],
) -> Reply:
    """Read and render one page. ``read`` takes ``after``, ``limit`` and ``size`` of the reader."""
    query: PageQuery = call.query
    items: list[bytes] = []

    def add(item: T, now: Timestamp) -> int:
        items.append(dump(render(item, now)))
        return len(items[-1]) + 1

    size = Size(of=add, bytes_max=call.page_bytes_max)
    async with service.read_budget.turn(call.principal):
        result = await read(query.after or "", query.limit, size)
    body = b"[%b]" % b",".join(items)
    service.read_budget.charge(call.principal, len(body))
    links = _next_link(path, query, cursor(result.found[-1])) if result.has_more else ()
    return Reply(body=body, sequence=result.sequence, headers=links)


def _next_link(path: str, query: PageQuery, last: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return a ``rel="next"`` header; the last page has none."""
    kept = query.model_dump(by_alias=True, exclude_none=True) | {"after": last}
    return ((b"link", f'<{path}?{urlencode(kept)}>; rel="next"'.encode("ascii")),)
