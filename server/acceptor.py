"""Accept connections, and start to serve few of them in each round of the event loop.

The first request of a connection costs much more than to accept it. Therefore a flood of new
connections must not delay the connections that exist, nor fill the queue of the kernel, where
clients of all addresses wait for their turn.

* A round accepts up to ACCEPTS_PER_ROUND connections. It starts more of them than the last round
  while rounds take less than ROUND_SECONDS, and fewer of them when rounds take longer.
* Addresses take turns. Of one address, the newest connection starts first, because the clients of
  the oldest ones have probably gone.
* At most WAITING_MAX connections wait. Then the oldest one of the address with the most is closed.
  A client that is closed at once comes back at once, so the limit is high.
* Without a flood no connection waits.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from quorate.runtime.log_throttle import ThrottledWarning
from quorate.server.connection_rejections import reject
from quorate.server.open_files import waiting_files_max

ACCEPTS_PER_ROUND = 64
STARTS_PER_ROUND_MIN = 2
STARTS_PER_ROUND_MAX = 16
ROUND_SECONDS = 0.01
WAITING_MAX = 4_096
RETRY_SECONDS = 0.1  # After an error, such as too many open files.

CreateProtocol: TypeAlias = Callable[[], asyncio.BaseProtocol]

_failed = ThrottledWarning("http.accept_failed")


class Acceptor:
    """Accept the connections of a listening socket from ``start`` to ``close``."""

    def __init__(self, listener: socket.socket, create_protocol: CreateProtocol) -> None:
        self._listener = listener
        self._create_protocol = create_protocol
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, dict[socket.socket, None]] = {}  # By address, the oldest first.
        self._waiting_count = 0
        self._waiting_max = min(WAITING_MAX, waiting_files_max())
        self._is_scheduled = False
        self._starts = STARTS_PER_ROUND_MIN
        self._round_began = 0.0
        self._starting: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def start(self) -> None:
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept no more connections, and close those that wait."""
        self._is_closed = True
        self._loop.remove_reader(self._listener)
        for waiting in self._waiting.values():
            for accepted in waiting:
                accepted.close()
        self._waiting.clear()

    # -- Accepting -----------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_ROUND):
            try:
                accepted, peer = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError as error:
                _failed.warn(reason=str(error))
                self._loop.remove_reader(self._listener)
                self._loop.call_later(RETRY_SECONDS, self._accept_again)
                break
            self._add(accepted, peer[0] if isinstance(peer, tuple) else "")
        if not self._is_scheduled:
            self._start_some()

    def _accept_again(self) -> None:
        if not self._is_closed:
            self.start()

    def _add(self, accepted: socket.socket, address: str) -> None:
        accepted.setblocking(False)
        self._waiting.setdefault(address, {})[accepted] = None
        self._waiting_count += 1
        if self._waiting_count > self._waiting_max:
            most = max(self._waiting, key=lambda each: len(self._waiting[each]))
            oldest = next(iter(self._waiting[most]))
            self._remove(most, oldest)
            with oldest, suppress(OSError):
                oldest.send(reject("unavailable", []))

    def _remove(self, address: str, accepted: socket.socket) -> None:
        waiting = self._waiting.pop(address)
        del waiting[accepted]
        self._waiting_count -= 1
        if waiting:  # The next turn of the address is after all others.
            self._waiting[address] = waiting

    # -- Starting ------------------------------------------------------------

    def _start_some(self) -> None:
        """Start the connections of one round, and continue in the next round."""
        now = self._loop.time()
        if now - self._round_began < ROUND_SECONDS:
            self._starts = min(2 * self._starts, STARTS_PER_ROUND_MAX)
        else:
            self._starts = max(self._starts // 2, STARTS_PER_ROUND_MIN)
        self._round_began = now
        self._is_scheduled = False
        for _ in range(self._starts):
            if not self._waiting:
                return
            address, waiting = next(iter(self._waiting.items()))
            newest = next(reversed(waiting))
            self._remove(address, newest)
            task = self._loop.create_task(self._serve(newest))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)
        self._is_scheduled = True
        self._loop.call_soon(self._start_some)

    async def _serve(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._create_protocol, accepted)
        except OSError:  # The client has gone.
            accepted.close()
