"""Keeps a program running as long as a lease is held, and ends it in time.

* The program is never running while the lease may be another's: it is ended with the lease, and
  when renewals fail, early enough to be gone before the lease is.
* Ended means gone: whoever does not end when asked is killed, with all that it started.
* Signals that would end us are the program's from its start on; before, they end us.
* Who stops us with Ctrl-Z stops the program first: while we stand still, nobody could end it in
  time. It goes on only under a lease that is still held.
"""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence

from quorate.cli.lease_runner.subprocess import SIGNALLED, Program
from quorate.client import Agent, Lease, LeaseLost
from quorate.domain.shared.records import record

# Of what is left of a fresh lease, at most so much is kept for ending the program: renewals and
# heartbeats come in the first two thirds, and have been tried more than once by then.
KILL_AFTER_SHARE_MAX = 0.25
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
STARTING_SECONDS = 0.01  # After so long we look again whether the program has been started.


@record
class LeaseSpec:
    """Which lease, as whom, and how patient."""

    url: str
    api_key: str
    nats_url: str | None
    agent_name: str | None
    agent_role: str
    contact: str
    intent: str
    duration_minutes: float
    wait_seconds: float
    kill_after_seconds: float


class Lost(Exception):
    """The lease ended, or could not be kept, before the program ended; the program is gone."""


class LeaseRunner:
    """One lease and one program; ``command`` begins with the program's path."""

    def __init__(self, wanted: LeaseSpec, command: Sequence[str]) -> None:
        self._wanted = wanted
        self._command = command
        self._lease: Lease | None = None
        self._program: Program | None = None
        self._interrupted: signal.Signals | None = None
        self._kill_at: float | None = None

    async def run(self) -> int:
        """The program's exit code; raises Lost, and CallFailed when there was no lease at all."""
        task = asyncio.current_task()
        assert task is not None

        def on_signal(number: signal.Signals) -> None:
            if self._program is not None:
                self._program.send(number)
            elif self._interrupted is None:
                self._interrupted = number
                task.cancel()

        loop = asyncio.get_running_loop()
        for number in PASSED_ON:
            loop.add_signal_handler(number, on_signal, number)
        loop.add_signal_handler(signal.SIGTSTP, self._pause)
        try:
            return await self._as_an_agent()
        except asyncio.CancelledError:
            if self._interrupted is None:
                raise
            return SIGNALLED + self._interrupted
        finally:
            for number in (*PASSED_ON, signal.SIGTSTP):
                loop.remove_signal_handler(number)

    def _pause(self) -> None:
        """Stop the program, then ourselves; the rest is for when we are continued."""
        loop = asyncio.get_running_loop()
        if self._lease is not None and self._program is None:  # It is just being started.
            loop.call_later(STARTING_SECONDS, self._pause)
            return
        if self._program is not None:
            self._program.send(signal.SIGSTOP)
        loop.remove_signal_handler(signal.SIGTSTP)
        signal.raise_signal(signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, self._pause)
        if self._program is not None and self._lease is not None and self._lease.held:
            self._program.send(signal.SIGCONT)

    async def _as_an_agent(self) -> int:
        wanted = self._wanted
        async with Agent.connect(
            wanted.url,
            wanted.api_key,
            name=wanted.agent_name,
            role=wanted.agent_role,
            nats_url=wanted.nats_url or "",  # Empty: HTTP alone.
        ) as agent:
            try:
                code = await self._holding(agent)
            except LeaseLost as lost:
                await self._end(wanted.kill_after_seconds)
                raise Lost(self._said(f"is lost ({lost.reason})")) from lost
            except BaseException:  # Whatever ends us ends the program first.
                await self._end(wanted.kill_after_seconds)
                raise
        if code is None:
            raise Lost(self._said("could not be renewed in time"))
        return code

    def _said(self, what: str) -> str:
        program = "and the command has ended" if self._program else "before the command began"
        return f"The lease on {self._wanted.contact} {what}, {program}"

    async def _holding(self, agent: Agent) -> int | None:
        """The program's exit code, or None when it was ended because the lease ran out."""
        wanted = self._wanted
        async with agent.lease(
            wanted.contact,
            intent=wanted.intent,
            duration_minutes=wanted.duration_minutes,
            wait_seconds=wanted.wait_seconds,
        ) as lease:
            left = KILL_AFTER_SHARE_MAX * lease.remaining_seconds
            patience = min(wanted.kill_after_seconds, left)
            self._lease = lease
            self._program = await Program.start(self._command, self._environment(agent, lease))
            code = await _code_in_time(self._program, lease, patience)
            if code is None:
                await self._end(patience)
            return code

    async def _end(self, patience: float) -> None:
        """End the program; a second call has no more patience than the first one left."""
        if self._program is not None:
            now = asyncio.get_running_loop().time()
            self._kill_at = self._kill_at or now + patience
            await self._program.stop(max(0.0, self._kill_at - now))

    def _environment(self, agent: Agent, lease: Lease) -> Mapping[str, str]:
        """Ours, and what the program needs to show that it may act; never a key of our options."""
        return os.environ | {
            "QUORATE_URL": self._wanted.url,
            "QUORATE_AGENT": agent.id,  # As whom a `quorate` that it calls acts.
            "QUORATE_AGENT_ID": agent.id,
            "QUORATE_CONTACT": lease.contact_email,
            "QUORATE_FENCE": str(lease.fence),
            "QUORATE_LEASE_ID": lease.id,
        }


async def _code_in_time(program: Program, lease: Lease, patience: float) -> int | None:
    """Its exit code, or None when no more is left of the lease than ending the program takes."""
    ended = asyncio.ensure_future(program.ended())
    try:
        while (spare := lease.remaining_seconds - patience) > 0:  # More after each renewal.
            done, _ = await asyncio.wait({ended}, timeout=spare)
            if done:
                return ended.result()
    finally:
        ended.cancel()
    return None
