"""Synchronous variants of ``agent.spawn``, of its handles, and of the tasks of a worker."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeAlias

from quorate.client import spawned_tasks, worker
from quorate.client.loop_thread import LoopThread
from quorate.client.sync_proxy import Method, SyncProxy, iterate, run
from quorate.contracts.sessions.task_models import ClaimedTask


class SpawnedTask(SyncProxy):
    """One task that the agent handed over."""

    _target: spawned_tasks.SpawnedTask

    @property
    def task_id(self) -> str:
        return self._target.task_id

    status = run(spawned_tasks.SpawnedTask.status)
    result = run(spawned_tasks.SpawnedTask.result)
    progress = Method(spawned_tasks.SpawnedTask.progress, iterate)
    cancel = run(spawned_tasks.SpawnedTask.cancel)
    answer = run(spawned_tasks.SpawnedTask.answer)
    artifact = run(spawned_tasks.SpawnedTask.artifact)


class Spawner(SyncProxy):
    """``agent.spawn``: hand over tasks, and find them again."""

    _target: spawned_tasks.Spawner

    __call__ = Method(
        spawned_tasks.Spawner.__call__, lambda loop, work: SpawnedTask(loop, loop.run(work))
    )
    task = Method(spawned_tasks.Spawner.task, SpawnedTask)
    list = run(spawned_tasks.Spawner.list)


class Task(SyncProxy):
    """A task that a worker has; ``info`` is all that the service says of it."""

    _target: worker.Task

    def __init__(self, loop: LoopThread, target: worker.Task) -> None:
        super().__init__(loop, target)
        self._cancelled = threading.Event()

    @property
    def info(self) -> ClaimedTask:
        return self._target.info

    @property
    def is_lost(self) -> bool:
        """Whether the claim has ended: the task was cancelled, or is another worker's."""
        return self._target.is_lost

    @property
    def is_cancelled(self) -> bool:
        """Whether the function should end: what it returns is not used any more."""
        return self._cancelled.is_set()

    @property
    def id(self) -> str:
        return self._target.id

    @property
    def fence(self) -> int:
        return self._target.fence

    @property
    def text(self) -> str:
        """What is to be done."""
        return self._target.text

    @property
    def context(self) -> str | None:
        return self._target.context

    @property
    def preset(self) -> str | None:
        return self._target.preset

    progress = run(worker.Task.progress)
    artifact = run(worker.Task.artifact)
    ask = run(worker.Task.ask)

    def mark_cancelled(self) -> None:
        """Have the function see that it should end."""
        self._cancelled.set()


Function: TypeAlias = Callable[[Task], str | None]


class FunctionThreads:
    """An asynchronous handler that runs a function in a thread of its own for each task.

    The worker limits how many run at a time. The threads are daemons: a program that is interrupted
    does not wait for them.
    """

    def __init__(self, loop: LoopThread, function: Function) -> None:
        self._loop = loop
        self._function = function

    async def __call__(self, target: worker.Task) -> str | None:
        """Run the function. A cancellation waits until it has ended."""
        task = Task(self._loop, target)
        ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        threading.Thread(
            target=self._run, args=(task, ended), name=f"quorate.{task.id}", daemon=True
        ).start()
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            task.mark_cancelled()
            await asyncio.wait({ended})
            raise

    def _run(self, task: Task, ended: "asyncio.Future[str | None]") -> None:
        try:
            text = self._function(task)
        except BaseException as error:  # noqa: BLE001 - it is raised in the handler.
            failure = _as_exception(error)
            self._loop.call(lambda: _set_exception(ended, failure))
        else:
            self._loop.call(lambda: _set_result(ended, text))


def _as_exception(error: BaseException) -> Exception:
    """Return an exception that may end a task, but not the event loop, as SystemExit would."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")


def _set_exception(ended: "asyncio.Future[str | None]", error: Exception) -> None:
    if not ended.done():
        ended.set_exception(error)
        ended.exception()  # Nothing else reads it after a cancellation.


def _set_result(ended: "asyncio.Future[str | None]", text: str | None) -> None:
    if not ended.done():
        ended.set_result(text)
