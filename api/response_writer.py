"""Write a complete response in a single call.

* ASGI sends a response in parts, so the server checks each header and writes twice. That takes a
  tenth of the time of a command.
* Nearly all responses are small and complete, and the service itself sets their headers. For
  these the server offers an ASGI extension that writes the response at once.
* The extension returns False in unusual cases. Then the response is sent through ASGI messages.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from quorate.runtime.asgi import Headers, Scope

EXTENSION = "quorate.single_write"
WRITE = "write"
COPIED_BYTES_MAX = 16 * 1024
WriteResponse: TypeAlias = Callable[[int, Headers, bytes], bool]


def offer_single_write(cycle: RequestResponseCycle) -> None:
    """Offer the extension for one request."""
    cycle.scope["extensions"] = {EXTENSION: {WRITE: partial(_write, cycle)}}


def find_single_write(scope: Scope) -> WriteResponse | None:
    """Return the function that writes a complete response; None under another server."""
    write: WriteResponse | None = scope.get("extensions", {}).get(EXTENSION, {}).get(WRITE)
    return write


def withdraw_single_write(scope: Scope) -> None:
    """Remove the extension from a request, because a middleware must see its response."""
    scope.get("extensions", {}).pop(EXTENSION, None)


def _write(cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> bool:
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
    parts.append(b"\r\n")
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    # Break the reference cycle between the offer and the request; otherwise both wait for the
    # garbage collector.
    cycle.scope["extensions"].clear()
    if len(body) > COPIED_BYTES_MAX:  # Many unread copies of one document share its bytes.
        cycle.transport.writelines((b"".join(parts), body))
    else:
        parts.append(body)
        cycle.transport.write(b"".join(parts))
    cycle.message_event.set()
    cycle.on_response()
    return True
