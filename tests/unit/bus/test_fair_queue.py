"""Agents take turns: the backlog of one agent does not delay the messages of another."""

import asyncio

import pytest
from nats.aio.msg import Msg

from quorate.bus.fair_queue import (
    BYTES_PER_COST,
    TURN_COST_MAX,
    WAITING_PER_AGENT_MAX,
    FairQueue,
)


class Scenario:
    def __init__(self) -> None:
        self.served: list[tuple[str, int]] = []
        self.rejected: list[tuple[str, int]] = []
        self.queue = FairQueue(self._serve, self._reject, lambda message: message.subject)
        self._sent = 0

    async def _serve(self, message: Msg) -> None:
        self.served.append((message.subject, int(message.reply)))

    async def _reject(self, message: Msg) -> None:
        self.rejected.append((message.subject, int(message.reply)))

    async def send(self, agent: str, count: int, size: int = 0) -> None:
        for _ in range(count):
            message = Msg(None, subject=agent, reply=str(self._sent), data=b"x" * size)  # type: ignore[arg-type]
            self._sent += 1
            await self.queue.pass_on(message)

    def agents(self) -> list[str]:
        return [agent for agent, _ in self.served]


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


async def test_few_messages_are_served_at_once(scenario: Scenario) -> None:
    await scenario.send("ann", TURN_COST_MAX)

    assert len(scenario.served) == TURN_COST_MAX


async def test_agent_behind_a_backlog_is_served_in_the_next_turn(scenario: Scenario) -> None:
    await scenario.send("ann", TURN_COST_MAX + 200)
    await scenario.send("bob", 2)

    await scenario.queue.wait_until_empty()

    waiting = scenario.agents()[TURN_COST_MAX:]
    assert waiting[:4] == ["ann", "bob", "ann", "bob"]
    assert len(waiting) == 202


async def test_messages_of_an_agent_keep_their_order(scenario: Scenario) -> None:
    for _ in range(50):
        await scenario.send("ann", 3)
        await scenario.send("bob", 1)
        await asyncio.sleep(0)
    await scenario.queue.wait_until_empty()

    for agent in ("ann", "bob"):
        numbers = [number for served, number in scenario.served if served == agent]
        assert numbers == sorted(numbers)
    assert len(scenario.served) == 200


async def test_other_tasks_run_while_messages_wait(scenario: Scenario) -> None:
    await scenario.send("ann", TURN_COST_MAX + WAITING_PER_AGENT_MAX)

    await asyncio.sleep(0)

    assert TURN_COST_MAX <= len(scenario.served) <= 2 * TURN_COST_MAX


async def test_large_messages_use_up_a_turn(scenario: Scenario) -> None:
    await scenario.send("ann", 4, size=BYTES_PER_COST * TURN_COST_MAX // 2)

    assert len(scenario.served) == 2


async def test_more_waiting_messages_of_one_agent_are_rejected(scenario: Scenario) -> None:
    await scenario.send("ann", TURN_COST_MAX + WAITING_PER_AGENT_MAX + 3)
    await scenario.send("bob", 1)

    assert [agent for agent, _ in scenario.rejected] == ["ann"] * 3
    await scenario.queue.wait_until_empty()
    assert scenario.agents().count("bob") == 1


async def test_closed_queue_serves_nothing_more(scenario: Scenario) -> None:
    await scenario.send("ann", TURN_COST_MAX + 10)

    scenario.queue.close()
    await scenario.queue.wait_until_empty()

    assert len(scenario.served) == TURN_COST_MAX
