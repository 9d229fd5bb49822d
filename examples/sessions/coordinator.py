"""Hand tasks to three workers, and stop one of them in the middle of its work.

The task of the stopped worker is offered again, and another worker does it.
"""

import argparse
import asyncio
import multiprocessing
import os
from collections.abc import Sequence

from quorate.client import Agent, SpawnedTask, Task, Worker

CLAIM_SECONDS = 2
STEPS = 3


async def work(name: str) -> None:
    """Work as one process does, until it is killed."""
    async with Worker.connect(
        name=name, presets=["-"], concurrency=1, claim_seconds=CLAIM_SECONDS
    ) as worker:

        @worker.task()
        async def count(task: Task) -> str:
            for step in range(1, STEPS + 1):
                await task.progress(f"{name} at step {step}", percent=100 * step // STEPS)
                await asyncio.sleep(0.3)
            return f"{task.text} by {name}, attempt {task.info.attempt}"

        await worker.run()


def run_worker(name: str) -> None:
    asyncio.run(work(name))


async def coordinate(workers: Sequence[multiprocessing.Process]) -> None:
    async with Agent.connect(name="coordinator") as agent:
        tasks = [await agent.spawn(f"part {number}") for number in range(1, 7)]
        await stop_one(workers, tasks)
        for task in tasks:
            print(await task.result(), flush=True)


async def stop_one(
    workers: Sequence[multiprocessing.Process], tasks: Sequence[SpawnedTask]
) -> None:
    """Kill the worker of the first task that is in the middle."""
    async for info in tasks[0].progress():
        if info.message is not None:
            name = info.message.split()[0]
            next(one for one in workers if one.name == name).kill()
            print(f"killed {name}", flush=True)
            return


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.epilog = "QUORATE_URL and QUORATE_API_KEY (of the tenant) name the service."
    parser.parse_args()
    os.environ.setdefault("QUORATE_URL", "http://127.0.0.1:8420")
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=run_worker, args=(name,), name=name, daemon=True)
        for name in ("worker-1", "worker-2", "worker-3")
    ]
    for one in workers:
        one.start()
    try:
        asyncio.run(coordinate(workers))  # type: ignore[arg-type]
    finally:
        for one in workers:
            one.kill()
            one.join()


if __name__ == "__main__":
    main()
