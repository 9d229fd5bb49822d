"""An answer that is there as a whole leaves in one piece.

ASGI lets an answer come in parts, so the server looks each header over and writes twice; that is a
tenth of what a command costs. Nearly all our answers are small and complete, and their headers
are our own. For those the server offers, as an ASGI extension, to write them at once; it declines
(False) where anything is unusual, and then the answer goes the common way.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from quorate.runtime.asgi import Headers, Scope

EXTENSION = "quorate.whole"
SAY = "say"
Whole: TypeAlias = Callable[[int, Headers, bytes], bool]


def offer(cycle: RequestResponseCycle) -> None:
    """Offer the extension for one request."""
    cycle.scope["extensions"] = {EXTENSION: {SAY: partial(_say, cycle)}}


def offered(scope: Scope) -> Whole | None:
    """What the server offered, if it is ours."""
    whole: Whole | None = scope.get("extensions", {}).get(EXTENSION, {}).get(SAY)
    return whole


def _say(cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> bool:
    unusual = (
        cycle.response_started
        or cycle.disconnected
        or not cycle.keep_alive
        or cycle.flow.write_paused
        or cycle.scope["method"] == "HEAD"
    )
    if unusual:
        return False
    parts = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        parts += (name, b": ", value, b"\r\n")
    parts += (b"\r\n", body)
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    # The offer holds the request, which holds the offer: else both would wait for the collector.
    cycle.scope["extensions"].clear()
    cycle.transport.write(b"".join(parts))
    cycle.message_event.set()
    cycle.on_response()
    return True
