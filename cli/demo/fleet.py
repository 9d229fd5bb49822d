"""The agents of the demo, built with the public SDK.

* Four agents compete for three contacts. One of them creates a proposal, and all four vote on it.
* One of them delegates a task to another by mail (cli/demo/delegation.py), and another task to
  workers (cli/demo/worker_crash.py).
* The fifth agent is killed while it holds a contact (cli/demo/lease_crash.py).
* The agents work for the duration, and then until all parts of the demo are shown, at most
  EXTRA_SECONDS_MAX longer. The parts wait for each other's events, not for a time alone.
* All agents record their leases with one local clock: a hold begins when the lease is valid and
  ends before it is released. Two holds of one contact must never overlap.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from quorate.cli.demo.delegation import DELEGATOR, NOTIFICATION, Delegation
from quorate.cli.demo.lease_crash import LeaseCrash
from quorate.cli.demo.script import (
    ABANDONED,
    ACTION,
    CONTACTS,
    CRASHING_AGENT,
    CRASHING_STARTS_AT,
    CRASHING_WORKER,
    DELEGATED_AT,
    DISPUTED,
    HOLD_SHARES,
    LAST_LEASE_AT,
    LEASE_MINUTES,
    PROPOSED_AT,
    PROPOSER,
    SPAWNED_AT,
    SPAWNER,
    SUCCESSOR,
    VOTE_DELAY_SHARES,
    VOTE_MINUTES,
    VOTES,
    WAIT_SHARES,
    WORKER,
    DemoConfig,
)
from quorate.cli.demo.script_clock import ScriptClock
from quorate.cli.demo.worker_crash import WorkerCrash
from quorate.client import (
    Agent,
    AlreadyVotedError,
    AsyncClient,
    ConsensusClosedError,
    ConsensusRequested,
    LeaseConflictError,
    LeaseLostError,
    QuorateError,
    RequestFailedError,
)
from quorate.domain.shared.records import record

_END_OF_VOTE = frozenset({"ConsensusDecided", "ConsensusExpired", "ConsensusCancelled"})


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
    """The agents; ``holds`` and ``troubles`` are recorded by the agents themselves.

    * ``is_complete``: whether all parts of the demo are shown.
    * ``on_crash``: called with the name of an agent whose process was killed.
    """

    def __init__(
        self, config: DemoConfig, is_complete: Callable[[], bool], on_crash: Callable[[str], None]
    ) -> None:
        self.config = config
        self._is_complete = is_complete
        self._random = random.Random()  # noqa: S311 - not a secret.
        self._connected: set[str] = set()
        self._voters: set[str] = set()
        self._has_voted = asyncio.Event()  # Set when the vote has ended.
        self._successor_waits = False
        self._client = AsyncClient(config.url, config.api_key)
        self.clock = ScriptClock(config)
        self.delegation = Delegation(self._client)
        self.lease_crash = LeaseCrash(config, self.clock, on_crash)
        self.worker_crash = WorkerCrash(config, self.clock, self._client, on_crash)
        self.holds: list[Hold] = []
        self.troubles: list[str] = []

    async def run(self) -> None:
        """Run until all is shown and all leases are released; raises RequestFailedError."""
        if self.config.nats_url:
            # The import blocks the event loop, so it is done before an agent needs heartbeats.
            import_module("quorate.client.transports.nats")
        self.clock.start()
        async with self._client:
            try:
                await self._run_agents()
            finally:
                await self.worker_crash.clean_up()

    @property
    def is_over(self) -> bool:
        """Whether the duration is over and all parts are shown, or the extra time is over too."""
        if self.clock.seconds_until(LAST_LEASE_AT):
            return False
        return self._is_complete() or not self.clock.remaining

    # -- Four agents ---------------------------------------------------------

    async def _run_agents(self) -> None:
        async with asyncio.TaskGroup() as agents:
            for name in VOTES:
                agents.create_task(self._run_agent(name))
            agents.create_task(self._crash_worker())
            if self.config.shows_timeout:
                agents.create_task(self._crash_agent())

    async def _run_agent(self, name: str) -> None:
        config = self.config
        async with Agent.connect(
            config.url, config.api_key, name=name, role="demo", nats_url=config.nats_url or ""
        ) as agent:
            await self._wait_for_others(name)
            background = [asyncio.create_task(one) for one in self._background_work(agent)]
            try:
                await self._work(agent)
            finally:
                for task in background:
                    task.cancel()
                await asyncio.gather(*background, return_exceptions=True)

    async def _wait_for_others(self, name: str) -> None:
        """Wait until all agents are connected: all of them vote, so none may miss the proposal."""
        self._connected.add(name)
        if len(self._connected) == len(VOTES):
            self.clock.begin_script()
        await self.clock.until(0.0)

    def _background_work(self, agent: Agent) -> list[Coroutine[Any, Any, None]]:
        work = [self._react(agent)]
        if agent.name == PROPOSER:
            work.append(self._propose(agent))
        if agent.name == SPAWNER:
            work.append(self._spawn(agent))
        if agent.name == WORKER:
            work.append(self.worker_crash.work(agent))
        return work

    async def _work(self, agent: Agent) -> None:
        """Lease one contact after the other; wait while another agent holds it."""
        while not self.is_over:
            contact, wait_seconds = self._choose_contact(agent)
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

    def _choose_contact(self, agent: Agent) -> tuple[str, float]:
        """Return the next contact and how many seconds to wait for it."""
        if agent.name == SUCCESSOR and self.lease_crash.has_lease and not self._successor_waits:
            self._successor_waits = True
            return ABANDONED, self.clock.remaining
        wait_seconds = min(self.clock.remaining, self._seconds(*WAIT_SHARES))
        return self._random.choice(CONTACTS), wait_seconds

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
        await self.clock.until(PROPOSED_AT)
        reason = "Three complaints this week"
        try:
            await agent.propose(ACTION, DISPUTED, reason, timeout_minutes=VOTE_MINUTES)
        except RequestFailedError as trouble:
            self.troubles.append(f"{agent.name}: {trouble}")
            self._has_voted.set()  # The other parts wait for the end of the vote.

    async def _react(self, agent: Agent) -> None:
        """Vote on the proposal a short time after its notification; receive mail."""
        async for notification in agent.notifications():
            proposal = notification.data
            if isinstance(proposal, ConsensusRequested) and proposal.action == ACTION:
                await self._pause(*VOTE_DELAY_SHARES)
                await self._vote(agent, proposal.request_id)
            elif notification.name == NOTIFICATION:
                await self._receive(agent.name, notification.raw["data"])

    async def _vote(self, agent: Agent, request_id: str) -> None:
        try:
            with suppress(AlreadyVotedError, ConsensusClosedError):
                await agent.vote(request_id, VOTES[agent.name])
        except RequestFailedError as trouble:
            self.troubles.append(f"{agent.name}: {trouble}")

    # -- Mail ----------------------------------------------------------------

    async def _delegate(self, contact: str) -> None:
        """Delegate a task by mail, once, while holding the contact."""
        if self.delegation.has_begun or self.clock.seconds_until(DELEGATED_AT):
            return
        try:
            await self.delegation.delegate(contact, self.clock.remaining)
        except TimeoutError:
            self.troubles.append(f"{DELEGATOR} did not get the result of its task")
        except RequestFailedError as trouble:
            self.troubles.append(f"{DELEGATOR}: {trouble}")

    async def _receive(self, name: str, data: Mapping[str, Any]) -> None:
        try:
            await self.delegation.receive(name, data)
        except RequestFailedError as trouble:
            self.troubles.append(f"{name}: {trouble}")

    # -- Crashes -------------------------------------------------------------

    def observe(self, event: Mapping[str, Any], agent_name: str) -> None:
        """Process an event of the log and the name of its agent."""
        type_ = str(event["type"])
        self.lease_crash.observe(type_, agent_name)
        self.worker_crash.observe(type_, agent_name)
        if type_ == "VoteCast":
            self._voters.add(agent_name)
        if self._voters >= VOTES.keys() or type_ in _END_OF_VOTE:
            self._has_voted.set()

    async def _wait_for_vote(self) -> None:
        """Wait for the end of the vote: more agents would need more votes for a majority."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.clock.remaining):
                await self._has_voted.wait()

    async def _crash_agent(self) -> None:
        await self._wait_for_vote()
        await self.clock.until(CRASHING_STARTS_AT)
        try:
            await self.lease_crash.crash()
        except TimeoutError:
            self.troubles.append(f"{CRASHING_AGENT} did not get {ABANDONED}")

    async def _crash_worker(self) -> None:
        await self._wait_for_vote()
        await self.clock.until(SPAWNED_AT)
        try:
            await self.worker_crash.crash()
        except TimeoutError:
            self.troubles.append(f"{CRASHING_WORKER} did not get a task")

    async def _spawn(self, agent: Agent) -> None:
        await self._wait_for_vote()
        await self.clock.until(SPAWNED_AT)
        try:
            await self.worker_crash.hand_over(agent)
        except QuorateError as trouble:
            self.troubles.append(f"{agent.name}: {trouble}")

    # -- Time ----------------------------------------------------------------

    async def _pause(self, minimum: float, maximum: float) -> None:
        await asyncio.sleep(self._seconds(minimum, maximum))

    def _seconds(self, minimum: float, maximum: float) -> float:
        return self._random.uniform(minimum, maximum) * self.config.seconds
