"""Tasks that an agent hands over: ``agent.spawn``, and the handle of one task.

* A handle reads the task from the service, and waits there for its next change. It can be made
  again from the id of the task, by another process too.
"""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from quorate.client import task_requests
from quorate.client.agent_context import AgentContext
from quorate.client.errors import QuorateError
from quorate.contracts.sessions.spawn import CancelInfo
from quorate.contracts.sessions.task_models import TaskInfo

WAIT_SECONDS = 25.0  # Of one request that waits for a change.


class SpawnedTaskError(QuorateError):
    """The task failed or was cancelled; ``info`` is the task at its end."""

    def __init__(self, info: TaskInfo) -> None:
        super().__init__(f"Task {info.task_id} {info.status}: {info.error}")
        self.info = info


class SpawnedTask:
    """One task of this agent."""

    def __init__(self, context: AgentContext, task_id: str) -> None:
        self._context = context
        self.task_id = task_id

    def __repr__(self) -> str:
        return f"SpawnedTask({self.task_id!r})"

    async def status(self) -> TaskInfo:
        """Return the task as it is now."""
        request = task_requests.get(self._context.agent_ref, self.task_id)
        return await self._context.execute(request)

    async def result(self, timeout_seconds: float | None = None) -> str:
        """Wait for the end, and return the result.

        Raises SpawnedTaskError if the task failed or was cancelled, and TimeoutError.
        """
        async with asyncio.timeout(timeout_seconds):
            async for info in self.progress():
                if info.finished_at is not None:
                    if info.status != "completed":
                        raise SpawnedTaskError(info)
                    return info.text or ""
        raise AssertionError("the iteration ends with the task")

    async def progress(self) -> AsyncIterator[TaskInfo]:
        """Yield the task now and after each change, until its end; close ones may be joined."""
        version: int | None = None
        while True:
            request = task_requests.get(
                self._context.agent_ref,
                self.task_id,
                wait_seconds=0.0 if version is None else WAIT_SECONDS,
                after=version,
            )
            info = await self._context.execute(request)
            if version is None or info.version > version:
                version = info.version
                yield info
            if info.finished_at is not None:
                return

    async def cancel(self) -> CancelInfo:
        """Cancel the task; ``cancelled`` is false if it had ended."""
        request = task_requests.cancel(self._context.agent_ref, self.task_id)
        return await self._context.execute(request)

    async def answer(self, input_id: str, text: str) -> None:
        """Answer a question of the worker: one of ``inputs``."""
        request = task_requests.answer(self._context.agent_ref, self.task_id, input_id, text)
        await self._context.execute(request)

    async def artifact(self, artifact_id: str) -> bytes:
        """Return a file of the task, or one of its partial ``outputs``."""
        request = task_requests.get_artifact(self._context.agent_ref, self.task_id, artifact_id)
        return b64decode((await self._context.execute(request)).data)


class Spawner:
    """``agent.spawn``: hand over tasks, and find them again."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context

    async def __call__(
        self,
        task: str,
        *,
        context: str | None = None,
        preset: str | None = None,
        model: str | None = None,
        allow_tools: Sequence[str] | None = None,
        deny_tools: Sequence[str] | None = None,
        delegate_only: bool | None = None,
        active_tools: Sequence[str] | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        timeout_seconds: int | None = None,
    ) -> SpawnedTask:
        """Hand a task to the workers of a preset; return its handle at once.

        What is given here has precedence over the preset.
        """
        request = task_requests.spawn(
            self._context.agent_ref,
            task,
            context=context,
            preset=preset,
            model=model,
            allow_tools=allow_tools,
            deny_tools=deny_tools,
            delegate_only=delegate_only,
            active_tools=active_tools,
            tool_choice=tool_choice,
            timeout_seconds=timeout_seconds,
        )
        response, _ = await self._context.send_as_active(request)
        return SpawnedTask(self._context, response.result.task_id)

    def task(self, task_id: str) -> SpawnedTask:
        """Return the handle of a task that was handed over before."""
        return SpawnedTask(self._context, task_id)

    async def list(self, *, status: str | None = None) -> "list[TaskInfo]":
        """Return the agent's own tasks, the newest first."""
        found: list[TaskInfo] = []
        cursor: int | None = None
        while True:
            request = task_requests.list_tasks(
                self._context.agent_ref, status=status, cursor=cursor
            )
            page = await self._context.execute(request)
            found += page.tasks
            if (cursor := page.cursor) is None:
                return found
