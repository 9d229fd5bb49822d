"""A worker in a process of its own, which may be killed or stopped at any moment."""

import asyncio
import os
import sys

from quorate.client import Task, Worker

CLAIM_SECONDS = 3


async def main(work_seconds: float) -> None:
    async with Worker.connect(
        nats_url="", concurrency=4, claim_seconds=CLAIM_SECONDS, stay=True
    ) as worker:

        @worker.task()
        async def answer(task: Task) -> str:
            await task.progress("begun", percent=10)
            await asyncio.sleep(work_seconds)
            return f"{task.text} by {os.getpid()}"

        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
