"""An agent that is killed while it holds a contact.

* demo-eve is a separate process, `quorate lease run`. It sends no message to the service and
  releases nothing. The service revokes its lease when its heartbeat timeout has passed.
* If it loses its lease before that, as on a very slow machine, it is started again.
"""

import asyncio
import signal
import time
from collections.abc import Callable

from quorate.cli.demo.agent_process import STOP_SECONDS_MAX, start_agent_process
from quorate.cli.demo.script import (
    ABANDONED,
    CRASHES_AT,
    CRASHING_AGENT,
    LEASE_MINUTES,
    DemoConfig,
)
from quorate.cli.demo.script_clock import ScriptClock
from quorate.cli.lease_runner.subprocess import Program

_END_OF_LEASE = frozenset({"LeaseReleased", "LeaseExpired", "LeaseRevoked"})


class LeaseCrash:
    """``on_crash`` is called when the agent has been killed."""

    def __init__(
        self, config: DemoConfig, clock: ScriptClock, on_crash: Callable[[str], None]
    ) -> None:
        self._config = config
        self._clock = clock
        self._on_crash = on_crash
        self._has_lease = asyncio.Event()
        self.crashed_at: float | None = None

    @property
    def has_lease(self) -> bool:
        return self._has_lease.is_set()

    def observe(self, event_type: str, agent_name: str) -> None:
        """Process an event of the log."""
        if agent_name != CRASHING_AGENT or self.crashed_at is not None:
            return
        if event_type == "LeaseAcquired":
            self._has_lease.set()
        elif event_type in _END_OF_LEASE:
            self._has_lease.clear()

    async def crash(self) -> None:
        """Kill the agent while it has its lease; raises TimeoutError if it does not get it."""
        while self.crashed_at is None:
            if not self._clock.remaining:
                raise TimeoutError
            await self._run_agent()

    async def _run_agent(self) -> None:
        """Start the agent, and kill it; or stop it if it loses its lease before that."""
        seconds = str(self._config.seconds_max)
        program = await start_agent_process(
            self._config,
            *("lease", "run", ABANDONED, "--agent-name", CRASHING_AGENT, "--intent", "demo"),
            *("--wait", seconds, "--duration", str(LEASE_MINUTES), "--", "sleep", seconds),
        )
        ended = asyncio.ensure_future(program.wait())
        acquired = asyncio.ensure_future(self._has_lease.wait())
        try:
            await asyncio.wait(
                {ended, acquired},
                timeout=self._clock.remaining,
                return_when=asyncio.FIRST_COMPLETED,
            )
            await asyncio.wait({ended}, timeout=self._clock.seconds_until(CRASHES_AT))
            if self.has_lease and not ended.done():
                self._kill(program)
        finally:
            ended.cancel()
            acquired.cancel()
            await program.stop(STOP_SECONDS_MAX)

    def _kill(self, program: Program) -> None:
        program.send(signal.SIGKILL)
        self.crashed_at = time.time()
        self._on_crash(CRASHING_AGENT)
