"""Cancel tasks and wait for their end.

A failing task group, and ``asyncio.wait_for`` on Python 3.11, can swallow a cancellation. A task
that does not end is therefore cancelled again.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

RETRY_SECONDS = 0.5


async def cancel_and_wait(tasks: Iterable["asyncio.Future[Any]"]) -> None:
    """Cancel the tasks until all have ended; ignore their results and exceptions."""
    cancelled = set(tasks)
    pending = cancelled
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=RETRY_SECONDS)
    await asyncio.gather(*cancelled, return_exceptions=True)
