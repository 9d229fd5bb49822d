"""Ending tasks for good.

A task group that is failing just then, and ``asyncio.wait_for`` on Python 3.11, can swallow a
cancellation. So whoever does not end is asked again.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 0.5


async def end(tasks: Iterable["asyncio.Future[Any]"]) -> None:
    """Cancel them until all have ended; how they ended is nobody's business any more."""
    ending = set(tasks)
    left = ending
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
    await asyncio.gather(*ending, return_exceptions=True)
