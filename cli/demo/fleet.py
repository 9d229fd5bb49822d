"""The agents of the demo, built with the public SDK.

* Four agents compete for three contacts. One of them creates a proposal, and all four vote on it.
* One of them delegates a task to another by mail (cli/demo/delegation.py).
* The fifth agent is a separate process, `quorate lease run`, which is killed while it holds a
  contact. It sends no message to the service and releases nothing.
* All agents record their leases with one local clock: a hold begins when the lease is valid and
  ends before it is released. Two holds of one contact must never overlap.
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

from quorate.cli.demo.delegation import DELEGATOR, NOTIFICATION, Delegation
from quorate.cli.lease_runner.subprocess import Program
from quorate.client import (
    Agent,
    AlreadyVotedError,
    AsyncClient,
    ConsensusClosedError,
    ConsensusRequested,
    LeaseConflictError,
    LeaseLostError,
    RequestFailedError,
)
from quorate.domain.coordination.consensus import Choice
from quorate.domain.shared.records import record

CONTACTS = ("ann@demo.example", "bob@demo.example", "cat@demo.example")
# The vote of each agent on the proposal.
VOTES: Mapping[str, Choice] = {
    "demo-ada": "approve",
    "demo-ben": "reject",
    "demo-cleo": "approve",
    "demo-dan": "approve",
}
PROPOSER = "demo-ada"
CRASHING_AGENT = "demo-eve"
SUCCESSOR = "demo-dan"  # Waits for the contact of the crashing agent.
NAMES = (*VOTES, CRASHING_AGENT)
ACTION = "pause outreach"
DISPUTED = CONTACTS[0]
ABANDONED = CONTACTS[1]
LEASE_MINUTES = 1.0
VOTE_MINUTES = 1.0
# Times of the actions, as shares of the duration.
PROPOSED_AT = 0.15
DELEGATED_AT = 0.3
CRASHING_STARTS_AT = 0.25
CRASHES_AT = 0.45
LAST_LEASE_AT = 0.93
HOLD_SHARES = (0.02, 0.06)
WAIT_SHARES = (0.02, 0.1)
VOTE_DELAY_SHARES = (0.02, 0.06)
RESULT_SECONDS_MAX = 5.0  # How long the result of the delegated task may take.
STOP_SECONDS_MAX = 1.0
_ENVIRONMENT_PREFIX = "QUORATE_"


@record
class DemoConfig:
    """The service and the duration; ``shows_timeout``: the demo is long enough for a timeout."""

    url: str
    nats_url: str | None
    api_key: str
    seconds: float
    window_seconds: float
    shows_timeout: bool


@record
class Hold:
    """The time in which one agent held one contact, by the common local clock."""

    agent: str
    contact: str
    fence: int
    began: float
    ended: float


def find_overlaps(holds: Sequence[Hold]) -> list[tuple[Hold, Hold]]:
    """Return pairs of holds of one contact that overlap."""
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
    """The agents; ``holds`` and ``troubles`` are recorded by the agents themselves."""

    def __init__(self, config: DemoConfig, on_crash: Callable[[], None] = lambda: None) -> None:
        self._config = config
        self._on_crash = on_crash
        self._random = random.Random()  # noqa: S311 - not a secret.
        self._began = time.monotonic()
        self._crasher_has_lease = asyncio.Event()  # Set when the crashing agent has its lease.
        self._successor_waits = False
        self._client = AsyncClient(config.url, config.api_key)
        self.delegation = Delegation(self._client)
        self.crashed_at: float | None = None
        self.holds: list[Hold] = []
        self.troubles: list[str] = []

    async def run(self) -> None:
        """Run until the time is over and all leases are released; raises RequestFailedError."""
        self._began = time.monotonic()
        async with self._client, asyncio.TaskGroup() as agents:
            for name in VOTES:
                agents.create_task(self._run_agent(name))
            if self._config.shows_timeout:
                agents.create_task(self._crash())

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    # -- Four agents ---------------------------------------------------------

    async def _run_agent(self, name: str) -> None:
        config = self._config
        async with Agent.connect(
            config.url, config.api_key, name=name, role="demo", nats_url=config.nats_url or ""
        ) as agent:
            background = [asyncio.create_task(self._react(agent))]
            if name == PROPOSER:
                background.append(asyncio.create_task(self._propose(agent)))
            try:
                await self._work(agent)
            finally:
                for task in background:
                    task.cancel()
                await asyncio.gather(*background, return_exceptions=True)

    async def _work(self, agent: Agent) -> None:
        """Lease one contact after the other; wait while another agent holds it."""
        while (remaining := LAST_LEASE_AT * self._config.seconds - self.elapsed) > 0:
            contact, wait_seconds = self._choose_contact(agent, remaining)
            try:
                async with agent.lease(
                    contact,
                    intent="demo",
                    duration_minutes=LEASE_MINUTES,
                    wait_seconds=wait_seconds,
                ) as lease:
                    await self._hold(agent.name, contact, lease.fence)
                    await lease.request_send()
            except LeaseConflictError:
                with suppress(RequestFailedError):
                    await agent.request_send(contact)  # Blocked: it does not hold the contact.
            except (RequestFailedError, LeaseLostError) as trouble:
                self.troubles.append(f"{agent.name}: {trouble}")
                await self._pause(*HOLD_SHARES)
            await self._pause(0.0, HOLD_SHARES[0])

    def _choose_contact(self, agent: Agent, remaining: float) -> tuple[str, float]:
        """Return the next contact and how many seconds to wait for it."""
        if (
            agent.name == SUCCESSOR
            and self._crasher_has_lease.is_set()
            and not self._successor_waits
        ):
            self._successor_waits = True
            return ABANDONED, self._config.seconds
        return self._random.choice(CONTACTS), min(remaining, self._seconds(*WAIT_SHARES))

    async def _hold(self, name: str, contact: str, fence: int) -> None:
        began = time.monotonic()
        try:
            if name == DELEGATOR:
                await self._delegate(contact)
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

    async def _react(self, agent: Agent) -> None:
        """Vote on the proposal a short time after its notification; receive mail."""
        async for notification in agent.notifications():
            proposal = notification.data
            if isinstance(proposal, ConsensusRequested) and proposal.action == ACTION:
                await self._pause(*VOTE_DELAY_SHARES)
                with suppress(AlreadyVotedError, ConsensusClosedError):
                    await agent.vote(proposal.request_id, VOTES[agent.name])
            elif notification.name == NOTIFICATION:
                await self._receive(agent.name, notification.raw["data"])

    # -- Mail ----------------------------------------------------------------

    async def _delegate(self, contact: str) -> None:
        """Delegate a task by mail, once, while holding the contact."""
        is_time = self.elapsed >= DELEGATED_AT * self._config.seconds
        if self.delegation.has_begun or not is_time:
            return
        try:
            await self.delegation.delegate(contact, RESULT_SECONDS_MAX)
        except TimeoutError:
            self.troubles.append(f"{DELEGATOR} did not get the result of its task")
        except RequestFailedError as trouble:
            self.troubles.append(f"{DELEGATOR}: {trouble}")

    async def _receive(self, name: str, data: Mapping[str, Any]) -> None:
        try:
            await self.delegation.receive(name, data)
        except RequestFailedError as trouble:
            self.troubles.append(f"{name}: {trouble}")

    # -- The crashing agent --------------------------------------------------

    def observe(self, event: Mapping[str, Any], agent_name: str) -> None:
        """Process an event of the log and the name of its agent."""
        if event["type"] == "LeaseAcquired" and agent_name == CRASHING_AGENT:
            self._crasher_has_lease.set()

    async def _crash(self) -> None:
        """Kill an agent process. In this process the SDK would release the lease on exit."""
        await self._until(CRASHING_STARTS_AT)
        wait_seconds = str(self._config.seconds)
        program = await Program.start(
            (
                *(sys.executable, "-P", "-m", "quorate.cli.main", "lease", "run", ABANDONED),
                *("--agent-name", CRASHING_AGENT, "--intent", "demo", "--wait", wait_seconds),
                *("--duration", str(LEASE_MINUTES), "--", "sleep", wait_seconds),
            ),
            self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(self._config.seconds):
                await self._crasher_has_lease.wait()
            await self._until(CRASHES_AT)
            self.crashed_at = time.time()
            program.send(signal.SIGKILL)
            self._on_crash()
        except TimeoutError:
            self.troubles.append(f"{CRASHING_AGENT} did not get {ABANDONED}")
        finally:
            await program.stop(STOP_SECONDS_MAX)

    def _environment(self) -> dict[str, str]:
        others = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_ENVIRONMENT_PREFIX)
        }
        return others | {"QUORATE_URL": self._config.url, "QUORATE_API_KEY": self._config.api_key}

    # -- Time ----------------------------------------------------------------

    async def _until(self, share: float) -> None:
        await asyncio.sleep(max(0.0, share * self._config.seconds - self.elapsed))

    async def _pause(self, minimum: float, maximum: float) -> None:
        await asyncio.sleep(self._seconds(minimum, maximum))

    def _seconds(self, minimum: float, maximum: float) -> float:
        return self._random.uniform(minimum, maximum) * self._config.seconds
