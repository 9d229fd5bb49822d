"""The same agent for programs without asyncio: ``with`` and ``for`` instead of ``async``.

Nothing is written twice: each method here runs the one of the same name in ``quorate.client`` on
an event loop in a thread of its own, and takes the same arguments. Heartbeats, renewals and
notifications go on there, also while the program computes.

One thing differs. Python cannot interrupt a thread that computes or sleeps, so a block is not
cancelled when its lease is lost: ask ``lease.held`` or call ``lease.check()`` before each guarded
action. ``LeaseLost`` is raised at the end of the block in any case.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from datetime import datetime
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from quorate.client import agent as agents
from quorate.client import consensus as proposals
from quorate.client import lease as leases
from quorate.client.errors import LeaseLost
from quorate.client.results import ConsensusInfo, LeaseInfo

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Loop:
    """An event loop in a thread of its own, and a way to wait for what runs on it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="quorate.client", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the outcome; what interrupts the waiting cancels the work."""
        if self.gone:
            work.close()
            raise RuntimeError("the agent has left")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    @property
    def gone(self) -> bool:
        """At the interpreter's end its thread is dead, and nobody would answer."""
        return self._loop.is_closed() or sys.is_finalizing()

    def close(self) -> None:
        if self.gone:
            return
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Face:
    """Stands for one object that lives on the loop."""

    def __init__(self, loop: Loop, behind: Any) -> None:  # noqa: ANN401 - an Agent, Lease, ...
        self._loop = loop
        self._behind = behind


class _Method(Generic[P, R, T]):
    """A method of the face: that of the object behind it, and what becomes of its outcome."""

    def __init__(
        self, method: Callable[Concatenate[Any, P], R], give: Callable[[Loop, R], T]
    ) -> None:
        self._method = method
        self._give = give

    @overload
    def __get__(self, face: None, owner: type[Face]) -> Self: ...
    @overload
    def __get__(self, face: Face, owner: type[Face]) -> Callable[P, T]: ...
    def __get__(self, face: Face | None, owner: type[Face]) -> Self | Callable[P, T]:
        if face is None:
            return self
        loop, behind = face._loop, face._behind  # noqa: SLF001 - it is a part of the face.

        @wraps(self._method)
        def called(*args: P.args, **kwargs: P.kwargs) -> T:
            return self._give(loop, self._method(behind, *args, **kwargs))

        return called


def _waited(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> _Method[P, Coroutine[Any, Any, T], T]:
    return _Method(method, Loop.run)


def _each(loop: Loop, found: AsyncIterator[T]) -> Iterator[T]:
    """One after the other, until there are no more or nobody wants more."""

    async def following() -> tuple[T] | None:
        try:
            return (await anext(found),)
        except StopAsyncIteration:
            return None

    async def end() -> None:
        if isinstance(found, AsyncGenerator):
            await found.aclose()

    try:
        while (following_one := loop.run(following())) is not None:
            yield following_one[0]
    finally:
        if not loop.gone:
            loop.run(end())


# -- A lease -----------------------------------------------------------------


class Lease(Face):
    """Made by ``Agent.lease``; entering it acquires, leaving it releases. Used once.

    ``fence`` only ever grows: hand it to whatever the lease protects.
    """

    _behind: leases.Lease

    @property
    def info(self) -> LeaseInfo:
        """The lease as the service described it last."""
        return self._behind.info

    @property
    def id(self) -> str:
        return self._behind.id

    @property
    def fence(self) -> int:
        return self._behind.fence

    @property
    def contact_email(self) -> str:
        return self._behind.contact_email

    @property
    def expires_at(self) -> datetime:
        """By the service's clock, for people to read."""
        return self._behind.expires_at

    @property
    def held(self) -> bool:
        """Whether the lease can be relied on at this moment; asks the agent's own clock."""
        return self._behind.held

    @property
    def remaining_seconds(self) -> float:
        """For how long it can be relied on without another renewal; 0 when it is lost."""
        return self._behind.remaining_seconds

    @property
    def lost(self) -> LeaseLost | None:
        """Why it is lost, if it is."""
        return self._behind.lost

    def check(self) -> None:
        """Raise LeaseLost unless the lease is held: call it before each guarded action."""
        self._behind.check()

    request_send = _waited(leases.Lease.request_send)
    renew = _waited(leases.Lease.renew)
    release = _waited(leases.Lease.release)

    def __enter__(self) -> Self:
        self._loop.run(self._behind.begin())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        lost = self._behind.lost
        self._loop.run(self._behind.finish())
        if lost is not None and error is None:
            raise lost


# -- A proposal --------------------------------------------------------------


class Proposal(Face):
    """A request for consensus; ``info`` is the request as it was seen last."""

    _behind: proposals.Proposal

    @property
    def info(self) -> ConsensusInfo:
        return self._behind.info

    @property
    def id(self) -> str:
        return self._behind.id

    look = _waited(proposals.Proposal.look)
    decided = _waited(proposals.Proposal.decided)


# -- An agent ----------------------------------------------------------------


def _connected(
    connect: Callable[P, AbstractAsyncContextManager[agents.Agent]],
) -> Callable[P, AbstractContextManager["Agent"]]:
    @wraps(connect)
    @contextmanager
    def connected(*args: P.args, **kwargs: P.kwargs) -> Iterator["Agent"]:
        loop = Loop()
        try:
            with _entered(loop, connect(*args, **kwargs)) as behind:
                yield Agent(loop, behind)
        finally:
            loop.close()

    return connected


@contextmanager
def _entered(loop: Loop, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Inside a context that lives on the loop; it ends well, whatever the block raises."""

    async def enter() -> T:
        return await context.__aenter__()

    async def leave() -> None:
        await context.__aexit__(None, None, None)

    entered = loop.run(enter())
    try:
        yield entered
    finally:
        if not loop.gone:
            loop.run(leave())


class Agent(Face):
    """Made by ``Agent.connect``."""

    _behind: agents.Agent

    connect = staticmethod(_connected(agents.Agent.connect))

    @property
    def id(self) -> str:
        return self._behind.id

    @property
    def name(self) -> str:
        return self._behind.name

    @property
    def role(self) -> str:
        return self._behind.role

    @property
    def tenant_id(self) -> str:
        return self._behind.tenant_id

    @property
    def incarnation(self) -> int:
        """How often an agent of this name has registered, this time included."""
        return self._behind.incarnation

    @property
    def active(self) -> bool:
        """Whether the service surely takes the agent for alive, by the agent's own clock."""
        return self._behind.active

    @property
    def cursor(self) -> int:
        """The sequence up to which all notifications have arrived here."""
        return self._behind.cursor

    lease = _Method(agents.Agent.lease, Lease)
    request_send = _waited(agents.Agent.request_send)
    propose = _Method(agents.Agent.propose, lambda loop, asked: Proposal(loop, loop.run(asked)))
    vote = _waited(agents.Agent.vote)
    consensus = _waited(agents.Agent.consensus)
    notifications = _Method(agents.Agent.notifications, _each)
    config = _waited(agents.Agent.config)
    update_config = _waited(agents.Agent.update_config)
    heartbeat = _waited(agents.Agent.heartbeat)
