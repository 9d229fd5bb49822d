"""One HTTP client that acquires and sends heartbeats on many connections, until it is killed.

``python -m quorate.bench.http_flooder HOST PORT PAUSE`` reads the agent key from its input. Each
connection sends its next request when the last response arrives, PAUSE seconds later.
"""

import asyncio
import itertools
import sys
from contextlib import suppress

CONNECTIONS = 64
RETRY_SECONDS = 0.5
BLOCK_BYTES = 64 * 1024
_LENGTH = b"content-length:"
_END_OF_HEAD = b"\r\n\r\n"
_contacts = itertools.count()


def request(key: str, *, acquires: bool) -> bytes:
    path, body = "/v1/agent/coordination/heartbeat", b"{}"
    if acquires:
        path = "/v1/agent/coordination/lease"
        body = b'{"contactEmail":"flood-%d@example.com"}' % next(_contacts)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: flood\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def read_response(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(_END_OF_HEAD)).lower()
    length = head.partition(_LENGTH)[2].partition(b"\r\n")[0] or b"0"
    await reader.readexactly(int(length))


async def flood(host: str, port: int, key: str, pause: float) -> None:
    for acquires in itertools.cycle((True, False)):
        with suppress(OSError, EOFError):
            reader, writer = await asyncio.open_connection(host, port, limit=BLOCK_BYTES)
            try:
                for is_acquisition in itertools.cycle((acquires, not acquires)):
                    writer.write(request(key, acquires=is_acquisition))
                    await read_response(reader)
                    if pause:
                        await asyncio.sleep(pause)
            finally:
                writer.close()
        await asyncio.sleep(RETRY_SECONDS)


async def main(host: str, port: int, pause: float) -> None:
    key = sys.stdin.readline().strip()
    await asyncio.gather(*(flood(host, port, key, pause) for _ in range(CONNECTIONS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
