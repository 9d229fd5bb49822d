"""Search a mailbox.

A page is read in two steps: the ids of the best matches, and then the messages. A message that was
deleted in between is left out.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from quorate.application.execution import Service
from quorate.application.mail import mailbox_owner
from quorate.application.mail.rendering import make_page, render_found, render_search
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import Json, dump
from quorate.contracts.mail.messages import SEARCH_MAIL, SearchQuery
from quorate.contracts.problems import Problem
from quorate.domain.shared.search_words import make_snippet, query_words
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.mail.queries import SEQUENCE_MAX, MailRow
from quorate.projections.mail.search import Place, SearchFilter
from quorate.projections.search_index import text_of

MESSAGE_RESERVE = 1_500  # Bytes of a page for the snippet of a message.


@handles(SEARCH_MAIL)
async def search(service: Service, call: Call) -> Reply:
    query: SearchQuery = call.query
    tenant = call.principal.tenant
    agent_id = await mailbox_owner.agent_id(service, call)
    words = query_words(query.q)
    filters = SearchFilter(
        words=words,
        from_address=query.from_address,
        to_address=query.to_address,
        kind=query.kind,
        after=_timestamp(query.after),
        before=_timestamp(query.before),
    )
    place = _parse_place(query.cursor)
    async with service.read_budget.turn(call.principal):
        found = await service.mail.search.search(tenant, agent_id, filters, place, query.limit)
        matches = found.found.matches
        ids = [one.message_id for one in matches]
        bytes_max = call.page_bytes_max - MESSAGE_RESERVE * len(ids)
        rows = await service.mail.reader.by_ids(tenant, agent_id, ids, max(1, bytes_max))
        following = found.found.following
        if rows.found.has_more:  # The page is full before all matches are in it.
            following = matches[len(rows.found.rows) - 1].place
        messages = await _render(rows.found.rows, agent_id, words)
    page = make_page(messages, has_more=following is not None, cursor=_cursor_of(following))
    body = dump(render_search(page))
    service.read_budget.charge(call.principal, len(body))
    return Reply(body=body, sequence=found.sequence)


async def _render(rows: Sequence[MailRow], agent_id: str, words: Sequence[str]) -> list[Json]:
    rendered = []
    for row in rows:
        if not _is_kept(row, agent_id):
            continue
        snippet = make_snippet(words, (_text_of(row), row.message.subject))
        rendered.append(render_found(row, agent_id, snippet))
        await asyncio.sleep(0)  # A long body takes milliseconds.
    return rendered


def _text_of(row: MailRow) -> str:
    return text_of((row.text or "").encode(), (row.html or "").encode())


def _is_kept(row: MailRow, agent_id: str) -> bool:
    message = row.message
    if row.entry is not None:
        return True
    return message.sender_id == agent_id and not message.is_deleted_by_sender


def _timestamp(at: datetime | None) -> Timestamp | None:
    return None if at is None else Timestamp(round(at.timestamp() * 1_000))


# -- Cursors -------------------------------------------------------------------


def _cursor_of(place: Place | None) -> str:
    """Return ``"<newest>"`` or ``"<newest>.<rank>.<sequence>"``; ``"0"`` after the last page."""
    if place is None:
        return "0"
    if place.rank is None:
        return str(place.newest)
    return f"{place.newest}.{place.rank}.{place.sequence}"


def _parse_place(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    parts = cursor.split(".")
    if len(parts) not in {1, 3} or not all(one.isascii() and one.isdigit() for one in parts):
        raise Problem("invalid_request", "cursor: not a cursor of this service.")
    numbers = [int(one) for one in parts]
    if max(numbers) > SEQUENCE_MAX:
        raise Problem("invalid_request", "cursor: not a cursor of this service.")
    if len(numbers) == 1:
        return Place(newest=numbers[0])
    return Place(newest=numbers[0], rank=numbers[1], sequence=numbers[2])
