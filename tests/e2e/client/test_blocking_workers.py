"""The blocking ``agent.spawn`` and workers whose functions run in threads."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from quorate.client import RejectTaskError, RetryTaskError, SpawnedTaskError, StaleFenceError
from quorate.client.blocking import Agent, Task, Worker
from tests.e2e.client.agent_fleet import Fleet, time_limit

SECONDS_MAX = 60


def wait_until_cancelled(task: Task) -> None:
    never = threading.Event()
    while not task.is_cancelled:
        never.wait(0.01)


async def run_blocking(fleet: Fleet, use: Callable[[Agent, Worker], None]) -> None:
    """Call a function, in a thread, with a blocking agent and a blocking worker."""
    agent_key, worker_key = await fleet.get_key("coordinator"), await fleet.get_key("worker")
    url, nats_url = fleet.service.url, fleet.nats_url

    def connect() -> None:
        with (
            Agent.connect(url, agent_key, nats_url=nats_url) as agent,
            Worker.connect(url, worker_key, nats_url=nats_url) as worker,
        ):
            use(agent, worker)

    async with time_limit():
        await asyncio.to_thread(connect)


@contextmanager
def working(worker: Worker) -> Iterator[None]:
    """Run the worker until the end of the block, then stop it."""
    thread = threading.Thread(target=worker.run, kwargs={"grace_seconds": 0.1})
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(SECONDS_MAX)
    assert not thread.is_alive()


async def test_blocking_worker_returns_results_with_questions_and_files(fleet: Fleet) -> None:
    def use(agent: Agent, worker: Worker) -> None:
        @worker.task()
        def merge(task: Task) -> str:
            task.progress("reading", percent=50, output="half")
            task.artifact("a.bin", b"\x00\x01")
            return f"{task.text} to {task.ask('which branch?')}"

        with working(worker):
            spawned = agent.spawn("merge it")
            for info in spawned.progress():
                if info.inputs and info.inputs[0].answer is None:
                    spawned.answer(info.inputs[0].input_id, "main")
            assert spawned.result() == "merge it to main"
        info = agent.spawn.task(spawned.task_id).status()
        assert (info.percent, info.message, info.status) == (50, "reading", "completed")
        assert spawned.artifact(info.outputs[0]) == b"half"
        assert spawned.artifact(info.artifacts[0].artifact_id) == b"\x00\x01"
        assert [one.task_id for one in agent.spawn.list()] == [spawned.task_id]

    await run_blocking(fleet, use)


async def test_what_a_blocking_function_raises_ends_its_task(fleet: Fleet) -> None:
    def use(agent: Agent, worker: Worker) -> None:
        @worker.task()
        def fail(task: Task) -> str:
            match task.text:
                case "reject":
                    raise RejectTaskError("not mine")
                case "exit":
                    raise SystemExit("enough")
                case "again" if task.info.attempt == 1:
                    raise RetryTaskError("busy")
            return f"attempt {task.info.attempt}"

        with working(worker):
            again = agent.spawn("again")
            for text, state, error in (
                ("reject", "rejected", "not mine"),
                ("exit", "failed", "SystemExit: enough"),
            ):
                with pytest.raises(SpawnedTaskError) as caught:
                    agent.spawn(text).result()
                assert (caught.value.info.state, caught.value.info.error) == (state, error)
            assert again.result() == "attempt 2"

    await run_blocking(fleet, use)


async def test_blocking_function_sees_that_its_task_is_cancelled(fleet: Fleet) -> None:
    started = threading.Event()
    seen: list[tuple[bool, bool]] = []

    def use(agent: Agent, worker: Worker) -> None:
        @worker.task()
        def last(task: Task) -> str:
            started.set()
            wait_until_cancelled(task)
            seen.append((task.is_cancelled, task.is_lost))
            with pytest.raises(StaleFenceError):
                task.progress("too late")
            return "unused"

        with working(worker):
            spawned = agent.spawn("last for ever")
            assert started.wait(SECONDS_MAX)
            assert spawned.cancel().cancelled
        assert spawned.status().status == "cancelled"

    await run_blocking(fleet, use)
    assert seen == [(True, True)]


async def test_stopped_blocking_worker_waits_for_its_function_and_gives_the_task_back(
    fleet: Fleet,
) -> None:
    started = threading.Event()
    ended: list[bool] = []

    def use(agent: Agent, worker: Worker) -> None:
        @worker.task()
        def last(task: Task) -> None:
            started.set()
            wait_until_cancelled(task)
            ended.append(task.is_lost)

        with working(worker):
            spawned = agent.spawn("last for ever")
            assert started.wait(SECONDS_MAX)
        assert ended == [False]
        info = spawned.status()
        assert (info.state, info.attempt, info.worker_id) == ("submitted", 1, None)

    await run_blocking(fleet, use)
