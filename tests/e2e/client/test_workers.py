"""Workers of the SDK: results, failures, questions, cancellation, lost claims and the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from quorate.client import (
    Agent,
    RejectTaskError,
    RetryTaskError,
    SpawnedTaskError,
    Task,
    Worker,
    task_requests,
)
from tests.e2e.client.agent_fleet import Fleet, time_limit


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[Worker]:
    """Run the worker until the end of the block, then stop it."""
    running = asyncio.create_task(worker.run(grace_seconds=0.1))
    try:
        yield worker
    finally:
        worker.stop()
        await running


@asynccontextmanager
async def agent_and_worker(
    fleet: Fleet, claim_seconds: int = 60
) -> AsyncIterator[tuple[Agent, Worker]]:
    url, key = fleet.service.url, await fleet.get_key("worker")
    async with (
        time_limit(),
        fleet.agent("coordinator") as agent,
        Worker.connect(url, key, nats_url=fleet.nats_url, claim_seconds=claim_seconds) as worker,
    ):
        yield agent, worker


async def test_worker_returns_results_with_progress_and_files(fleet: Fleet) -> None:
    async with agent_and_worker(fleet) as (agent, worker):

        @worker.task()
        async def route(task: Task) -> str:
            await task.progress("reading", percent=50, output="half")
            await task.artifact("a.bin", b"\x00\x01")
            return f"{task.text}: inline"

        async with working(worker):
            spawned = await agent.spawn("route it")
            seen = [info async for info in spawned.progress()]
            assert await spawned.result() == "route it: inline"

        assert seen[-1].status == "completed"
        assert (seen[-1].percent, seen[-1].message) == (50, "reading")
        assert await spawned.artifact(seen[-1].outputs[0]) == b"half"
        assert await spawned.artifact(seen[-1].artifacts[0].artifact_id) == b"\x00\x01"
        assert [one.task_id for one in await agent.spawn.list()] == [spawned.task_id]


async def test_what_a_function_raises_ends_its_task(fleet: Fleet) -> None:
    async with agent_and_worker(fleet) as (agent, worker):
        attempts = []

        @worker.task()
        async def fail(task: Task) -> str:
            if task.text == "again":
                attempts.append(task.info.attempt)
                if task.info.attempt == 1:
                    raise RetryTaskError("busy")
                return "at last"
            raise RejectTaskError("not mine") if task.text == "reject" else ValueError("no number")

        async with working(worker):
            again = await agent.spawn("again")
            for text, state, error in (
                ("reject", "rejected", "not mine"),
                ("fail", "failed", "no number"),
            ):
                with pytest.raises(SpawnedTaskError) as caught:
                    await (await agent.spawn(text)).result()
                assert (caught.value.info.state, caught.value.info.error) == (state, error)
            assert await again.result() == "at last"
        assert attempts == [1, 2]


async def test_worker_asks_and_is_answered(fleet: Fleet) -> None:
    async with agent_and_worker(fleet) as (agent, worker):

        @worker.task()
        async def ask(task: Task) -> str:
            return "to " + await task.ask("which branch?")

        async with working(worker):
            spawned = await agent.spawn("merge")
            async for info in spawned.progress():
                if info.inputs and info.inputs[0].answer is None:
                    assert (info.state, info.inputs[0].text) == ("input_required", "which branch?")
                    await spawned.answer(info.inputs[0].input_id, "main")
            assert await spawned.result() == "to main"


async def test_cancelled_task_cancels_its_function(fleet: Fleet) -> None:
    async with agent_and_worker(fleet) as (agent, worker):
        started, cancelled = asyncio.Event(), asyncio.Event()

        @worker.task()
        async def last(_task: Task) -> str:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return ""

        async with working(worker):
            spawned = await agent.spawn("last for ever")
            await started.wait()
            assert (await spawned.cancel()).cancelled
            await cancelled.wait()
            assert not (await spawned.cancel()).cancelled


async def test_lost_claim_cancels_its_function(fleet: Fleet) -> None:
    async with agent_and_worker(fleet, claim_seconds=1) as (agent, worker):
        started, cancelled = asyncio.Event(), asyncio.Event()

        @worker.task()
        async def last(task: Task) -> str:
            if task.info.attempt > 1:
                return "second"
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return ""

        async with working(worker):
            spawned = await agent.spawn("last for ever")
            await started.wait()
            info = await spawned.status()
            [(task, _)] = worker._running.values()
            assert info.worker_id == worker.agent.id
            release = task_requests.release(worker._context.agent_ref, task.id, task.fence)
            await worker._context.execute(release)
            await cancelled.wait()
            assert await spawned.result() == "second"


async def test_claim_is_renewed_while_its_function_runs(fleet: Fleet) -> None:
    async with agent_and_worker(fleet, claim_seconds=1) as (agent, worker):

        @worker.task()
        async def be_slow(task: Task) -> str:
            await asyncio.sleep(2.5)  # Longer than the claim.
            return str(task.info.attempt)

        async with working(worker):
            assert await (await agent.spawn("slow")).result() == "1"


async def test_stopped_worker_gives_its_tasks_back(fleet: Fleet) -> None:
    async with agent_and_worker(fleet) as (agent, worker):
        started = asyncio.Event()

        @worker.task()
        async def last(_task: Task) -> str:
            started.set()
            await asyncio.Event().wait()
            return ""

        async with working(worker):
            spawned = await agent.spawn("last for ever")
            await started.wait()
        info = await spawned.status()
        assert (info.state, info.attempt, info.worker_id) == ("submitted", 1, None)
