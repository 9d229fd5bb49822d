"""Execute commands: one writer task, group commit, one transaction per batch.

* One writer task owns the write connection. Callers submit command envelopes and wait. A caller
  that disconnects leaves nothing half done.
* While one batch commits, the next one gathers: a commit costs the same for one command as for
  hundreds. ``eventlog/command_queue.py`` decides which commands a batch takes.
* No state is kept between transactions. Each takes the lock, then the time, loads what its commands
  read, decides them in turn, appends, updates the read models, commits, and only then answers.
* If a handler raises, only its command fails, and nothing of it is recorded. The rest of the batch
  is repeated without it.
* After an I/O error no command is acknowledged until the connection was opened again and the end of
  the log was verified: the driver would acknowledge the next commit regardless.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import structlog

from quorate.domain.registry import new_state
from quorate.domain.shared.quotas import UNLIMITED, Quotas
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.batch_reads import read_keys, scopes
from quorate.eventlog.chores import Chore, Chores
from quorate.eventlog.command_queue import CommandQueue, QueuedCommand
from quorate.eventlog.contents import ContentStore
from quorate.eventlog.database import DatabaseUnusable, FilesReplaced
from quorate.eventlog.envelopes import CommandEnvelope, CommandFailed, CommandResult, Unavailable
from quorate.eventlog.event_store import EventStore, Heads, LogCorrupted
from quorate.eventlog.idempotency import IdempotencyStore
from quorate.eventlog.metrics import FAILED, UNAVAILABLE, CommandMetrics
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.shared_clock import CorrectionStore, Reading, SharedClock
from quorate.eventlog.state_store import StateStore
from quorate.eventlog.transactions import (
    DatabaseTransaction,
    DatabaseUnavailable,
    StatementRejected,
)
from quorate.eventlog.unit_of_work import (
    CommandCrashed,
    NewId,
    Remembered,
    Scope,
    UnitOfWork,
    reads_of_repeat,
)

# While commands arrive. Clients that wait for answers send their next commands within a moment.
BATCHES_BEFORE_CHORE = 4
CHORE_WAIT_SECONDS = 0.005
GATHER_TURNS = 3  # Of the event loop, before a batch begins.
REOPEN_WAIT_SECONDS = 0.2
DRAIN_SECONDS_MAX = 3.0
# For every tenant. The place of the damage names one of them, and is for the operator only.
CORRUPTED = "The log is corrupted and read-only"
FILES_REPLACED = "log.files_replaced"  # The log event.
Clock: TypeAlias = Callable[[], Timestamp]
# Called after a commit: the envelopes, their events, and when the batch began (wall clock, ns).
OnBatch: TypeAlias = Callable[[Sequence[CommandEnvelope], Sequence[RecordedEvent], int], None]

_logger = structlog.get_logger(__name__)


class CommandBus:
    """Takes commands from ``open`` to ``close``."""

    def __init__(
        self,
        log: EventStore,
        states: StateStore,
        *,
        clock: Clock,
        new_id: NewId,
        window_seconds: float,
        on_commit: Callable[[Sequence[RecordedEvent]], None] = lambda _rows: None,
        on_batch: OnBatch | None = None,
        quotas: Quotas = UNLIMITED,
        shared_clock: SharedClock | None = None,
        age_clock: Clock | None = None,
        metrics: CommandMetrics | None = None,
    ) -> None:
        """``shared_clock``: decide by the clock of the database, read under its lock.

        Replicas that share a database need it. With clocks of their own, one replica could grant a
        lease that another one has just granted. ``age_clock`` is for deletions by age.
        """
        self._log = log
        self._states = states
        self._answers = IdempotencyStore(log.database)
        self._contents = ContentStore(log.database)
        self._clock = clock
        self._new_id = new_id
        self._window = round(window_seconds * 1_000)
        self._on_commit = on_commit
        self._on_batch = on_batch
        self._quotas = quotas
        self._shared_clock = shared_clock
        self._age_clock = age_clock or clock
        self._corrections = CorrectionStore(log.database)
        self._queue = CommandQueue()
        self._arrived = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._closing = False
        self._prune_due = self._time_due = False
        self._chores = Chores()
        self.metrics = metrics or CommandMetrics()
        self.damage: str | None = None  # Why the log is read-only.
        self.failing = False  # The last write failed; the next one is tried.

    @property
    def waiting(self) -> int:
        """The length of the command queue."""
        return len(self._queue)

    def open(self) -> None:
        self._writer = asyncio.create_task(self._write(), name="log writer")

    async def close(self) -> None:
        """Finish the commands that were taken, reject new ones, and stop."""
        self._closing = True
        self._arrived.set()
        if self._writer is not None:
            done, _ = await asyncio.wait([self._writer], timeout=DRAIN_SECONDS_MAX)
            if not done:
                self._writer.cancel()
                with suppress(asyncio.CancelledError):
                    await self._writer
        self._reject_queued()

    async def run_chore(self, chore: Chore) -> Any:  # noqa: ANN401 - what the chore returns.
        """See ``Commands``."""
        if self._closing or self.damage:
            raise Unavailable(CORRUPTED if self.damage else "The log is closed")
        done = self._chores.add(chore)
        self._arrived.set()
        return await done

    async def submit(self, envelope: CommandEnvelope) -> CommandResult:
        """See ``Commands``."""
        return await self.enqueue(envelope)

    def enqueue(self, envelope: CommandEnvelope) -> asyncio.Future[CommandResult]:
        """Take a command, and return a future of what ``submit`` returns; raise Unavailable."""
        if self._closing or self.damage or not self._queue.has_capacity_for(envelope):
            self.metrics.record_failure(envelope.command, UNAVAILABLE)
            raise Unavailable(CORRUPTED if self.damage else "The command queue is full or closed")
        result: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
        self._queue.enqueue((envelope, result))
        self._arrived.set()
        return result

    # -- The writer task -----------------------------------------------------

    async def _write(self) -> None:
        batches = 0  # Since the last chore.
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue or (
                (self._prune_due or self._time_due or self._chores)
                and not (self._closing or self.damage)
            ):
                if self._log.database.lost:
                    await self._reopen()
                if self._time_due:
                    await self._agree_on_time()
                if self._prune_due:
                    await self._prune()
                if self._queue:
                    await self._gather()
                    await self._finish(self._queue.take_batch())
                    batches += 1
                if self._chores and not self._queue and 0 < batches < BATCHES_BEFORE_CHORE:
                    await self._wait_for_command()
                if self._chores and (not self._queue or batches >= BATCHES_BEFORE_CHORE):
                    batches = 0
                    if not await self._chores.run_next(self._log):
                        await self._reopen()
            if self._closing:
                return

    async def _wait_for_command(self) -> None:
        """Wait briefly for the next command: a chore would make it wait for a commit."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CHORE_WAIT_SECONDS):
                await self._arrived.wait()
                self._arrived.clear()

    async def _gather(self) -> None:
        """Let commands that have arrived already join the batch, which costs little more.

        Otherwise they would wait for all of it. An idle turn of the event loop takes microseconds.
        """
        for _ in range(GATHER_TURNS):
            if self._queue.has_full_batch():
                return
            await asyncio.sleep(0)

    async def _finish(self, waiting: Sequence[QueuedCommand]) -> None:
        """Commit a batch and answer each command, whatever happens."""
        try:
            await self._commit_or_split(waiting)
        except DatabaseUnavailable as error:
            self.failing = True
            # Without a traceback: a full disk fails as often as there are commands.
            _logger.error("log.write_failed", commands=len(waiting), error=str(error))  # noqa: TRY400
            self._fail(waiting, Unavailable("The log could not be written"))
            await self._reopen()
        except asyncio.CancelledError:
            self._fail(waiting, Unavailable("The log was closed before this was written"))
            raise

    async def _commit_or_split(self, waiting: Sequence[QueuedCommand]) -> None:
        """Find the command that fails the whole batch, so that only that one fails.

        The database may have rejected a statement, or a command could not name its reads.
        """
        try:
            await self._commit_without_crashed(waiting)
        except DatabaseUnavailable:
            raise
        except Exception:
            if len(waiting) == 1:
                _logger.exception("command.failed", command=_name(waiting[0][0]))
                self._fail(waiting, CommandFailed(f"{_name(waiting[0][0])} failed"))
                return
            _logger.warning("log.batch_split", commands=len(waiting), exc_info=True)
            for one in waiting:
                await self._commit_or_split([one])

    async def _commit_without_crashed(self, waiting: Sequence[QueuedCommand]) -> None:
        left = list(waiting)
        while left:
            try:
                results = await self._commit([envelope for envelope, _ in left])
            except CommandCrashed as crash:
                _logger.exception("command.failed", command=str(crash))
                bad = [one for one in left if one[0] is crash.envelope]
                left = [one for one in left if one[0] is not crash.envelope]
                self._fail(bad, CommandFailed(f"{crash} failed"))
            else:
                for (envelope, future), result in zip(left, results, strict=True):
                    self.metrics.record_result(envelope.command, result)
                    if not future.done():
                        future.set_result(result)
                return

    async def _commit(self, envelopes: Sequence[CommandEnvelope]) -> Sequence[CommandResult]:
        began, began_ns = time.perf_counter(), time.time_ns()
        async with self._log.write() as transaction:
            reads = [envelope.command.reads() for envelope in envelopes]
            tenants = dict.fromkeys([envelope.tenant for envelope in envelopes])
            heads, remembered = Heads(tenants), dict[Scope, Remembered]()
            readings: list[Reading] = []
            states = {tenant: new_state() for tenant in tenants}
            await transaction.look_up(
                [
                    *(self._corrections.lookups(readings) if self._shared_clock else ()),
                    *self._log.head_lookups(heads),
                    *self._states.lookups(states, read_keys(envelopes, reads)),
                    *self._answers.lookups(scopes(envelopes), remembered),
                ]
            )
            now = await self._decide_time(transaction, readings, heads.last.at)
            if remembered:  # Requests that are repeated; some read what they were granted.
                repeats = [reads_of_repeat(envelope, remembered) for envelope in envelopes]
                if keys := read_keys(envelopes, repeats):
                    await transaction.look_up(self._states.lookups(states, keys))
            await transaction.look_up(self._states.overdue_lookups(states, now))
            unit = UnitOfWork(
                now=now,
                window=self._window,
                position=heads.last.position,
                heads=heads.tenants,
                states=states,
                remembered=remembered,
                new_id=self._new_id,
                quotas=self._quotas,
            )
            decided = [unit.execute(*one) for one in zip(envelopes, reads, strict=True)]
            if unit.rows:
                await self._log.append(transaction, unit.rows)
                await self._states.save(transaction, states)
                await self._contents.save(transaction, unit.contents)
                await self._contents.erase(transaction, unit.erased)
            results = await self._contents.hand_out(transaction, envelopes, decided)
            await self._answers.save(transaction, unit.to_remember, now)
            await self._answers.replace(transaction, unit.to_replace, now)
        self.failing = self.failing and not unit.rows
        self.metrics.record_commit(len(envelopes), unit.rows, time.perf_counter() - began)
        self._notify_listeners(envelopes, unit.rows, began_ns)
        return results

    def _notify_listeners(
        self, envelopes: Sequence[CommandEnvelope], rows: Sequence[RecordedEvent], began_ns: int
    ) -> None:
        """A listener that raises does not undo the commit."""
        try:
            if rows:
                self._on_commit(rows)
            if self._on_batch is not None:
                self._on_batch(envelopes, rows, began_ns)
        except Exception:
            _logger.exception("commit_listener.failed", events=len(rows))

    async def _reopen(self) -> None:
        """Open the connection again and verify the log; commands wait for both."""
        while not self._closing:
            try:
                await self._log.reopen()
            except FilesReplaced as loss:
                self.stop_writing(str(loss), FILES_REPLACED)
                return
            except LogCorrupted as damage:
                self.stop_writing(str(damage))
                return
            except (DatabaseUnavailable, DatabaseUnusable) as error:
                _logger.warning("log.reopen_failed", error=str(error))
                self._reject_queued()
                await asyncio.sleep(REOPEN_WAIT_SECONDS)
            else:
                _logger.info("log.writes_recovered")
                return

    def stop_writing(self, damage: str, event: str = "log.corrupted") -> None:
        """Make the log read-only: nothing may be appended to it until a restart.

        Two checks may find the same damage. It is logged once.
        """
        if damage != self.damage:
            self.damage = damage
            _logger.critical(event, damage=damage)
        self._reject_queued()

    def _reject_queued(self) -> None:
        why = CORRUPTED if self.damage else "The log cannot be written now"
        self._chores.reject()
        self._fail(self._queue.drain(), Unavailable(why))

    def _fail(self, waiting: Iterable[QueuedCommand], error: Exception) -> None:
        outcome = UNAVAILABLE if isinstance(error, Unavailable) else FAILED
        for envelope, future in waiting:
            if not future.done():
                self.metrics.record_failure(envelope.command, outcome)
                future.set_exception(error)

    async def _decide_time(
        self, transaction: DatabaseTransaction, readings: Sequence[Reading], last: Timestamp
    ) -> Timestamp:
        """Return the time of the transaction: never before the last event."""
        if self._shared_clock is None or not readings:
            return max(self._clock(), last)
        now, correction = self._shared_clock.decide(readings[0], last)
        if correction != readings[0].correction:
            await self._corrections.save(transaction, correction)
        return now

    def agree_on_time(self) -> None:
        """Correct the shared clock as soon as the writer is free: it was set back."""
        self._time_due = True
        self._arrived.set()

    async def _agree_on_time(self) -> None:
        self._time_due, heads, readings = False, Heads(()), list[Reading]()
        try:
            async with self._log.write() as transaction:
                lookups = (*self._corrections.lookups(readings), *self._log.head_lookups(heads))
                await transaction.look_up(lookups)
                await self._decide_time(transaction, readings, heads.last.at)
        except (DatabaseUnavailable, StatementRejected):
            _logger.warning("clock.not_corrected", exc_info=True)
            await self._reopen()

    def prune_answers(self) -> None:
        """Delete expired idempotency keys as soon as the writer is free."""
        self._prune_due = self.damage is None
        self._arrived.set()

    async def _prune(self) -> None:
        """Delete a part of them; the rest follows after the next batch."""
        self._prune_due = False
        try:
            async with self._log.write() as transaction:
                more = await self._answers.prune(transaction, self._age_clock())
        except (DatabaseUnavailable, StatementRejected):
            _logger.warning("idempotency.prune_failed", exc_info=True)
            await self._reopen()
        else:
            self._prune_due = more


def _name(envelope: CommandEnvelope) -> str:
    return type(envelope.command).__name__
