"""Tasks by mail: the caller waits for the answer of the agent that it asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from quorate.client import (
    Agent,
    MailMessage,
    MailNotDeliveredError,
    MailTimeoutError,
    TaskCancelledError,
    TaskFailedError,
)
from quorate.client.blocking import Agent as BlockingAgent
from quorate.domain.mail.subjects import TaskKind
from tests.e2e.client.agent_fleet import Fleet, time_limit

COUNT = {"id": "count-1", "name": "Count", "words": ["a", "b"]}
NEVER_SECONDS = 0.3  # No agent answers in this time.


class Worker:
    """Answers each task with the kind that ``kinds`` has for its id; None for no answer."""

    def __init__(self, agent: Agent, kinds: Mapping[str, TaskKind | None]) -> None:
        self._agent = agent
        self._kinds = kinds
        self.received: list[MailMessage] = []

    async def work(self) -> None:
        async for message in self._agent.mail.incoming():
            self.received.append(message)
            kind = self._kinds.get(message.task_id or "", "RESULT")
            if message.kind == "TASK" and kind is not None:
                result = {"task_id": message.task_id, "by": self._agent.name}
                await self._agent.mail.reply(message, json.dumps(result), kind=kind)

    async def wait_for(self, kind: TaskKind) -> MailMessage:
        async for message in self._agent.mail.incoming(since=0, kind=kind):
            return message
        raise AssertionError("the agent disconnected")


@asynccontextmanager
async def working(agent: Agent, **kinds: TaskKind | None) -> AsyncIterator[Worker]:
    worker = Worker(agent, {name.replace("_", "-"): kind for name, kind in kinds.items()})
    task = asyncio.create_task(worker.work())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def result_of(message: object) -> Any:  # noqa: ANN401 - any JSON value.
    assert isinstance(message, MailMessage)
    return json.loads(message.body_text or "")["by"]


async def test_request_returns_the_result(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, fleet.agent("bob") as bob, time_limit():
        async with working(bob) as worker:
            result = await ann.mail.request("bob", COUNT)
        (task,) = worker.received

    assert task.subject == "TASK:count-1 — Count"
    assert json.loads(task.body_text or "") == {
        "task_id": "count-1",
        "name": "Count",
        "words": ["a", "b"],
        "callback": task.from_address,
    }
    assert (result.kind, result.task_id) == ("RESULT", "count-1")
    assert result.subject == "RESULT:count-1 — Count"
    assert (result.thread_id, result_of(result)) == (task.thread_id, "bob")


async def test_error_and_cancellation_are_raised(fleet: Fleet) -> None:
    async with (
        fleet.agent("ann") as ann,
        fleet.agent("bob") as bob,
        time_limit(),
        working(bob, bad="ERROR", gone="CANCEL"),
    ):
        with pytest.raises(TaskFailedError) as failed:
            await ann.mail.request("bob", {"id": "bad"})
        with pytest.raises(TaskCancelledError) as cancelled:
            await ann.mail.request("bob", {"id": "gone"})

    assert (failed.value.task_id, failed.value.answer.kind) == ("bad", "ERROR")
    assert (cancelled.value.task_id, cancelled.value.answer.kind) == ("gone", "CANCEL")


async def test_timeout_cancels_the_task(fleet: Fleet) -> None:
    async with (
        fleet.agent("ann") as ann,
        fleet.agent("bob") as bob,
        time_limit(),
        working(bob, slow=None) as worker,
    ):
        with pytest.raises(MailTimeoutError) as timeout:
            await ann.mail.request("bob", {"id": "slow"}, timeout_seconds=NEVER_SECONDS)
        cancellation = await worker.wait_for("CANCEL")

    assert isinstance(timeout.value, TimeoutError)
    assert cancellation.task_id == "slow"
    assert cancellation.thread_id == worker.received[0].thread_id


async def test_cancelled_caller_cancels_the_task(fleet: Fleet) -> None:
    async with (
        fleet.agent("ann") as ann,
        fleet.agent("bob") as bob,
        time_limit(),
        working(bob, slow=None) as worker,
    ):
        asking = asyncio.create_task(ann.mail.request("bob", {"id": "slow"}))
        await worker.wait_for("TASK")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        cancellation = await worker.wait_for("CANCEL")

    assert cancellation.task_id == "slow"


async def test_answer_of_another_agent_or_to_another_task_does_not_count(fleet: Fleet) -> None:
    async with (
        fleet.agent("ann") as ann,
        fleet.agent("bob") as bob,
        fleet.agent("eve") as eve,
        time_limit(),
    ):
        asking = asyncio.create_task(ann.mail.request("BOB", COUNT))
        async for task in bob.mail.incoming(kind="TASK"):
            await eve.mail.send("ann", "RESULT:count-1", json.dumps({"by": "eve"}))
            await bob.mail.send("ann", "RESULT:count-2", json.dumps({"by": "bob too early"}))
            await bob.mail.reply(task, json.dumps({"by": "status"}), kind="STATUS")
            await bob.mail.reply(task, json.dumps({"by": "bob"}), kind="RESULT")
            break
        result = await asking

    assert result_of(result) == "bob"


async def test_task_without_recipient_fails_at_once(fleet: Fleet) -> None:
    async with fleet.agent("ann") as ann, time_limit():
        with pytest.raises(MailNotDeliveredError, match="no_such_agent"):
            await ann.mail.request("nobody", COUNT)
        with pytest.raises(ValueError, match="cannot carry"):
            await ann.mail.request("ann", {"id": "two words"})


async def test_repeated_request_gets_the_answer_that_arrived_meanwhile(fleet: Fleet) -> None:
    async with fleet.agent("bob") as bob, time_limit():
        async with fleet.agent("ann") as ann, working(bob, count_1=None) as worker:
            asking = asyncio.create_task(ann.mail.request("bob", COUNT, idempotency_key="count-1"))
            task = await worker.wait_for("TASK")
            with pytest.raises(TimeoutError):  # The process ends: it cancels nothing.
                await asyncio.wait_for(asyncio.shield(asking), NEVER_SECONDS)
            await bob.mail.reply(task, json.dumps({"by": "bob"}), kind="RESULT")
            await asking
        async with fleet.agent("ann") as ann:
            again = await ann.mail.request("bob", COUNT, idempotency_key="count-1")

    assert result_of(again) == "bob"
    assert [one.kind for one in worker.received] == ["TASK"]


# -- Hub and spoke -----------------------------------------------------------


async def test_results_are_gathered_in_the_order_of_the_requests(fleet: Fleet) -> None:
    async with (
        fleet.agent("ann") as ann,
        fleet.agent("bob") as bob,
        fleet.agent("eve") as eve,
        working(bob),
        working(eve),
        time_limit(),
    ):
        requests = [(name, {"name": f"Part {n}"}) for n in range(3) for name in ("bob", "eve")]
        results = await ann.mail.gather(requests)

    assert [result_of(one) for one in results] == ["bob", "eve"] * 3


async def test_first_failure_cancels_the_other_tasks(fleet: Fleet) -> None:
    async with (
        fleet.agent("ann") as ann,
        fleet.agent("bob") as bob,
        time_limit(),
        working(bob, bad="ERROR", slow=None) as worker,
    ):
        with pytest.raises(TaskFailedError):
            await ann.mail.gather([("bob", {"id": "slow"}), ("bob", {"id": "bad"})])
        cancellation = await worker.wait_for("CANCEL")

    assert cancellation.task_id == "slow"


async def test_collected_failures_are_exceptions(fleet: Fleet) -> None:
    async with (
        fleet.agent("ann") as ann,
        fleet.agent("bob") as bob,
        time_limit(),
        working(bob, bad="ERROR"),
    ):
        found = await ann.mail.collect([("bob", {"id": "bad"}), ("bob", {"id": "good"})])

    assert isinstance(found[0], TaskFailedError)
    assert result_of(found[1]) == "bob"


async def test_blocking_request_returns_the_result(fleet: Fleet) -> None:
    key = await fleet.get_key("ann")

    def ask() -> list[str]:
        with BlockingAgent.connect(fleet.service.url, key, nats_url=fleet.nats_url) as ann:
            one = ann.mail.request("bob", COUNT)
            return [result_of(each) for each in (one, *ann.mail.gather([("bob", {})]))]

    async with fleet.agent("bob") as bob, working(bob), time_limit():
        assert await asyncio.to_thread(ask) == ["bob", "bob"]
