"""One batch: commands decided one after the other, at one time, in one transaction.

No I/O happens here. What the batch names was loaded before, what it decided is written after.
Each command sees what those before it in the batch brought about.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import orjson

from quorate.domain import deadlines
from quorate.domain.commands import Names, decide, outcome
from quorate.domain.coordination.leases import LeaseAcquired
from quorate.domain.events import Event, stream_of
from quorate.domain.notifications import NOTICED_TYPES, concerned
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.quotas import UNLIMITED, Quotas
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.domain.tenant_state import DecisionContext, TenantState
from quorate.eventlog.envelopes import (
    KEY_REUSED,
    Accepted,
    Answer,
    CommandEnvelope,
    Idempotency,
    Rejected,
)
from quorate.eventlog.hash_chain import hashed, link
from quorate.eventlog.recorded_event import RecordedEvent, StreamHead
from quorate.eventlog.serialization import VERSIONS, encode, public

NewId: TypeAlias = Callable[[Timestamp], str]


class CommandCrashed(Exception):
    """Our own code raised on this order: the batch must be done again without it."""

    def __init__(self, order: CommandEnvelope) -> None:
        super().__init__(type(order.command).__name__)
        self.order = order


@record
class Remembered:
    """An answer that was given before, under its idempotency key."""

    fingerprint: bytes
    answer: Answer


Scope: TypeAlias = tuple[str, str, str, str]


def scope_of(tenant: str, key: Idempotency) -> Scope:
    """Keys of different tenants, callers and commands know nothing of each other."""
    return (tenant, key.caller, key.command, key.key)


class UnitOfWork:
    """The working state of one transaction."""

    def __init__(
        self,
        *,
        now: Timestamp,
        window: int,
        position: int,
        heads: dict[str, StreamHead],
        tenant_states: Mapping[str, TenantState],
        remembered: dict[Scope, Remembered],
        new_id: NewId,
        quotas: Quotas = UNLIMITED,
    ) -> None:
        self.now = now
        self.rows: list[RecordedEvent] = []
        self.to_remember: dict[Scope, Remembered] = {}
        self._window = window
        self._position = position
        self._heads = heads
        self._situations = tenant_states
        self._remembered = remembered
        self._new_id = new_id
        self._quotas = quotas

    def take(self, order: CommandEnvelope, about: Names) -> Answer:
        """Decide one order; raises Spoiled when the rules or the renderer break down."""
        try:
            return self._once(order, about)
        except Exception as error:
            raise CommandCrashed(order) from error

    def _once(self, order: CommandEnvelope, about: Names) -> Answer:
        if order.idempotency is None:
            return self._decide(order, about)
        scope = scope_of(order.tenant, order.idempotency)
        known = self._remembered.get(scope)
        if known is None:
            answer = self._decide(order, about)
            known = Remembered(fingerprint=order.idempotency.fingerprint, answer=answer)
            self._remembered[scope] = self.to_remember[scope] = known
            return answer
        if known.fingerprint == order.idempotency.fingerprint:
            return replace(known.answer, replayed=True)
        return Rejected(code=KEY_REUSED, facts={}, sequence=self._heads[order.tenant].sequence)

    def _decide(self, order: CommandEnvelope, about: Names) -> Answer:
        tenant_state = self._situations[order.tenant]
        self._record(order, tenant_state, deadlines.settle(about, tenant_state, self.now))
        try:
            events = decide(order.command, tenant_state, self._moment(order.tenant))
        except DomainError as refusal:
            self._record(order, tenant_state, refusal.recorded)
            return Rejected(
                code=refusal.code,
                facts=public(refusal.facts),
                sequence=self._heads[order.tenant].sequence,
            )
        self._record(order, tenant_state, events)
        body = order.render(outcome(order.command, tenant_state, events))
        return Accepted(body=body, sequence=self._heads[order.tenant].sequence)

    def _moment(self, tenant: str) -> DecisionContext:
        sequence = self._heads[tenant].sequence + 1
        return DecisionContext(
            now=self.now, sequence=sequence, window=self._window, quotas=self._quotas
        )

    def _record(
        self, order: CommandEnvelope, tenant_state: TenantState, events: Sequence[Event]
    ) -> None:
        for event in events:
            row = self._row(order, event)
            self._position = row.position
            self._heads[order.tenant] = StreamHead(sequence=row.sequence, hash=row.hash)
            self.rows.append(row)
            tenant_state.apply(event, self.now)
            if row.type in NOTICED_TYPES:
                tenant_state.tell(concerned(row.type, orjson.loads(row.data)), row.sequence)

    def _row(self, order: CommandEnvelope, event: Event) -> RecordedEvent:
        head = self._heads[order.tenant]
        sequence = head.sequence + 1
        if isinstance(event, LeaseAcquired) and event.fence != sequence:
            message = f"fence {event.fence} is not the sequence {sequence} of its grant"
            raise AssertionError(message)
        type_ = type(event).__name__
        event_id, stream, data = self._new_id(self.now), stream_of(event), encode(event)
        body = hashed(
            sequence,
            event_id,
            stream,
            type_,
            VERSIONS[type_],
            self.now,
            order.actor,
            order.command_id,
            data,
        )
        return RecordedEvent(
            position=self._position + 1,
            tenant=order.tenant,
            sequence=sequence,
            id=event_id,
            stream=stream,
            type=type_,
            version=VERSIONS[type_],
            at=self.now,
            actor=order.actor,
            command_id=order.command_id,
            data=data,
            hash=link(head.hash, body),
        )
