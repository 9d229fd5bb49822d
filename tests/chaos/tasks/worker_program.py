"""A worker in a process of its own, which may be killed or stopped at any moment.

Its standard error has a line with BEGUN for each task that it begins, one with ENDED when it has
the result or has lost the claim, and one with TOO_LATE for each result that the service refused
because the claim was lost.
"""

import asyncio
import logging
import sys

from quorate.client import Task, Worker

CLAIM_SECONDS = 3
BEGUN, ENDED, TOO_LATE = "has begun", "has ended", "came too late"
_RESULT = "{} with fence {}"
_logger = logging.getLogger("quorate.worker_program")


def result_text(text: str, fence: int) -> str:
    """Return the result of a task: it names the claim under which it was made."""
    return _RESULT.format(text, fence)


async def main(work_seconds: float) -> None:
    logging.basicConfig()
    logging.getLogger("quorate").setLevel(logging.INFO)
    async with Worker.connect(concurrency=4, claim_seconds=CLAIM_SECONDS, stay=True) as worker:

        @worker.task()
        async def answer(task: Task) -> str:
            _logger.info(BEGUN)
            try:
                await task.progress(BEGUN, percent=10)
                await asyncio.sleep(work_seconds)
            finally:
                _logger.info(ENDED)
            return result_text(task.text, task.fence)

        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
