"""Search the messages of sessions."""

import asyncio
from collections.abc import Sequence

from quorate.application.execution import Service
from quorate.application.operations import Call, Reply
from quorate.application.rendering import Json, dump
from quorate.application.sessions.current_session import current_session
from quorate.application.sessions.session_rendering import render_session
from quorate.application.sessions.tool_calls import ToolCaller, handles_tool
from quorate.contracts.sessions.session_messages import SESSIONS_SEARCH, SessionsSearchInput
from quorate.domain.shared.search_words import excerpt, query_words
from quorate.projections.sessions.session_search import Hit, SessionSearchFilter

# Characters of a snippet before and after the beginning of its match.
SNIPPET_BEFORE, SNIPPET_AFTER = 40, 60


@handles_tool(SESSIONS_SEARCH)
async def search_sessions(service: Service, call: Call, caller: ToolCaller) -> Reply:
    body: SessionsSearchInput = call.body
    words = query_words(body.query)
    excluded = None
    if body.exclude_current and caller.session_key is not None:
        excluded = (await current_session(service, caller)).key
    filters = SessionSearchFilter(
        words=words, limit=body.limit, per_session=body.per_session, excluded_key=excluded
    )
    async with service.read_budget.turn(call.principal):
        result = await service.sessions.search.search(call.principal.tenant, caller.access, filters)
        hits = []
        for hit in result.found:
            hits.append(_render(hit, words))
            await asyncio.sleep(0)  # A long body takes milliseconds.
    response = dump({"query": body.query, "count": len(hits), "results": hits})
    service.read_budget.charge(call.principal, len(response))
    return Reply(body=response, sequence=result.sequence)


def _render(hit: Hit, words: Sequence[str]) -> Json:
    text = "" if hit.content is None else hit.content.data.decode()
    return {
        **render_session(hit.session),
        "nodeId": None,
        "snippet": excerpt(words, text, before=SNIPPET_BEFORE, after=SNIPPET_AFTER),
        "role": hit.message.role,
        "messageIndex": hit.message.index,
        "messageId": hit.message.id,
    }
