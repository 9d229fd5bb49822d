"""Many NATS subscribers in one process, so lean that they measure who speaks and not themselves.

``python -m quorate.bench.listeners HOST PORT SUBJECT COUNT`` reads COUNT tokens, one a line, says
"ready" when all have subscribed, and then, for every notification that each has heard, writes how many
milliseconds after the instant that its ``action`` names it arrived; "end" on its input ends it.
"""

import asyncio
import json
import re
import sys
import time
from typing import cast

import uvloop

LOGINS_AT_ONCE = 50
LOGIN_SECONDS_MAX = 30.0
_SENT_AT = re.compile(rb'"action":"at (\d+)"')


class Listener(asyncio.Protocol):
    """One subscriber. The instant is taken before anything else is done with what arrived."""

    def __init__(self, token: str, subject: str, delays: list[float]) -> None:
        self._token = token
        self._subject = subject
        self._delays = delays
        self._unread = b""
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        arrived = time.monotonic_ns()
        lines = (self._unread + data).split(b"\r\n")
        self._unread = lines.pop()
        for line in lines:
            if (found := _SENT_AT.search(line)) is not None:
                self._delays.append((arrived - int(found[1])) / 1_000_000)
            elif line.startswith(b"INFO") and not self.ready.done():
                self._log_in()
            elif line == b"PING":
                self._transport.write(b"PONG\r\n")
            elif line == b"PONG" and not self.ready.done():
                self.ready.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the login was refused"))

    def _log_in(self) -> None:
        options = {"auth_token": self._token, "verbose": False, "headers": True}
        subscribe = f"SUB {self._subject} 1\r\nPING\r\n"
        self._transport.write(f"CONNECT {json.dumps(options)}\r\n{subscribe}".encode())


async def main(host: str, port: int, subject: str, tokens: list[str]) -> list[float]:
    loop, gate, delays = (
        asyncio.get_running_loop(),
        asyncio.Semaphore(LOGINS_AT_ONCE),
        list[float](),
    )

    async def connected(token: str) -> None:
        async with gate, asyncio.timeout(LOGIN_SECONDS_MAX):
            _, listener = await loop.create_connection(
                lambda: Listener(token, subject, delays), host, port
            )
            await listener.ready

    await asyncio.gather(*(connected(token) for token in tokens))
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    return delays


if __name__ == "__main__":
    given = [sys.stdin.readline().strip() for _ in range(int(sys.argv[4]))]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], given))))
