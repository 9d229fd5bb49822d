"""Run a program while a lease is held, and terminate it before the lease ends.

Guarantees:

* The program never runs while another agent may hold the lease. It is terminated when the lease is
  lost; when renewals fail, early enough to be gone before the lease ends.
* A program that ignores SIGTERM is killed with all its descendants (on Linux; elsewhere with its
  process group). They are gone before the lease is released, also when the program ends first.
* Termination signals are forwarded to the program once it runs; before, they end this process.
  Signals that were ignored at the start stay ignored (``nohup``).
* Ctrl-Z stops the program before this process, because a stopped process cannot terminate it in
  time. The program continues only if the lease is still held.
"""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence

from quorate.cli.lease_runner.guardian import SIGNALLED
from quorate.cli.lease_runner.subprocess import Program
from quorate.client import Agent, Lease, LeaseLostError
from quorate.domain.shared.records import record
from quorate.runtime.signals import without_ignored

# Largest share of a new lease that is reserved for terminating the program. Renewals and heartbeats
# run in the first two thirds, with more than one attempt.
KILL_AFTER_SHARE_MAX = 0.25
FORWARDED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
START_POLL_SECONDS = 0.01  # Interval of the check whether the program has started.


@record
class LeaseSpec:
    """The lease to acquire, the agent that holds it, and the timeouts."""

    url: str
    api_key: str
    nats_url: str | None
    agent_name: str | None
    agent_role: str
    contact: str
    intent: str | None
    duration_minutes: float
    wait_seconds: float
    kill_after_seconds: float


class RunAborted(Exception):
    """The lease ended, or could not be renewed, before the program ended; the program is gone."""


class LeaseRunner:
    """One lease and one program; ``command`` begins with the path of the program."""

    def __init__(self, spec: LeaseSpec, command: Sequence[str]) -> None:
        self._spec = spec
        self._command = command
        self._lease: Lease | None = None
        self._program: Program | None = None
        self._interrupted: signal.Signals | None = None
        self._kill_at: float | None = None

    async def run(self) -> int:
        """Return the exit code of the program.

        Raises RunAborted if the lease was lost, RequestFailedError if none was acquired.
        """
        task = asyncio.current_task()
        assert task is not None

        def on_signal(number: signal.Signals) -> None:
            if self._program is not None:
                self._program.send(number)
            elif self._interrupted is None:
                self._interrupted = number
                task.cancel()

        loop = asyncio.get_running_loop()
        forwarded = without_ignored(FORWARDED_SIGNALS)
        suspending = without_ignored((signal.SIGTSTP,))
        for number in forwarded:
            loop.add_signal_handler(number, on_signal, number)
        for number in suspending:
            loop.add_signal_handler(number, self._suspend)
        try:
            return await self._run_as_agent()
        except asyncio.CancelledError:
            if self._interrupted is None:
                raise
            return SIGNALLED + self._interrupted
        finally:
            for number in (*forwarded, *suspending):
                loop.remove_signal_handler(number)

    def _suspend(self) -> None:
        """Suspend the program, then this process; the code after that runs on SIGCONT."""
        loop = asyncio.get_running_loop()
        if self._lease is not None and self._program is None:  # The program is starting.
            loop.call_later(START_POLL_SECONDS, self._suspend)
            return
        if self._program is not None:
            self._program.suspend()
        loop.remove_signal_handler(signal.SIGTSTP)
        signal.raise_signal(signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        if self._program is not None and self._lease is not None and self._lease.is_held:
            self._program.resume()

    async def _run_as_agent(self) -> int:
        spec = self._spec
        async with Agent.connect(
            spec.url,
            spec.api_key,
            name=spec.agent_name,
            role=spec.agent_role,
            nats_url=spec.nats_url or "",  # Empty: HTTP alone.
        ) as agent:
            try:
                code = await self._run_under_lease(agent)
            except LeaseLostError as lost:
                await self._stop_program(spec.kill_after_seconds)
                raise RunAborted(self._describe(f"was lost ({lost.reason})")) from lost
            except BaseException:  # Stop the program on every exit path.
                await self._stop_program(spec.kill_after_seconds)
                raise
        if code is None:
            raise RunAborted(self._describe("could not be renewed in time"))
        return code

    def _describe(self, event: str) -> str:
        program = "and the command was terminated" if self._program else "before the command began"
        return f"The lease on {self._spec.contact} {event}, {program}"

    async def _run_under_lease(self, agent: Agent) -> int | None:
        """Return the exit code, or None if the program was terminated before the lease ended."""
        spec = self._spec
        async with agent.lease(
            spec.contact,
            intent=spec.intent,
            duration_minutes=spec.duration_minutes,
            wait_seconds=spec.wait_seconds,
        ) as lease:
            reserve = KILL_AFTER_SHARE_MAX * lease.remaining_seconds
            stop_seconds = min(spec.kill_after_seconds, reserve)
            self._lease = lease
            self._program = await Program.start(
                self._command, self._environment(agent, lease), linger_seconds=stop_seconds
            )
            code = await _wait_while_leased(self._program, lease, stop_seconds)
            if code is None:
                await self._stop_program(stop_seconds)
            return code

    async def _stop_program(self, stop_seconds: float) -> None:
        """Terminate the program; a second call keeps the kill deadline of the first."""
        if self._program is not None:
            now = asyncio.get_running_loop().time()
            self._kill_at = self._kill_at or now + stop_seconds
            await self._program.stop(max(0.0, self._kill_at - now))

    def _environment(self, agent: Agent, lease: Lease) -> Mapping[str, str]:
        """Return the inherited environment and the lease variables, but no key from options."""
        return os.environ | {
            "QUORATE_URL": self._spec.url,
            "QUORATE_AGENT": agent.id,  # The acting agent of `quorate` calls in the program.
            "QUORATE_AGENT_ID": agent.id,
            "QUORATE_CONTACT": lease.contact_email,
            "QUORATE_FENCE": str(lease.fence),
            "QUORATE_LEASE_ID": lease.id,
        }


async def _wait_while_leased(program: Program, lease: Lease, stop_seconds: float) -> int | None:
    """Return the exit code, or None when the lease is about to end."""
    ended = asyncio.ensure_future(program.wait())
    try:
        while (spare := lease.remaining_seconds - stop_seconds) > 0:  # Grows after each renewal.
            done, _ = await asyncio.wait({ended}, timeout=spare)
            if done:
                return ended.result()
    finally:
        ended.cancel()
    return None
