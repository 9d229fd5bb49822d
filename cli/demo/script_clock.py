"""Time of the demo: since its start, and since the script of its agents began.

The script begins when all agents are connected, which takes longer on a slow machine.
"""

import asyncio
import time

from quorate.cli.demo.script import DemoConfig


class ScriptClock:
    def __init__(self, config: DemoConfig) -> None:
        self._config = config
        self._began = self._script_began = time.monotonic()
        self._has_begun = asyncio.Event()

    def start(self) -> None:
        self._began = self._script_began = time.monotonic()

    def begin_script(self) -> None:
        self._script_began = time.monotonic()
        self._has_begun.set()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    @property
    def remaining(self) -> float:
        """Seconds until the demo ends although parts of it were not shown."""
        return max(0.0, self._config.seconds_max - self.elapsed)

    def seconds_until(self, share: float) -> float:
        """Return the seconds until this share of the duration; 0 after it."""
        elapsed = time.monotonic() - self._script_began
        return max(0.0, share * self._config.seconds - elapsed)

    async def until(self, share: float) -> None:
        """Wait until the script has begun, and until this share of the duration."""
        await self._has_begun.wait()
        await asyncio.sleep(self.seconds_until(share))
