"""The one door by which a decision becomes a fact.

* One writer task owns the write connection. Callers hand it orders and wait; one that goes away
  leaves nothing half done.
* While one batch commits, the next gathers: a commit costs the same for one order as for hundreds.
* A batch holds no state between transactions. It takes the lock, then the time, loads what its
  orders name, decides them in turn, appends, projects, commits, and only then answers.
* An order on which our own code raises fails alone, and nothing of it is recorded.
* After an I/O error nothing is acknowledged until the connection was taken anew and the end of
  the log checked: the driver would happily acknowledge the next commit.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

import structlog

from quorate.domain.commands import Names, names
from quorate.domain.instants import Instant
from quorate.domain.situation import Situation
from quorate.eventlog.answers import Answers
from quorate.eventlog.backend import Unsafe
from quorate.eventlog.batch import Batch, NewId, Remembered, Scope, Spoiled, scope_of
from quorate.eventlog.log import EventLog, Heads, LogDamaged
from quorate.eventlog.order import Answer, CommandFailed, Order, Unavailable
from quorate.eventlog.projection import Projections, Wanted
from quorate.eventlog.recorded import Recorded
from quorate.eventlog.session import Broken

BATCH_ORDERS_MAX = 512
GATHER_TURNS = 3  # Of the event loop, before a batch begins.
QUEUE_ORDERS_MAX = 20_000
REOPEN_WAIT_SECONDS = 0.2
DRAIN_SECONDS_MAX = 3.0
Clock: TypeAlias = Callable[[], Instant]
Waiting: TypeAlias = tuple[Order, "asyncio.Future[Answer]"]

_logger = structlog.get_logger(__name__)


class Door:
    """Takes orders from the moment it is opened until it is closed."""

    def __init__(
        self,
        log: EventLog,
        projections: Projections,
        *,
        clock: Clock,
        new_id: NewId,
        window_seconds: float,
        on_commit: Callable[[Sequence[Recorded]], None] = lambda _rows: None,
    ) -> None:
        self._log = log
        self._projections = projections
        self._answers = Answers(log.backend)
        self._clock = clock
        self._new_id = new_id
        self._window = round(window_seconds * 1_000)
        self._on_commit = on_commit
        self._queue: deque[Waiting] = deque()
        self._arrived = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._closing = False
        self._prune_due = False
        self.damage: str | None = None  # Why the log must not be written any more.

    def open(self) -> None:
        self._writer = asyncio.create_task(self._write(), name="log writer")

    async def close(self) -> None:
        """Finish what was taken, refuse what comes, and end."""
        self._closing = True
        self._arrived.set()
        if self._writer is not None:
            done, _ = await asyncio.wait([self._writer], timeout=DRAIN_SECONDS_MAX)
            if not done:
                self._writer.cancel()
                with suppress(asyncio.CancelledError):
                    await self._writer
        self._refuse_queued()

    async def submit(self, order: Order) -> Answer:
        """Hand in an order and wait for its answer, which is durable when it comes.

        Raises Unavailable when the log cannot take it (or may have taken it: ask again with the
        same idempotency key), CommandFailed when our own code is at fault.
        """
        if self._closing or self.damage or len(self._queue) >= QUEUE_ORDERS_MAX:
            raise Unavailable(self.damage or "no more commands can be taken now")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append((order, answer))
        self._arrived.set()
        return await answer

    # -- The writer task -----------------------------------------------------

    async def _write(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue or (self._prune_due and not self._closing):
                if self._prune_due:
                    await self._prune()
                if self._queue:
                    await self._gather()
                    size = min(len(self._queue), BATCH_ORDERS_MAX)
                    await self._settle([self._queue.popleft() for _ in range(size)])
            if self._closing:
                return

    async def _gather(self) -> None:
        """Let requests that have arrived already join: a batch costs little more for them, and
        without them they would wait for all of it. A turn with nothing to do takes microseconds.
        """
        for _ in range(GATHER_TURNS):
            if len(self._queue) >= BATCH_ORDERS_MAX:
                return
            await asyncio.sleep(0)

    async def _settle(self, waiting: Sequence[Waiting]) -> None:
        """Commit a batch and answer it, whatever happens."""
        try:
            await self._commit_or_divide(waiting)
        except Broken as error:
            _logger.exception("log.write_failed", orders=len(waiting))
            _fail(waiting, Unavailable(f"the log could not be written: {error}"))
            await self._reopen()
        except asyncio.CancelledError:
            _fail(waiting, Unavailable("the log was closed before this was written"))
            raise

    async def _commit_or_divide(self, waiting: Sequence[Waiting]) -> None:
        """When the batch as a whole fails (the database refused a statement, or an order could
        not even be read), find out whose fault it is: the others must not suffer.
        """
        try:
            await self._commit_without_the_spoiled(waiting)
        except Broken:
            raise
        except Exception:
            if len(waiting) == 1:
                _logger.exception("log.command_failed", command=_name(waiting[0][0]))
                _fail(waiting, CommandFailed(f"{_name(waiting[0][0])} failed"))
                return
            _logger.warning("log.batch_divided", orders=len(waiting), exc_info=True)
            for one in waiting:
                await self._commit_or_divide([one])

    async def _commit_without_the_spoiled(self, waiting: Sequence[Waiting]) -> None:
        left = list(waiting)
        while left:
            try:
                answers = await self._commit([order for order, _ in left])
            except Spoiled as spoiled:
                _logger.exception("log.command_failed", command=str(spoiled))
                bad = [one for one in left if one[0] is spoiled.order]
                left = [one for one in left if one[0] is not spoiled.order]
                _fail(bad, CommandFailed(f"{spoiled} failed"))
            else:
                for (_, future), answer in zip(left, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
                return

    async def _commit(self, orders: Sequence[Order]) -> list[Answer]:
        async with self._log.write() as session:
            about = [names(order.command) for order in orders]
            wanted = _wanted(orders, about)
            heads, remembered = Heads(wanted), dict[Scope, Remembered]()
            situations = {tenant: Situation() for tenant in wanted}
            await session.look(
                [
                    *self._log.looks(heads),
                    *self._projections.looks(situations, wanted),
                    *self._answers.looks(_scopes(orders), remembered),
                ]
            )
            now = max(self._clock(), heads.last.at)
            await session.look(self._projections.looks_for_what_lapses(situations, now))
            batch = Batch(
                now=now,
                window=self._window,
                position=heads.last.position,
                heads=heads.tenants,
                situations=situations,
                remembered=remembered,
                new_id=self._new_id,
            )
            answers = [batch.take(*one) for one in zip(orders, about, strict=True)]
            if batch.rows:
                await self._log.append(session, batch.rows)
                await self._projections.save(session, situations)
            await self._answers.save(session, batch.to_remember, now)
        if batch.rows:
            self._announce(batch.rows)
        return answers

    def _announce(self, rows: Sequence[Recorded]) -> None:
        """What is committed stays committed, whatever becomes of those who hear of it."""
        try:
            self._on_commit(rows)
        except Exception:
            _logger.exception("log.listener_failed", events=len(rows))

    async def _reopen(self) -> None:
        """Serve again only behind a fresh connection and a log that is whole."""
        while not self._closing:
            try:
                await self._log.reopen()
            except LogDamaged as damage:
                self.stop_writing(str(damage))
                return
            except (Broken, Unsafe):
                _logger.warning("log.still_unavailable", exc_info=True)
                self._refuse_queued()
                await asyncio.sleep(REOPEN_WAIT_SECONDS)
            else:
                _logger.info("log.reopened")
                return

    def stop_writing(self, damage: str) -> None:
        """Something is wrong with the log itself: it may be read, and nothing may follow on it."""
        self.damage = f"the log is damaged and only read: {damage}"
        _logger.critical("log.damaged", damage=damage)
        self._refuse_queued()

    def _refuse_queued(self) -> None:
        waiting, self._queue = self._queue, deque()
        _fail(waiting, Unavailable(self.damage or "the log cannot be written now"))

    def prune_answers(self) -> None:
        """Forget answers past their time, as soon as the writer is free."""
        self._prune_due = self.damage is None
        self._arrived.set()

    async def _prune(self) -> None:
        """A part of them; what is left goes on after the next batch."""
        self._prune_due = False
        try:
            async with self._log.write() as session:
                more = await self._answers.prune(session, self._clock())
        except Broken:
            _logger.warning("log.prune_failed", exc_info=True)
            await self._reopen()
        else:
            self._prune_due = more


def _wanted(orders: Sequence[Order], about: Sequence[Names]) -> dict[str, Wanted]:
    wanted: dict[str, Wanted] = {}
    for order, its_names in zip(orders, about, strict=True):
        if order.tenant not in wanted:
            wanted[order.tenant] = Wanted()
        wanted[order.tenant].add(its_names)
    return wanted


def _scopes(orders: Sequence[Order]) -> list[Scope]:
    return [scope_of(order.tenant, order.idempotency) for order in orders if order.idempotency]


def _name(order: Order) -> str:
    return type(order.command).__name__


def _fail(waiting: Sequence[Waiting] | deque[Waiting], error: Exception) -> None:
    for _, future in waiting:
        if not future.done():
            future.set_exception(error)
