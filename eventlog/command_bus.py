"""The one door by which a decision becomes a fact.

* One writer task owns the write connection. Callers hand it orders and wait; one that goes away
  leaves nothing half done.
* While one batch commits, the next gathers: a commit costs the same for one order as for hundreds.
  Who is in it, when more wait than it takes, is for the line to say (eventlog/command_queue.py).
* A batch holds no state between transactions. It takes the lock, then the time, loads what its
  orders name, decides them in turn, appends, projects, commits, and only then answers.
* An order on which our own code raises fails alone, and nothing of it is recorded.
* After an I/O error nothing is acknowledged until the connection was taken anew and the end of
  the log checked: the driver would happily acknowledge the next commit.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeAlias

import structlog

from quorate.domain.commands import Names, names
from quorate.domain.shared.quotas import UNLIMITED, Quotas
from quorate.domain.shared.timestamps import Timestamp
from quorate.domain.tenant_state import TenantState
from quorate.eventlog.command_queue import CommandQueue, Waiting
from quorate.eventlog.database import NotDurable
from quorate.eventlog.envelopes import Answer, CommandEnvelope, CommandFailed, Unavailable
from quorate.eventlog.event_store import EventStore, Heads, LogDamaged
from quorate.eventlog.idempotency import IdempotencyStore
from quorate.eventlog.metrics import FAILED, UNAVAILABLE, DoorTally
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.state_store import Projections, Wanted
from quorate.eventlog.transactions import DatabaseUnavailable, StatementRejected
from quorate.eventlog.unit_of_work import (
    CommandCrashed,
    NewId,
    Remembered,
    Scope,
    UnitOfWork,
    scope_of,
)

GATHER_TURNS = 3  # Of the event loop, before a batch begins.
REOPEN_WAIT_SECONDS = 0.2
DRAIN_SECONDS_MAX = 3.0
# What every tenant may know; where the damage is names one of them, and is for the operator.
DAMAGED = "the log is damaged and only read"
Clock: TypeAlias = Callable[[], Timestamp]
# Sees the orders of a batch that was committed, its rows, and when it began (in ns, by the wall).
OnBatch: TypeAlias = Callable[[Sequence[CommandEnvelope], Sequence[RecordedEvent], int], None]

_logger = structlog.get_logger(__name__)


class CommandBus:
    """Takes orders from the moment it is opened until it is closed."""

    def __init__(
        self,
        log: EventStore,
        projections: Projections,
        *,
        clock: Clock,
        new_id: NewId,
        window_seconds: float,
        on_commit: Callable[[Sequence[RecordedEvent]], None] = lambda _rows: None,
        on_batch: OnBatch | None = None,
        quotas: Quotas = UNLIMITED,
        shares_time: bool = False,
    ) -> None:
        """Who ``shares_time`` decides by the clock of a database that others write as well, asked
        under its lock: were two clocks apart, one would give away what the other just gave.
        """
        self._log = log
        self._projections = projections
        self._answers = IdempotencyStore(log.backend)
        self._clock = clock
        self._new_id = new_id
        self._window = round(window_seconds * 1_000)
        self._on_commit = on_commit
        self._on_batch = on_batch
        self._quotas = quotas
        self._shares_time = shares_time
        self._line = CommandQueue()
        self._arrived = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._closing = False
        self._prune_due = False
        self.tally = DoorTally()
        self.damage: str | None = None  # Why the log must not be written any more.
        self.failing = False  # The last that was to be written could not be; the next is tried.

    @property
    def waiting(self) -> int:
        """How many orders stand in line."""
        return len(self._line)

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

    async def submit(self, order: CommandEnvelope) -> Answer:
        """Hand in an order and wait for its answer, which is durable when it comes.

        Raises Unavailable when the log cannot take it (or may have taken it: ask again with the
        same idempotency key), CommandFailed when our own code is at fault.
        """
        if self._closing or self.damage or not self._line.has_place_for(order):
            self.tally.failed(order.command, UNAVAILABLE)
            raise Unavailable(DAMAGED if self.damage else "no more commands can be taken now")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._line.join((order, answer))
        self._arrived.set()
        return await answer

    # -- The writer task -----------------------------------------------------

    async def _write(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._line or (self._prune_due and not self._closing):
                if self._log.backend.lost:
                    await self._reopen()
                if self._prune_due:
                    await self._prune()
                if self._line:
                    await self._gather()
                    await self._settle(self._line.next_batch())
            if self._closing:
                return

    async def _gather(self) -> None:
        """Let requests that have arrived already join: a batch costs little more for them, and
        without them they would wait for all of it. A turn with nothing to do takes microseconds.
        """
        for _ in range(GATHER_TURNS):
            if self._line.is_batch():
                return
            await asyncio.sleep(0)

    async def _settle(self, waiting: Sequence[Waiting]) -> None:
        """Commit a batch and answer it, whatever happens."""
        try:
            await self._commit_or_divide(waiting)
        except DatabaseUnavailable as error:
            self.failing = True
            said = str(error)  # That is enough, and a full disk has as many as there are commands.
            _logger.error("log.write_failed", orders=len(waiting), error=said)  # noqa: TRY400
            self._fail(waiting, Unavailable("the log could not be written"))
            await self._reopen()
        except asyncio.CancelledError:
            self._fail(waiting, Unavailable("the log was closed before this was written"))
            raise

    async def _commit_or_divide(self, waiting: Sequence[Waiting]) -> None:
        """When the batch as a whole fails (the database refused a statement, or an order could
        not even be read), find out whose fault it is: the others must not suffer.
        """
        try:
            await self._commit_without_the_spoiled(waiting)
        except DatabaseUnavailable:
            raise
        except Exception:
            if len(waiting) == 1:
                _logger.exception("log.command_failed", command=_name(waiting[0][0]))
                self._fail(waiting, CommandFailed(f"{_name(waiting[0][0])} failed"))
                return
            _logger.warning("log.batch_divided", orders=len(waiting), exc_info=True)
            for one in waiting:
                await self._commit_or_divide([one])

    async def _commit_without_the_spoiled(self, waiting: Sequence[Waiting]) -> None:
        left = list(waiting)
        while left:
            try:
                answers = await self._commit([order for order, _ in left])
            except CommandCrashed as spoiled:
                _logger.exception("log.command_failed", command=str(spoiled))
                bad = [one for one in left if one[0] is spoiled.order]
                left = [one for one in left if one[0] is not spoiled.order]
                self._fail(bad, CommandFailed(f"{spoiled} failed"))
            else:
                for (order, future), answer in zip(left, answers, strict=True):
                    self.tally.answered(order.command, answer)
                    if not future.done():
                        future.set_result(answer)
                return

    async def _commit(self, orders: Sequence[CommandEnvelope]) -> list[Answer]:
        began, began_ns = time.perf_counter(), time.time_ns()
        async with self._log.write() as session:
            about = [names(order.command) for order in orders]
            wanted = _wanted(orders, about)
            heads, remembered = Heads(wanted), dict[Scope, Remembered]()
            tenant_states = {tenant: TenantState() for tenant in wanted}
            await session.look(
                [
                    *(self._log.looks_for_time(heads) if self._shares_time else ()),
                    *self._log.looks(heads),
                    *self._projections.looks(tenant_states, wanted),
                    *self._answers.looks(_scopes(orders), remembered),
                ]
            )
            now = max(heads.now or self._clock(), heads.last.at)
            await session.look(self._projections.looks_for_what_lapses(tenant_states, now))
            batch = UnitOfWork(
                now=now,
                window=self._window,
                position=heads.last.position,
                heads=heads.tenants,
                tenant_states=tenant_states,
                remembered=remembered,
                new_id=self._new_id,
                quotas=self._quotas,
            )
            answers = [batch.take(*one) for one in zip(orders, about, strict=True)]
            if batch.rows:
                await self._log.append(session, batch.rows)
                await self._projections.save(session, tenant_states)
            await self._answers.save(session, batch.to_remember, now)
        self.failing = self.failing and not batch.rows
        self.tally.committed(len(orders), batch.rows, time.perf_counter() - began)
        self._announce(orders, batch.rows, began_ns)
        return answers

    def _announce(
        self, orders: Sequence[CommandEnvelope], rows: Sequence[RecordedEvent], began_ns: int
    ) -> None:
        """What is committed stays committed, whatever becomes of those who hear of it."""
        try:
            if rows:
                self._on_commit(rows)
            if self._on_batch is not None:
                self._on_batch(orders, rows, began_ns)
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
            except (DatabaseUnavailable, NotDurable) as error:
                _logger.warning("log.still_unavailable", error=str(error))
                self._refuse_queued()
                await asyncio.sleep(REOPEN_WAIT_SECONDS)
            else:
                _logger.info("log.reopened")
                return

    def stop_writing(self, damage: str) -> None:
        """Something is wrong with the log itself: it may be read, and nothing may follow on it."""
        self.damage = damage
        _logger.critical("log.damaged", damage=damage)
        self._refuse_queued()

    def _refuse_queued(self) -> None:
        why = DAMAGED if self.damage else "the log cannot be written now"
        self._fail(self._line.leave(), Unavailable(why))

    def _fail(self, waiting: Iterable[Waiting], error: Exception) -> None:
        outcome = UNAVAILABLE if isinstance(error, Unavailable) else FAILED
        for order, future in waiting:
            if not future.done():
                self.tally.failed(order.command, outcome)
                future.set_exception(error)

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
        except (DatabaseUnavailable, StatementRejected):
            _logger.warning("log.prune_failed", exc_info=True)
            await self._reopen()
        else:
            self._prune_due = more


def _wanted(orders: Sequence[CommandEnvelope], about: Sequence[Names]) -> dict[str, Wanted]:
    wanted: dict[str, Wanted] = {}
    for order, its_names in zip(orders, about, strict=True):
        if order.tenant not in wanted:
            wanted[order.tenant] = Wanted()
        wanted[order.tenant].add(its_names)
    return wanted


def _scopes(orders: Sequence[CommandEnvelope]) -> list[Scope]:
    return [scope_of(order.tenant, order.idempotency) for order in orders if order.idempotency]


def _name(order: CommandEnvelope) -> str:
    return type(order.command).__name__
