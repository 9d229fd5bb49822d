"""The agents of the demo: real ones, on the SDK that anybody's agents use.

Four of them contend for three contacts; one proposes, and all who hear of it vote. The fifth is a
process of its own, `quorate lease run`, which is killed while it holds a contact: nobody tells the
service, and nobody gives back what it held.

What they write down is by their own clock: a hold begins when the lease is ours to rely on and
ends before it is given back, so two holds of one contact must never overlap.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from quorate.cli.lease_runner.subprocess import Program
from quorate.client import (
    Agent,
    AlreadyVoted,
    CallFailed,
    ConsensusClosed,
    LeaseConflict,
    LeaseLost,
)
from quorate.domain.coordination.consensus import Choice
from quorate.domain.shared.records import record

CONTACTS = ("ann@demo.example", "bob@demo.example", "cat@demo.example")
# What each of them thinks of the proposal.
OPINIONS: Mapping[str, Choice] = {
    "demo-ada": "approve",
    "demo-ben": "reject",
    "demo-cleo": "approve",
    "demo-dan": "approve",
}
PROPOSER = "demo-ada"
SILENT = "demo-eve"
HEIR = "demo-dan"  # Waits for what the silent one holds.
NAMES = (*OPINIONS, SILENT)
ACTION = "pause outreach"
DISPUTED = CONTACTS[0]
ABANDONED = CONTACTS[1]
LEASE_MINUTES = 1.0
VOTE_MINUTES = 1.0
# When things happen, as shares of the whole.
PROPOSED_AT = 0.15
CRASHING_STARTS_AT = 0.25
CRASHES_AT = 0.45
WINDING_UP_AT = 0.93
HOLD_SHARES = (0.02, 0.06)
PATIENCE_SHARES = (0.02, 0.1)
THOUGHT_SHARES = (0.02, 0.06)
STOP_SECONDS_MAX = 1.0
_OURS = "QUORATE_"


@record
class Stage:
    """Where the demo takes place, and for how long. ``lapses``: a lapse can be shown in time."""

    url: str
    nats_url: str | None
    api_key: str
    seconds: float
    window_seconds: float
    lapses: bool


@record
class Hold:
    """One contact in one agent's hands, by the clock that all of them share here."""

    agent: str
    contact: str
    fence: int
    began: float
    ended: float


def overlapping(holds: Sequence[Hold]) -> list[tuple[Hold, Hold]]:
    """Pairs of holds of one contact of which the second began before the first had ended."""
    found = []
    last: dict[str, Hold] = {}
    for hold in sorted(holds, key=lambda one: one.began):
        before = last.get(hold.contact)
        if before is not None and hold.began < before.ended:
            found.append((before, hold))
        if before is None or hold.ended > before.ended:
            last[hold.contact] = hold
    return found


class Fleet:
    """``holds`` and ``troubles`` are what the agents themselves saw."""

    def __init__(self, stage: Stage, on_crash: Callable[[], None] = lambda: None) -> None:
        self._stage = stage
        self._on_crash = on_crash
        self._chance = random.Random()  # noqa: S311 - not a secret.
        self._began = time.monotonic()
        self._abandoned = asyncio.Event()  # The one that crashes has the contact now.
        self._inherited = False
        self.crashed_at: float | None = None
        self.holds: list[Hold] = []
        self.troubles: list[str] = []

    async def run(self) -> None:
        """Return when the time is over and everything is given back; raises CallFailed."""
        self._began = time.monotonic()
        async with asyncio.TaskGroup() as agents:
            for name in OPINIONS:
                agents.create_task(self._live(name))
            if self._stage.lapses:
                agents.create_task(self._crash())

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    # -- The four ------------------------------------------------------------

    async def _live(self, name: str) -> None:
        stage = self._stage
        async with Agent.connect(
            stage.url, stage.api_key, name=name, role="demo", nats_url=stage.nats_url or ""
        ) as agent:
            beside = [asyncio.create_task(self._vote(agent))]
            if name == PROPOSER:
                beside.append(asyncio.create_task(self._propose(agent)))
            try:
                await self._work(agent)
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)

    async def _work(self, agent: Agent) -> None:
        """One contact after the other; while another agent has it, wait to hear that it is free."""
        while (left := WINDING_UP_AT * self._stage.seconds - self.elapsed) > 0:
            contact, patience = self._next(agent, left)
            try:
                async with agent.lease(
                    contact, intent="demo", duration_minutes=LEASE_MINUTES, wait_seconds=patience
                ) as lease:
                    await self._hold(agent.name, contact, lease.fence)
                    await lease.request_send()
            except LeaseConflict:
                with suppress(CallFailed):
                    await agent.request_send(contact)  # What it does not hold, it may not write to.
            except (CallFailed, LeaseLost) as trouble:
                self.troubles.append(f"{agent.name}: {trouble}")
                await self._pause(*HOLD_SHARES)
            await self._pause(0.0, HOLD_SHARES[0])

    def _next(self, agent: Agent, left: float) -> tuple[str, float]:
        """Which contact, and how many seconds it is worth waiting for."""
        if agent.name == HEIR and self._abandoned.is_set() and not self._inherited:
            self._inherited = True
            return ABANDONED, self._stage.seconds
        return self._chance.choice(CONTACTS), min(left, self._seconds(*PATIENCE_SHARES))

    async def _hold(self, name: str, contact: str, fence: int) -> None:
        began = time.monotonic()
        try:
            await self._pause(*HOLD_SHARES)
        finally:
            ended = time.monotonic()
            hold = Hold(agent=name, contact=contact, fence=fence, began=began, ended=ended)
            self.holds.append(hold)

    # -- The vote ------------------------------------------------------------

    async def _propose(self, agent: Agent) -> None:
        await self._until(PROPOSED_AT)
        reason = "Three complaints this week"
        await agent.propose(ACTION, DISPUTED, reason, timeout_minutes=VOTE_MINUTES)

    async def _vote(self, agent: Agent) -> None:
        """Whoever hears of a proposal thinks a little and votes; nobody asks around."""
        async for notification in agent.notifications():
            if notification.name == "consensus_requested" and notification.data["action"] == ACTION:
                await self._pause(*THOUGHT_SHARES)
                with suppress(AlreadyVoted, ConsensusClosed):
                    await agent.vote(notification.data["requestId"], OPINIONS[agent.name])

    # -- The one that crashes ------------------------------------------------

    def hear(self, event: Mapping[str, Any], agent_name: str) -> None:
        """An event of the log, and whose it is."""
        if event["type"] == "LeaseAcquired" and agent_name == SILENT:
            self._abandoned.set()

    async def _crash(self) -> None:
        """Not in this process: what is on the SDK gives back what it holds, however it ends."""
        await self._until(CRASHING_STARTS_AT)
        patience = str(self._stage.seconds)
        program = await Program.start(
            (
                *(sys.executable, "-P", "-m", "quorate.cli.main", "lease", "run", ABANDONED),
                *("--agent-name", SILENT, "--intent", "demo", "--wait", patience),
                *("--duration", str(LEASE_MINUTES), "--", "sleep", patience),
            ),
            self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(self._stage.seconds):
                await self._abandoned.wait()
            await self._until(CRASHES_AT)
            self.crashed_at = time.time()
            program.send(signal.SIGKILL)
            self._on_crash()
        except TimeoutError:
            self.troubles.append(f"{SILENT} did not get {ABANDONED}")
        finally:
            await program.stop(STOP_SECONDS_MAX)

    def _environment(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return others | {"QUORATE_URL": self._stage.url, "QUORATE_API_KEY": self._stage.api_key}

    # -- Time ----------------------------------------------------------------

    async def _until(self, share: float) -> None:
        await asyncio.sleep(max(0.0, share * self._stage.seconds - self.elapsed))

    async def _pause(self, least: float, most: float) -> None:
        await asyncio.sleep(self._seconds(least, most))

    def _seconds(self, least: float, most: float) -> float:
        return self._chance.uniform(least, most) * self._stage.seconds
