"""A connection's share of the capacity of the process: its place and its unread response.

* Each connection has a place in the ``ConnectionTable``. It can give way while it waits for its
  client.
* A response is unread while more than BUFFERED_BYTES_MAX are unsent, until all are sent. The client
  must read it within RESPONSE_SECONDS_MAX. Until then no further request begins.
* A request starts in a turn of its tenant, or of its address (``RequestTurns``).
* The request after one above the rate limit starts RATE_LIMITED_PAUSE_SECONDS later. Otherwise a
  client that ignores ``Retry-After`` takes more of the process than one within its rate.
* So does the request after one without a valid key, which no rate limit counts, if the address of
  the connection sends too many: to public operations, unknown paths, or with wrong keys.
"""

import asyncio
import socket
import struct
from abc import abstractmethod
from contextlib import suppress
from typing import Any

from typing_extensions import override
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from quorate.server.connection_table import ConnectionTable, Displaced, Slot
from quorate.server.lingering_close import LingeringCloseProtocol
from quorate.server.request_turns import RequestTurns

RESPONSE_SECONDS_MAX = 60.0
BUFFERED_BYTES_MAX = 4 * 1024
RATE_LIMITED_PAUSE_SECONDS = 0.1
_RESET = struct.pack("ii", 1, 0)  # Linger for no time.


class SharedCapacityProtocol(LingeringCloseProtocol):
    address = ""
    _tenant: str | None = None  # Of the last request with a valid key.
    _slot: Slot | None = None  # None above a limit.
    _write_deadline: float | None = None
    _starts_from = 0.0  # No request starts before this time of the event loop.
    _has_caller = False  # The current request has a valid key.
    _is_completing = False  # A response is complete, but the client has not read it.

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        table: ConnectionTable,
        turns: RequestTurns,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._table = table
        self._turns = turns

    # -- What the protocol defines -------------------------------------------

    @abstractmethod
    def has_complete_request(self) -> bool:
        """Return whether a complete request waits for its response."""

    @abstractmethod
    def close_for_another(self) -> Displaced:
        """Close the connection, which has no unread response."""

    # -- The place in the table ----------------------------------------------

    def take_place(self, transport: asyncio.Transport) -> bool:
        """Take a place in the table; return False above a limit."""
        peer = get_remote_addr(transport)
        self.address = peer[0] if peer else ""
        self._slot = self._table.open(self, self.address)
        transport.set_write_buffer_limits(high=BUFFERED_BYTES_MAX, low=0)
        return self._slot is not None

    def give_way(self) -> Displaced:
        """Close the connection, which waits for its client, because a limit is reached."""
        if self.flow.write_paused:
            self.loop.call_soon(self.abort)  # The transport may be writing now.
            return "unread_response"
        return self.close_for_another()

    def abort(self) -> None:
        """Reset the connection. Otherwise the kernel would keep the unread bytes for minutes."""
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            with suppress(OSError):  # It is closed already.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def unsent_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def claim(self, actor: str, tenant: str) -> bool:
        self._tenant, self._has_caller = tenant, True
        return self._slot is None or self._table.claim(self._slot, actor)

    def slow_down(self) -> None:
        """Delay the next request."""
        self._starts_from = self.loop.time() + RATE_LIMITED_PAUSE_SECONDS

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start a request in its turn, unless its client has gone meanwhile."""
        begin = super()._start_asgi_task

        def start() -> None:
            if not cycle.disconnected:
                self._has_caller = False
                begin(cycle, app)

        owner = f"address {self.address}" if self._tenant is None else self._tenant
        if self._starts_from > self.loop.time():
            self.loop.call_at(self._starts_from, self._turns.start, owner, start, self.loop)
        else:
            self._turns.start(owner, start, self.loop)

    def update_wait(self) -> None:
        """Tell the table whether the connection waits for its client."""
        if self._slot is None:
            return
        if not self.flow.write_paused and self.has_complete_request():
            self._table.end_wait(self._slot)
        else:
            self._table.begin_wait(self._slot)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._slot is not None:
            self._table.close(self._slot)
            self._slot = None  # They refer to each other.
        super().connection_lost(exc)

    # -- Unread responses ----------------------------------------------------

    @override
    def pause_writing(self) -> None:
        self._write_deadline = self.loop.time() + RESPONSE_SECONDS_MAX
        super().pause_writing()
        if self._slot is not None:
            self._table.begin_wait(self._slot)
            self._table.add_unread(self._slot, self.unsent_bytes())

    @override
    def resume_writing(self) -> None:
        self._write_deadline = None
        super().resume_writing()
        if self._slot is not None:
            self._table.remove_unread(self._slot)
        if self._is_completing:
            self._is_completing = False
            self.on_response_complete()
        else:
            self.update_wait()

    @override
    def on_response_complete(self) -> None:
        """Begin the next request only when the client has read the response."""
        if self.flow.write_paused and not self._is_lingering and not self.transport.is_closing():
            self._is_completing = True
            self.flow.pause_reading()
        else:
            is_last = not self.pipeline
            if not self._has_caller and self._table.is_flooded_by(self.address):
                self.slow_down()
            super().on_response_complete()
            if is_last:
                self.on_responses_read()
            self.update_wait()

    @abstractmethod
    def on_responses_read(self) -> None:
        """Continue after the responses to all requests that were parsed."""
