"""Wait until a background task is woken, or for a time."""

import asyncio


async def is_woken_within(woken: asyncio.Event, seconds: float) -> bool:
    """Wait until the event is set, for a time; return whether it was."""
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        return False
    return True
