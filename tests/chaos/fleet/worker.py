"""A process of the fleet that runs some of its agents, controlled through standard input.

The first line contains the plans; ``finish`` and ``quit`` follow. The process ends when standard
input is closed, so no agent outlives its test.
"""

import asyncio
import sys
from pathlib import Path

import orjson

from tests.chaos.fleet.member import Controls, Member, Plan

FIRST_LINE_BYTES_MAX = 1_048_576


async def work() -> None:
    commands = asyncio.StreamReader(limit=FIRST_LINE_BYTES_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    first = orjson.loads(await commands.readline())
    controls = Controls()
    members = [Member(Plan(**plan), Path(first["directory"]), controls) for plan in first["plans"]]
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(member.run()) for member in members]
        listening = group.create_task(_listen(commands, controls))
        await asyncio.wait(running)
        listening.cancel()


async def _listen(commands: asyncio.StreamReader, controls: Controls) -> None:
    """Handle the commands; raise EOFError, and so end the process, when the parent is gone."""
    while line := await commands.readline():
        match line.strip():
            case b"finish":
                controls.finish.set()
            case b"quit":
                controls.finish.set()
                controls.quit.set()
            case command:
                raise ValueError(f"unknown command: {command!r}")
    if not controls.quit.is_set():
        raise EOFError("the parent process is gone")


if __name__ == "__main__":
    asyncio.run(work())
