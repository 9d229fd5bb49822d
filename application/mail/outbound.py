"""Process manager: hands queued messages to the SMTP relay and records what became of them.

Guarantees:

* It keeps nothing that the log does not have, except outcomes that are not recorded yet. The next
  leader continues with the deliveries that are due.
* The send gate judges a delivery immediately before its attempt (``BeginDelivery``).
* An accepted message is sent again only if this process ends, or loses the leadership, between the
  acceptance and the commit of ``MessageRelayed``. Both copies have the same Message-ID. While the
  database is unavailable the outcome is kept and recorded later, before anything is sent again.
* An attempt that was cut off counts as not made: it is repeated at once by the next leader.
* At most ATTEMPTS_MAX messages are in SMTP at a time, at most ATTEMPTS_PER_DOMAIN_MAX of them for
  one domain, so that a slow domain does not stop the others.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

import structlog

from quorate.application.mail import relay_metrics
from quorate.application.mail.relay_metrics import RelayMetrics
from quorate.application.mail.relayed_message import (
    BodyErased,
    CannotBeSent,
    domain_of,
    envelope_address,
    make_message,
)
from quorate.application.mail.transport import (
    DeliveryFailure,
    MailTransport,
    PermanentFailure,
    Sent,
    TemporaryFailure,
)
from quorate.application.system_commands import SystemCommands
from quorate.domain.mail.deliveries import Delivery
from quorate.domain.mail.delivery_attempts import (
    BeginDelivery,
    CancelErased,
    QueueHeld,
    RecordFailure,
    RecordRelayed,
)
from quorate.domain.mail.settings import RetryPolicy
from quorate.domain.shared.records import record
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.envelopes import Accepted, CommandFailed, Unavailable
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.eventlog.unit_of_work import NewId
from quorate.projections.mail.outgoing import DueDelivery, OutgoingMail
from quorate.runtime.tasks import cancel_and_wait

ATTEMPTS_MAX = 16
ATTEMPTS_PER_DOMAIN_MAX = 4
# Of a query: enough for those in SMTP, which are still due, and as many others.
DUE_MAX = 2 * ATTEMPTS_MAX
HELD_MAX = 100
IDLE_SECONDS_MAX = 10.0  # A commit during the start may not be told to the relay.
IDLE_SECONDS_MIN = 0.05
RETRY_SECONDS = 1.0  # After the log or the database was unavailable.
FAILED_SECONDS = 60.0  # Before a delivery is tried again whose command crashed.
_QUEUED = "MessageQueued"
_HELD = frozenset({"MessageHeld", "TenantResumed"})
_logger = structlog.get_logger(__name__)


class CommitSignal:
    """Tells the relay of this process that a commit of any process may concern it."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.has_held = True  # Whether there may be held deliveries.

    def wake(self, rows: Sequence[RecordedEvent]) -> None:
        for row in rows:
            if row.type in _HELD:
                self.has_held = True
                self.event.set()
            elif row.type == _QUEUED:
                self.event.set()


@record
class _Outcome:
    """The outcome of an attempt that is to be recorded."""

    due: DueDelivery
    command: RecordRelayed | RecordFailure | CancelErased


class OutboundRelay:
    """``run`` is a task of the leader. ``jitter`` returns numbers from -1 to 1."""

    def __init__(  # noqa: PLR0917 - the parts that it uses.
        self,
        command_bus: CommandBus,
        mail: OutgoingMail,
        transport: MailTransport,
        policy: RetryPolicy,
        clock: Callable[[], Timestamp],
        new_id: NewId,
        *,
        signal: CommitSignal,
        metrics: RelayMetrics,
        jitter: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311
    ) -> None:
        self._system = SystemCommands(command_bus, clock, new_id)
        self._mail = mail
        self._transport = transport
        self._policy = policy
        self._clock = clock
        self._signal = signal
        self._metrics = metrics
        self._jitter = jitter
        self._running: dict[str, asyncio.Task[None]] = {}  # By id of the delivery.
        self._domains: Counter[str] = Counter()  # Of the running attempts.
        self._outcomes: dict[str, _Outcome] = {}  # Not recorded yet, by id of the delivery.
        self._is_paused = False

    async def run(self) -> NoReturn:
        """Send what is due until cancelled."""
        changed, self._signal.has_held = self._signal.event, True
        try:
            while True:
                changed.clear()
                seconds = await self._start_due()
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await changed.wait()
        finally:
            await cancel_and_wait(list(self._running.values()))

    # -- What is due -----------------------------------------------------------

    async def _start_due(self) -> float:
        """Start attempts; return after how many seconds the next delivery becomes due."""
        try:
            if self._signal.has_held:
                await self._queue_held()
            for outcome in list(self._outcomes.values()):
                self._start(outcome.due)
            now = self._clock()
            while await self._start_some(now):
                pass
            next_at = await self._mail.next_due(now)
        except (Unavailable, CommandFailed, DatabaseUnavailable) as error:
            if not self._is_paused:  # Logged once per outage.
                _logger.warning("mail_relay.paused", reason=str(error))
            self._is_paused = True
            return RETRY_SECONDS
        self._is_paused = False
        if next_at is None:
            return IDLE_SECONDS_MAX
        seconds = (next_at - now) / MILLISECONDS_PER_SECOND
        return min(max(seconds, IDLE_SECONDS_MIN), IDLE_SECONDS_MAX)

    async def _start_some(self, now: Timestamp) -> bool:
        """Start attempts of deliveries that are due; return whether there may be more."""
        if len(self._running) >= ATTEMPTS_MAX:
            return False
        busy = [name for name, count in self._domains.items() if count >= ATTEMPTS_PER_DOMAIN_MAX]
        found = await self._mail.due(now, busy, DUE_MAX)
        started = [one for one in found if self._start(one)]
        return bool(started)

    def _start(self, due: DueDelivery) -> bool:
        """Start an attempt unless it runs, or as many as may run do."""
        id_, domain = due.delivery.id, domain_of(due.delivery.contact_key)
        if (
            id_ in self._running
            or len(self._running) >= ATTEMPTS_MAX
            or self._domains[domain] >= ATTEMPTS_PER_DOMAIN_MAX
        ):
            return False
        self._domains[domain] += 1
        self._running[id_] = asyncio.create_task(self._attempt(due), name=f"mail {id_}")
        self._running[id_].add_done_callback(lambda _: self._ended(id_, domain))
        return True

    def _ended(self, id_: str, domain: str) -> None:
        del self._running[id_]
        self._domains[domain] -= 1
        if not self._domains[domain]:
            del self._domains[domain]
        self._signal.event.set()

    async def _queue_held(self) -> None:
        """Queue what was held while no relay was configured."""
        self._signal.has_held = False
        while found := await self._mail.held(HELD_MAX):
            for one in found:  # One after the other: commands of callers run in between.
                command = QueueHeld(message_id=one.message_id, delivery_id=one.id)
                try:
                    await self._submit(one.tenant, command)
                except BaseException:
                    self._signal.has_held = True
                    raise
            _logger.info("mail.held_queued", deliveries=len(found))

    # -- An attempt --------------------------------------------------------------

    async def _attempt(self, due: DueDelivery) -> None:
        try:
            if due.delivery.id not in self._outcomes:
                command = await self._send(due)
                if command is None:
                    return
                # Nothing is awaited between the acceptance by SMTP and this line.
                self._outcomes[due.delivery.id] = _Outcome(due=due, command=command)
            await self._record(due.delivery.id)
        except (Unavailable, DatabaseUnavailable) as error:
            _logger.debug("mail_relay.postponed", delivery=due.delivery.id, reason=str(error))
            await asyncio.sleep(RETRY_SECONDS)
        except Exception:
            _logger.exception("mail_relay.attempt_failed", delivery=due.delivery.id)
            await asyncio.sleep(FAILED_SECONDS)

    async def _send(self, due: DueDelivery) -> RecordRelayed | RecordFailure | CancelErased | None:
        """Send the message unless the send gate blocks it; return what to record."""
        delivery = due.delivery
        try:
            message, sender = await self._make(due)
        except CannotBeSent as error:
            return self._failure(delivery, PermanentFailure(None, str(error)))
        except BodyErased:
            return CancelErased(message_id=delivery.message_id, delivery_id=delivery.id)
        if not await self._begin(due):
            return None
        started = time.monotonic()
        recipient = envelope_address(delivery.address, delivery.contact_key)
        try:
            sent = await self._transport.send(message, sender=sender, recipient=recipient)
        except DeliveryFailure as failure:
            is_permanent = isinstance(failure, PermanentFailure)
            outcome = relay_metrics.PERMANENT if is_permanent else relay_metrics.TEMPORARY
            self._metrics.record(outcome, time.monotonic() - started)
            return self._failure(delivery, failure)
        except Exception as error:
            _logger.exception("mail_relay.transport_failed", delivery=delivery.id)
            return self._failure(delivery, TemporaryFailure(None, f"Internal error: {error!r}"))
        self._metrics.record(relay_metrics.ACCEPTED, time.monotonic() - started)
        return _relayed(delivery, sent)

    async def _make(self, due: DueDelivery) -> tuple[bytes, str]:
        """Return the message and the sender of its envelope."""
        outgoing = await self._mail.read(due.tenant, due.delivery.message_id)
        if outgoing is None:
            raise CannotBeSent("The message does not exist")
        return make_message(outgoing), outgoing.message.from_address

    async def _begin(self, due: DueDelivery) -> bool:
        delivery = due.delivery
        command = BeginDelivery(
            message_id=delivery.message_id,
            delivery_id=delivery.id,
            contact_key=delivery.contact_key,
            agent_id=delivery.agent_id,
        )
        status, attempts = await self._submit(due.tenant, command)
        if status == "blocked":
            _logger.info("mail.blocked", tenant=due.tenant, delivery=delivery.id)
        # Another number: the delivery was read before its last attempt was recorded.
        return status in {"queued", "deferred"} and attempts == delivery.attempts

    def _failure(self, delivery: Delivery, failure: DeliveryFailure) -> RecordFailure:
        return RecordFailure(
            message_id=delivery.message_id,
            delivery_id=delivery.id,
            is_permanent=isinstance(failure, PermanentFailure),
            policy=self._policy,
            jitter=self._jitter(),
            attempts=delivery.attempts,
            smtp_code=failure.code,
            detail=failure.detail,
        )

    async def _record(self, id_: str) -> None:
        """Record an outcome; while the log is unavailable, try again and keep the outcome."""
        due, command = self._outcomes[id_].due, self._outcomes[id_].command
        is_late = False
        while True:
            try:
                status, _ = await self._submit(due.tenant, command)
                break
            except Unavailable as error:
                if not is_late:
                    _logger.warning("mail_relay.record_late", delivery=id_, reason=str(error))
                is_late = True
                await asyncio.sleep(RETRY_SECONDS)
        del self._outcomes[id_]
        if isinstance(command, CancelErased):
            _logger.info("mail.cancelled", tenant=due.tenant, delivery=id_)
        if isinstance(command, RecordFailure):
            log = _logger.warning if status == "dead_lettered" else _logger.info
            failed = {"smtp_code": command.smtp_code, "detail": command.detail}
            log(f"mail.{status}", tenant=due.tenant, delivery=id_, **failed)

    async def _submit(self, tenant: str, command: Command) -> tuple[str, int]:
        """Execute a command on a delivery; return the delivery's status and attempts."""
        result = await self._system.submit(
            tenant,
            command,
            lambda delivery: f"{delivery.status} {delivery.attempts}".encode(),
        )
        if not isinstance(result, Accepted):
            raise CommandFailed(f"{type(command).__name__} was rejected: {result.code}")
        status, _, attempts = result.body.decode().partition(" ")
        return status, int(attempts)


def _relayed(delivery: Delivery, sent: Sent) -> RecordRelayed:
    return RecordRelayed(
        message_id=delivery.message_id,
        delivery_id=delivery.id,
        smtp_code=sent.code,
        detail=sent.detail,
    )
