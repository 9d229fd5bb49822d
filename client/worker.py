"""A worker: claims tasks of its presets, runs a function for each, and reports its result.

* Each claim is renewed in the background. When it is lost, or its task is cancelled, the function
  is cancelled: what it returns then would be refused.
* A function that raises ends its task as failed; with ``RetryTaskError`` the task is offered again,
  and with ``RejectTaskError`` it is rejected.
* ``run`` ends after ``stop``: it claims nothing more, lets the functions finish for
  ``grace_seconds``, and gives the remaining tasks back.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeAlias

from quorate.client import task_requests
from quorate.client.agent import Agent
from quorate.client.agent_context import AgentContext
from quorate.client.background_tasks import logger
from quorate.client.errors import QuorateError, RequestFailedError
from quorate.client.rejections import RejectedError
from quorate.contracts.notifications import TaskCancelled
from quorate.contracts.sessions.task_models import ClaimedTask
from quorate.domain.sessions.task_claims import CLAIM_SECONDS_DEFAULT, ERROR_LENGTH_MAX
from quorate.domain.sessions.task_events import UNNAMED, InputKind

CONCURRENCY_DEFAULT, CONCURRENCY_MAX = 4, 256
CLAIM_WAIT_SECONDS = 20.0
ANSWER_WAIT_SECONDS = 20.0
RETRY_SECONDS = 1.0  # After a claim that failed.
RENEWALS_PER_CLAIM = 3
GRACE_SECONDS_DEFAULT = 10.0
_STALE = "stale_fence"


class RetryTaskError(QuorateError):
    """Raise it in a function: the attempt failed, and another one may succeed."""


class RejectTaskError(QuorateError):
    """Raise it in a function: this worker does not do such work."""


class Task:
    """A task that this worker has; ``info`` is all that the service says of it."""

    def __init__(self, context: AgentContext, info: ClaimedTask) -> None:
        self._context = context
        self.info = info
        self.is_lost = False

    def __repr__(self) -> str:
        return f"Task({self.id!r}, attempt={self.info.attempt})"

    @property
    def id(self) -> str:
        return self.info.task_id

    @property
    def fence(self) -> int:
        return self.info.fence

    @property
    def text(self) -> str:
        """What is to be done."""
        return self.info.task

    @property
    def context(self) -> str | None:
        return self.info.context

    @property
    def preset(self) -> str | None:
        return self.info.preset

    async def progress(
        self,
        message: str | None = None,
        *,
        percent: int | None = None,
        output: str | None = None,
        iterations: int | None = None,
        tool_calls_made: int | None = None,
    ) -> None:
        """Report progress, and a part of the result that is ready (``output``)."""
        await self._send(
            task_requests.progress,
            message=message,
            percent=percent,
            output=output,
            iterations=iterations,
            tool_calls_made=tool_calls_made,
        )

    async def artifact(
        self, name: str, body: str | bytes, *, content_type: str | None = None
    ) -> str:
        """Add a file of at most 1 MiB; return its id."""
        if isinstance(body, str):
            fields = {"text": body, "content_type": content_type or "text/plain"}
        else:
            data = b64encode(body).decode()
            fields = {"data": data, "content_type": content_type or "application/octet-stream"}
        answer = await self._send(partial(task_requests.add_artifact, name=name), **fields)
        return str(answer.id)

    async def ask(self, text: str, *, kind: InputKind = "input") -> str:
        """Ask the agent that handed over the task, and wait for its answer."""
        asked = await self._send(task_requests.request_input, text=text, kind=kind)
        version = asked.version
        while True:
            request = task_requests.get(
                self._context.agent_ref, self.id, wait_seconds=ANSWER_WAIT_SECONDS, after=version
            )
            info = await self._context.execute(request)
            version = info.version
            for one in info.inputs:
                if one.input_id == asked.id and one.answer is not None:
                    return one.answer

    async def _send(self, make: Callable[..., Any], **fields: Any) -> Any:  # noqa: ANN401
        request = make(self._context.agent_ref, self.id, self.fence, **fields)
        return await self._context.execute(request)


Handler: TypeAlias = Callable[[Task], Awaitable[str | None]]


async def _refuse(_task: Task) -> str:
    raise RejectTaskError("the worker has no function for this preset")


class Worker:
    """Made by ``Worker.connect``; ``@worker.task("preset")`` names what it runs."""

    def __init__(
        self, agent: Agent, presets: Sequence[str], concurrency: int, claim_seconds: int
    ) -> None:
        if not 1 <= concurrency <= CONCURRENCY_MAX:
            raise ValueError(f"concurrency is from 1 to {CONCURRENCY_MAX}")
        self.agent = agent
        self._context: AgentContext = agent._context  # noqa: SLF001 - a worker is its agent.
        self._presets = tuple(presets)
        self._concurrency = concurrency
        self._claim_seconds = claim_seconds
        self._handlers: dict[str, Handler] = {}
        self._running: dict[str, tuple[Task, asyncio.Task[None]]] = {}
        self._stopping = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str | None = None,
        api_key: str | None = None,
        *,
        presets: Sequence[str] = (UNNAMED,),
        concurrency: int = CONCURRENCY_DEFAULT,
        claim_seconds: int = CLAIM_SECONDS_DEFAULT,
        **options: Any,  # noqa: ANN401 - those of Agent.connect.
    ) -> AsyncIterator["Worker"]:
        """Connect an agent that works; ``options`` are those of ``Agent.connect``.

        * ``presets``: whose tasks it claims; ``-`` stands for tasks without a preset.
        * ``concurrency``: how many functions run at a time.
        * ``claim_seconds``: how soon another worker gets a task if this process dies.
        """
        async with Agent.connect(url, api_key, **options) as agent:
            yield cls(agent, presets, concurrency, claim_seconds)

    def task(self, preset: str = UNNAMED) -> Callable[[Handler], Handler]:
        """Register a function for the tasks of a preset; what it returns is the result."""

        def register(handler: Handler) -> Handler:
            self._handlers[preset] = handler
            if preset not in self._presets:
                self._presets = (*self._presets, preset)
            return handler

        return register

    def stop(self) -> None:
        """Let ``run`` end: nothing more is claimed."""
        self._stopping.set()

    async def run(self, *, grace_seconds: float = GRACE_SECONDS_DEFAULT) -> None:
        """Work until ``stop`` is called or this task is cancelled."""
        start = self._context.background.start
        watching = start(self._follow_cancellations, "cancelled tasks")
        slots = [start(self._work, f"worker {number}") for number in range(self._concurrency)]
        try:
            await self._stopping.wait()
            running = {task for _, task in self._running.values()}
            if running:
                await asyncio.wait(running, timeout=grace_seconds)
        finally:
            for one in (watching, *slots):
                one.cancel()
            await asyncio.gather(watching, *slots, return_exceptions=True)

    # -- One slot --------------------------------------------------------------

    async def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                info = await self._claim()
            except QuorateError as failure:
                logger.warning("No task could be claimed: %s", failure)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if info is not None:
                await self._run_task(Task(self._context, info))

    async def _claim(self) -> ClaimedTask | None:
        """Claim a task; return None if there is none, or if the worker stops meanwhile."""
        request = task_requests.claim(
            self._context.agent_ref,
            self._presets,
            wait_seconds=CLAIM_WAIT_SECONDS,
            claim_seconds=self._claim_seconds,
        )
        claiming = asyncio.ensure_future(self._context.send_as_active(request))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({claiming, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not claiming.done():
                return None
            return claiming.result()[0].result.task
        finally:
            stopping.cancel()
            claiming.cancel()

    async def _run_task(self, task: Task) -> None:
        """Run the function of a task while its claim is renewed."""
        running = asyncio.ensure_future(self._finish(task))
        renewing = asyncio.ensure_future(self._renew(task, running))
        self._running[task.id] = (task, running)
        try:
            await asyncio.wait({running})
            if not running.cancelled() and (error := running.exception()) is not None:
                logger.warning("The end of %r was not recorded: %s", task, error)
        finally:
            del self._running[task.id]
            renewing.cancel()
            if not running.done():  # The worker ends.
                running.cancel()
                await asyncio.wait({running})
                await self._give_back(task)

    async def _finish(self, task: Task) -> None:
        """Run the function, and record how it ended."""
        agent = self._context.agent_ref
        handler = self._handlers.get(task.preset or UNNAMED, _refuse)
        try:
            text = await handler(task)
            request: Any = task_requests.complete(agent, task.id, task.fence, text or "")
        except asyncio.CancelledError:
            raise
        except RetryTaskError as failure:
            request = self._failure(task, failure, "retry")
        except RejectTaskError as failure:
            request = self._failure(task, failure, "rejected")
        except Exception as failure:  # noqa: BLE001 - whatever it raises ends its task.
            if isinstance(failure, RejectedError) and failure.code == _STALE:
                return
            logger.exception("The function of %r failed", task)
            request = self._failure(task, failure, "failed")
        try:
            await self._context.execute(request)
        except RejectedError as refused:
            if refused.code != _STALE:
                raise
            logger.info("The result of %r came too late", task)

    def _failure(self, task: Task, failure: Exception, outcome: task_requests.Outcome) -> Any:  # noqa: ANN401 - a request.
        text = (str(failure) or type(failure).__name__)[:ERROR_LENGTH_MAX]
        return task_requests.fail(
            self._context.agent_ref, task.id, task.fence, text, outcome=outcome
        )

    async def _renew(self, task: Task, running: "asyncio.Future[None]") -> None:
        """Renew the claim until the function ends; cancel the function when the claim is lost."""
        clock = asyncio.get_running_loop().time
        valid_until = clock() + self._claim_seconds
        while True:
            await asyncio.sleep(self._claim_seconds / RENEWALS_PER_CLAIM)
            sent_at = clock()
            request = task_requests.renew(
                self._context.agent_ref, task.id, task.fence, claim_seconds=self._claim_seconds
            )
            try:
                await self._context.execute(
                    request, timeout_seconds=self._claim_seconds / RENEWALS_PER_CLAIM
                )
                valid_until = sent_at + self._claim_seconds
            except RejectedError as refused:
                if refused.code == _STALE:
                    self._lose(task, running)
                    return
            except RequestFailedError as failure:
                logger.info("The claim on %r was not renewed: %s", task, failure)
            if clock() >= valid_until:
                self._lose(task, running)
                return

    @staticmethod
    def _lose(task: Task, running: "asyncio.Future[None]") -> None:
        task.is_lost = True
        running.cancel()

    async def _give_back(self, task: Task) -> None:
        if task.is_lost:
            return
        request = task_requests.release(self._context.agent_ref, task.id, task.fence)
        with suppress(QuorateError):
            await asyncio.shield(asyncio.ensure_future(self._context.execute(request)))

    async def _follow_cancellations(self) -> None:
        async for notification in self.agent.notifications():
            data = notification.data
            if not isinstance(data, TaskCancelled):
                continue
            task, running = self._running.get(data.task_id, (None, None))
            if task is not None and running is not None and task.fence == data.fence:
                self._lose(task, running)
