"""Many NATS subscribers in one process, with little work per message.

``python -m quorate.bench.subscribers HOST PORT SUBJECT COUNT`` reads COUNT tokens, one per line,
and prints "ready" when all have subscribed. The line "end" on its input ends it. Then it prints the
latency of every received notification in milliseconds, from the time in its ``action``.
"""

import asyncio
import json
import re
import sys
import time
from typing import cast

import uvloop

LOGIN_CONCURRENCY = 50
LOGIN_SECONDS_MAX = 30.0
_SENT_AT = re.compile(rb'"action":"at (\d+)"')


class Subscriber(asyncio.Protocol):
    """One subscriber. It takes the time of receipt before it parses the data."""

    def __init__(self, token: str, subject: str, delays: list[float]) -> None:
        self._token = token
        self._subject = subject
        self._delays = delays
        self._unread = b""
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        received_at = time.monotonic_ns()
        lines = (self._unread + data).split(b"\r\n")
        self._unread = lines.pop()
        for line in lines:
            if (found := _SENT_AT.search(line)) is not None:
                self._delays.append((received_at - int(found[1])) / 1_000_000)
            elif line.startswith(b"INFO") and not self.ready.done():
                self._log_in()
            elif line == b"PING":
                self._transport.write(b"PONG\r\n")
            elif line == b"PONG" and not self.ready.done():
                self.ready.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("The login was rejected"))

    def _log_in(self) -> None:
        options = {"auth_token": self._token, "verbose": False, "headers": True}
        subscribe = f"SUB {self._subject} 1\r\nPING\r\n"
        self._transport.write(f"CONNECT {json.dumps(options)}\r\n{subscribe}".encode())


async def main(host: str, port: int, subject: str, tokens: list[str]) -> list[float]:
    loop, limit, delays = (
        asyncio.get_running_loop(),
        asyncio.Semaphore(LOGIN_CONCURRENCY),
        list[float](),
    )

    async def connect(token: str) -> None:
        async with limit, asyncio.timeout(LOGIN_SECONDS_MAX):
            _, subscriber = await loop.create_connection(
                lambda: Subscriber(token, subject, delays), host, port
            )
            await subscriber.ready

    await asyncio.gather(*(connect(token) for token in tokens))
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    return delays


if __name__ == "__main__":
    tokens = [sys.stdin.readline().strip() for _ in range(int(sys.argv[4]))]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], tokens))))
