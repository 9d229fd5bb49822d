"""The stream of a page: the elements that changed, after each commit of the tenant.

* The page is rendered again, with the same operations and the same limits as a request. Commits
  that come together are one rendering: at most one each MINIMUM_SECONDS.
* The first message contains all elements, so a page that lost its connection is complete again.
* The stream ends within a second of the session or its key.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

from quorate.api.console.live_elements import patch
from quorate.api.console.request import ConsoleRequest
from quorate.api.event_streams import KEEPALIVE_SECONDS, wait_while_connected
from quorate.application.console_sessions import ConsoleSessions, Session
from quorate.application.execution import Service
from quorate.application.operations import Call
from quorate.contracts.problems import Problem

MINIMUM_SECONDS = 0.4
CHECK_SECONDS = 0.8
_KEEPALIVE = b": still here\n\n"
END = b"event: end\ndata: {}\n\n"
# Renders the elements of the page; raises Problem.
Elements = Callable[[Session], Awaitable[Mapping[str, str]]]


def message(event: str, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.encode(), data)


async def stream_page(
    service: Service,
    sessions: ConsoleSessions,
    request: ConsoleRequest,
    session: Session,
    elements: Elements,
) -> AsyncGenerator[bytes]:
    call = Call({}, request.headers)
    call.principal, call.receive = session.principal, request.receive
    subscribed = service.subscriptions.subscribe_to_log(session.tenant, session.principal.key_id)
    known: Mapping[str, str] | None = None
    loop = asyncio.get_running_loop()
    async with wait_while_connected(call, subscribed) as wait:
        is_due, sent_at = True, loop.time()
        while not wait.has_ended:
            wait.begin()
            wait.restart()  # The events themselves are not used.
            current = await sessions.find(session.secret)
            if current is None or wait.is_revoked:
                break
            if is_due or loop.time() - sent_at >= KEEPALIVE_SECONDS:
                known, body = await _next(known, current, elements)
                sent_at = loop.time()
                yield body
                await asyncio.sleep(MINIMUM_SECONDS)
            is_due = await wait.for_change(CHECK_SECONDS)
    if not service.subscriptions.closing:
        yield END


async def _next(
    known: Mapping[str, str] | None, session: Session, elements: Elements
) -> tuple[Mapping[str, str] | None, bytes]:
    try:
        found = await elements(session)
    except Problem as problem:  # For example a rate limit: the page keeps what it has.
        return known, message("delayed", problem.code.encode())
    body = patch(known, found)
    return found, _KEEPALIVE if body is None else message("patch", body)
