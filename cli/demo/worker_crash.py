"""A task that demo-ada hands to workers: the first worker is killed, another one completes it.

* demo-fay is a separate process, `quorate worker`. It is killed as soon as it has claimed the task.
  The service gets no message. The claim expires, and the service offers the task again.
* demo-cleo begins to work after the crash. It claims the task, and completes it.
* The preset of the task is removed at the end. A task that has not ended is cancelled.
"""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from math import ceil

from quorate.cli.demo.agent_process import STOP_SECONDS_MAX, start_agent_process
from quorate.cli.demo.script import (
    CRASHING_CLAIM_SECONDS,
    CRASHING_WORKER,
    PRESET,
    DemoConfig,
)
from quorate.cli.demo.script_clock import ScriptClock
from quorate.cli.lease_runner.subprocess import Program
from quorate.client import Agent, AsyncClient, QuorateError, Task, Worker, preset_requests
from quorate.domain.sessions.presets import ATTEMPTS_MAX
from quorate.domain.sessions.task_claims import CLAIM_SECONDS_DEFAULT

TASK = "Sort the replies of this week"
RESULT = "3 complaints, 9 thanks"


class WorkerCrash:
    """``on_crash`` is called when the worker has been killed."""

    def __init__(
        self,
        config: DemoConfig,
        clock: ScriptClock,
        client: AsyncClient,
        on_crash: Callable[[str], None],
    ) -> None:
        self._config = config
        self._clock = clock
        self._client = client
        self._on_crash = on_crash
        self._has_task = asyncio.Event()  # Set when the crashing worker has the task.
        self._has_crashed = asyncio.Event()
        self._puts_preset = False
        self.crashed_at: float | None = None

    def observe(self, event_type: str, agent_name: str) -> None:
        """Process an event of the log."""
        if event_type == "TaskClaimed" and agent_name == CRASHING_WORKER:
            self._has_task.set()

    async def hand_over(self, agent: Agent) -> None:
        """Hand over the task, and wait for its result; raises QuorateError."""
        preset = {"description": "The task of `quorate demo`", "max_attempts": ATTEMPTS_MAX}
        self._puts_preset = True
        await self._client.execute(preset_requests.put_preset(PRESET, preset))
        seconds = ceil(self._config.seconds_max)
        task = await agent.spawn(TASK, preset=PRESET, timeout_seconds=seconds)
        try:
            await task.result()
        finally:
            with suppress(QuorateError):
                await task.cancel()  # Succeeds after the end too.

    async def clean_up(self) -> None:
        """Remove the preset; called when no agent works, so nothing cancels the request."""
        if self._puts_preset:
            with suppress(QuorateError):
                await self._client.execute(preset_requests.delete_preset(PRESET))

    async def crash(self) -> None:
        """Kill a worker process that has the task; raises TimeoutError if it does not get it."""
        program = await start_agent_process(
            self._config,
            *("worker", PRESET, "--agent-name", CRASHING_WORKER),
            *("--claim", f"{CRASHING_CLAIM_SECONDS}s"),
            *("--", "sleep", str(self._config.seconds_max)),
        )
        try:
            async with asyncio.timeout(self._clock.remaining):
                await self._has_task.wait()
            self._kill(program)
        finally:
            await program.stop(STOP_SECONDS_MAX)

    def _kill(self, program: Program) -> None:
        program.send(signal.SIGKILL)
        self.crashed_at = time.time()
        self._on_crash(CRASHING_WORKER)
        self._has_crashed.set()

    async def work(self, agent: Agent) -> None:
        """Work on the tasks of the preset after the crash, until cancelled."""
        await self._has_crashed.wait()
        worker = Worker(agent, (PRESET,), concurrency=1, claim_seconds=CLAIM_SECONDS_DEFAULT)

        @worker.task(PRESET)
        async def sort(_task: Task) -> str:
            return RESULT

        await worker.run()
