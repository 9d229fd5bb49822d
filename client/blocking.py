"""Synchronous variant of the SDK: ``with`` and ``for`` instead of ``async with`` and ``async for``.

Each method runs the method of the same name in ``quorate.client``, with the same arguments and
exceptions, on an event loop in a separate thread. Heartbeats, renewals and notifications continue
there while the program computes.

One thing is different: Python cannot interrupt a thread that computes or sleeps, so a block is not
cancelled when its lease is lost. Check ``lease.is_held`` or call ``lease.check()`` before each
guarded action. The end of the block raises ``LeaseLostError`` in any case.

After a fork, everything raises ``ForkedError`` in the child. Connect an agent there.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import BaseModel

from quorate.client import agent as agents
from quorate.client import consensus as proposals
from quorate.client import lease as leases
from quorate.client import notifications as feeds
from quorate.client import worker as workers
from quorate.client.blocking_connections import make_connect
from quorate.client.blocking_mail import Mailbox
from quorate.client.blocking_sessions import Sessions
from quorate.client.blocking_task_lists import Schedules, TaskLists
from quorate.client.blocking_tasks import (
    Function,
    FunctionThreads,
    SpawnedTask,
    Spawner,
    Task,
)
from quorate.client.errors import LeaseLostError
from quorate.client.sync_proxy import Method as _Method
from quorate.client.sync_proxy import SyncProxy
from quorate.client.sync_proxy import iterate as _iterate
from quorate.client.sync_proxy import run as _run
from quorate.contracts.coordination.consensus import ConsensusInfo
from quorate.contracts.coordination.leases import LeaseInfo
from quorate.contracts.operations import Operation
from quorate.domain.sessions.task_events import UNNAMED

__all__ = [
    "Agent",
    "Lease",
    "Mailbox",
    "NotificationFeed",
    "Proposal",
    "Schedules",
    "Sessions",
    "SpawnedTask",
    "Spawner",
    "Task",
    "TaskLists",
    "Worker",
]

T = TypeVar("T")


# -- Lease -------------------------------------------------------------------


class Lease(SyncProxy):
    """The lease on a contact; made by ``Agent.lease``, for one use.

    Entering the block acquires the lease, leaving it releases the lease. ``info``, ``id``,
    ``fence`` and ``expires_at`` raise RuntimeError before.

    ``fence`` is the fencing token, strictly increasing within the tenant. Pass it to the systems
    that the lease protects, so that they can reject a stale holder.
    """

    _target: leases.Lease

    @property
    def info(self) -> LeaseInfo:
        """The lease as the service described it last."""
        return self._target.info

    @property
    def id(self) -> str:
        return self._target.id

    @property
    def fence(self) -> int:
        """The fencing token."""
        return self._target.fence

    @property
    def contact_email(self) -> str:
        return self._target.contact_email

    @property
    def expires_at(self) -> datetime:
        """The end of the lease by the clock of the service, for display only."""
        return self._target.expires_at

    @property
    def is_held(self) -> bool:
        """Whether the lease is guaranteed to be held now, by the agent's own clock."""
        return self._target.is_held

    @property
    def remaining_seconds(self) -> float:
        """The seconds for which the lease is held without another renewal; 0 if it is lost."""
        return self._target.remaining_seconds

    @property
    def loss(self) -> LeaseLostError | None:
        """The reason of the loss, as an exception; None while the lease is held or released."""
        return self._target.loss

    def check(self) -> None:
        """Raise LeaseLostError unless the lease is held. Call it before each guarded action."""
        self._target.check()

    request_send = _run(leases.Lease.request_send)
    renew = _run(leases.Lease.renew)
    release = _run(leases.Lease.release)

    def __enter__(self) -> Self:
        self._loop.run(self._target.acquire())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop.is_forked:
            return
        loss = self._target.loss
        self._loop.run(self._target.close())
        if loss is not None and error is None:
            raise loss


# -- Proposal ----------------------------------------------------------------


class Proposal(SyncProxy):
    """A consensus proposal; made by ``Agent.propose``.

    ``info`` is the proposal as the service described it last.
    """

    _target: proposals.Proposal

    @property
    def info(self) -> ConsensusInfo:
        return self._target.info

    @property
    def id(self) -> str:
        return self._target.id

    refresh = _run(proposals.Proposal.refresh)
    electorate = _run(proposals.Proposal.electorate)
    cancel = _run(proposals.Proposal.cancel)
    wait_for_decision = _run(proposals.Proposal.wait_for_decision)


# -- Notification feed -------------------------------------------------------


class NotificationFeed(SyncProxy):
    """The notifications of one agent, read without acting as that agent; made by ``open``."""

    _target: feeds.NotificationFeed

    @property
    def cursor(self) -> int:
        """The sequence up to which the feed has delivered all notifications."""
        return self._target.cursor

    @property
    def log_id(self) -> str | None:
        """The id of the log that ``cursor`` is of; None until the service has named it."""
        return self._target.log_id

    notifications = _Method(feeds.NotificationFeed.notifications, _iterate)

    open = staticmethod(
        make_connect(
            feeds.NotificationFeed.open,
            lambda loop, target: NotificationFeed(loop, target),  # noqa: PLW0108 - defined later.
        )
    )


# -- Agent -------------------------------------------------------------------


class Agent(SyncProxy):
    """A connected agent; made by ``Agent.connect``.

    Its methods raise the exceptions of ``quorate.client.Agent``.
    """

    _target: agents.Agent

    connect = staticmethod(
        make_connect(
            agents.Agent.connect,
            lambda loop, target: Agent(loop, target),  # noqa: PLW0108 - defined later.
        )
    )

    @property
    def id(self) -> str:
        return self._target.id

    @property
    def name(self) -> str:
        return self._target.name

    @property
    def role(self) -> str:
        return self._target.role

    @property
    def tenant_id(self) -> str:
        return self._target.tenant_id

    @property
    def incarnation(self) -> int:
        """The number of registrations under this name, this one included."""
        return self._target.incarnation

    @property
    def is_active(self) -> bool:
        """True while the agent is guaranteed to be considered active (local clock)."""
        return self._target.is_active

    @property
    def cursor(self) -> int:
        """The sequence up to which all notifications have arrived at this process."""
        return self._target.cursor

    @property
    def log_id(self) -> str | None:
        """The id of the log that ``cursor`` is of; None until the service has named it."""
        return self._target.log_id

    @property
    def mail(self) -> Mailbox:
        """The mailbox of the agent."""
        return Mailbox(self._loop, self._target.mail)

    @property
    def spawn(self) -> Spawner:
        """Hand over tasks, and find them again."""
        return Spawner(self._loop, self._target.spawn)

    @property
    def sessions(self) -> Sessions:
        """The sessions that the agent sees."""
        return Sessions(self._loop, self._target.sessions)

    @property
    def tasks(self) -> TaskLists:
        """The task lists that the agent shares with others."""
        return TaskLists(self._loop, self._target.tasks)

    @property
    def schedules(self) -> Schedules:
        """The schedules of the agent."""
        return Schedules(self._loop, self._target.schedules)

    lease = _Method(agents.Agent.lease, Lease)
    request_send = _run(agents.Agent.request_send)
    propose = _Method(agents.Agent.propose, lambda loop, work: Proposal(loop, loop.run(work)))
    vote = _run(agents.Agent.vote)
    get_consensus = _run(agents.Agent.get_consensus)
    notifications = _Method(agents.Agent.notifications, _iterate)

    def call(
        self,
        operation: Operation[T],
        body: BaseModel | Mapping[str, Any] | None = None,
        query: BaseModel | None = None,
        *,
        timeout_seconds: float | None = None,
        idempotency_key: str | None = None,
        **ids: str,
    ) -> T:
        """Call an operation by its declaration in ``quorate.contracts``; return its typed response.

        The arguments are those of ``quorate.client.Agent.call``.
        """
        return self._loop.run(
            self._target.call(
                operation,
                body,
                query,
                timeout_seconds=timeout_seconds,
                idempotency_key=idempotency_key,
                **ids,
            )
        )

    get_config = _run(agents.Agent.get_config)
    update_config = _run(agents.Agent.update_config)
    heartbeat = _run(agents.Agent.heartbeat)


# -- Worker ------------------------------------------------------------------


class Worker(SyncProxy):
    """A worker whose functions run in threads; made by ``Worker.connect``.

    Python cannot interrupt a thread. A function that takes long looks at ``task.is_cancelled``, and
    until it has ended, its thread takes no other task.
    """

    _target: workers.Worker

    connect = staticmethod(
        make_connect(
            workers.Worker.connect,
            lambda loop, target: Worker(loop, target),  # noqa: PLW0108 - defined later.
        )
    )

    @property
    def agent(self) -> Agent:
        return Agent(self._loop, self._target.agent)

    def task(self, preset: str = UNNAMED) -> Callable[[Function], Function]:
        """Register a function for the tasks of a preset; what it returns is the result."""

        def register(function: Function) -> Function:
            self._target.task(preset)(FunctionThreads(self._loop, function))
            return function

        return register

    def stop(self) -> None:
        """Let ``run`` end: nothing more is claimed. Any thread may call it."""
        self._loop.call(self._target.stop)

    run = _run(workers.Worker.run)
