"""A process of the fleet: some of its agents, told what to do over standard input.

The first line holds the plans, ``finish`` and ``quit`` follow. When standard input ends, whoever
started the process is gone, and so it ends too: no agent outlives its test.
"""

import asyncio
import sys
from pathlib import Path

import orjson

from tests.chaos.fleet.member import Member, Orders, Plan

FIRST_LINE_BYTES_MAX = 1_048_576


async def work() -> None:
    told = asyncio.StreamReader(limit=FIRST_LINE_BYTES_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    first = orjson.loads(await told.readline())
    orders = Orders()
    members = [Member(Plan(**plan), Path(first["folder"]), orders) for plan in first["plans"]]
    async with asyncio.TaskGroup() as group:
        living = [group.create_task(member.live()) for member in members]
        listening = group.create_task(_listen(told, orders))
        await asyncio.wait(living)
        listening.cancel()


async def _listen(told: asyncio.StreamReader, orders: Orders) -> None:
    """Raises, and so ends everything, when nobody is left to tell."""
    while line := await told.readline():
        match line.strip():
            case b"finish":
                orders.finish.set()
            case b"quit":
                orders.finish.set()
                orders.quit.set()
            case order:
                raise ValueError(f"not an order: {order!r}")
    if not orders.quit.is_set():
        raise EOFError("whoever started this process is gone")


if __name__ == "__main__":
    asyncio.run(work())
