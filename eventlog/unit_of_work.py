"""Decide the commands of one transaction, one after the other, at one time. No I/O happens here.

* What the commands read was loaded before. What they record is written after.
* Each command sees the changes of the commands before it in the same transaction.
* Events that are due among the instances that a command reads are recorded before its decision.
* A stored response that states a right in time is judged again when its request is repeated.
* A result is stored under its idempotency key only if the command recorded an event. A command that
  recorded none is decided again by a retry, which is as good as the first attempt.
* Contents are stored only if their command recorded events: never for a rejection or a repetition.
* A command that would record events is rejected when its tenant or agent has used up a daily quota.
* A pausable command is rejected while its tenant is paused: no event of it follows the pause. What
  is due is recorded, and a stored result is repeated unless it would grant something again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import orjson

from quorate.domain.identity.tenants import check_not_paused
from quorate.domain.registry import NOTIFYING_EVENTS, SCHEMA, recipients_of, stream_of
from quorate.domain.shared import daily_quotas
from quorate.domain.shared.aggregates import Event, Reads
from quorate.domain.shared.contents import (
    CONTENT_BYTES_MAX,
    Content,
    content_id_of,
    contents_of,
    handed_out,
)
from quorate.domain.shared.deadlines import due_events
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.quotas import UNLIMITED, Quotas, with_limits
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.envelopes import (
    KEY_REUSED,
    Accepted,
    CommandEnvelope,
    CommandResult,
    Idempotency,
    Rejected,
    is_same_request,
)
from quorate.eventlog.hash_chain import event_body, link
from quorate.eventlog.recorded_event import RecordedEvent, StreamHead
from quorate.eventlog.serialization import VERSIONS, encode, public

NewId: TypeAlias = Callable[[Timestamp], str]


class CommandCrashed(Exception):
    """A handler raised: the transaction must be repeated without this command."""

    def __init__(self, envelope: CommandEnvelope) -> None:
        super().__init__(type(envelope.command).__name__)
        self.envelope = envelope


@record
class Remembered:
    """A result that is stored under its idempotency key."""

    fingerprint: bytes
    answer: CommandResult


Scope: TypeAlias = tuple[str, str, str, str]


def scope_of(tenant: str, key: Idempotency) -> Scope:
    """Idempotency keys of different tenants, callers and commands are independent."""
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
        states: Mapping[str, TenantState],
        remembered: dict[Scope, Remembered],
        new_id: NewId,
        quotas: Quotas = UNLIMITED,
    ) -> None:
        self.now = now
        self.rows: list[RecordedEvent] = []
        self.contents: list[tuple[str, Content]] = []  # To store, each with its tenant.
        self.erased: list[tuple[str, str]] = []  # Tenants, and ids whose contents are deleted.
        self.to_remember: dict[Scope, Remembered] = {}
        self.to_replace: dict[Scope, Remembered] = {}  # Stored by an earlier transaction.
        self._window = window
        self._position = position
        self._heads = heads
        self._states = states
        self._remembered = remembered
        self._new_id = new_id
        self._quotas = quotas

    def execute(self, envelope: CommandEnvelope, reads: Reads) -> CommandResult:
        """Decide one command; raise CommandCrashed if its rules or its renderer raise."""
        try:
            return self._execute_once(envelope, reads)
        except Exception as error:
            raise CommandCrashed(envelope) from error

    def _execute_once(self, envelope: CommandEnvelope, reads: Reads) -> CommandResult:
        """Return the stored result if the idempotency key was used before."""
        if envelope.idempotency is None:
            self._record_due(envelope, reads)
            return self._decide(envelope)
        scope = scope_of(envelope.tenant, envelope.idempotency)
        known = self._remembered.get(scope)
        if known is None:
            self._record_due(envelope, reads)
            recorded = len(self.rows)
            result = self._decide(envelope)
            if len(self.rows) > recorded:
                known = Remembered(fingerprint=envelope.idempotency.fingerprint, answer=result)
                self._remembered[scope] = self.to_remember[scope] = known
            return result
        if is_same_request(known.fingerprint, envelope.idempotency.fingerprint):
            granted = grant_of(envelope, known)
            if granted is None:
                return replace(known.answer, replayed=True)
            return self._repeat(envelope, reads, scope, known, granted)
        sequence = self._heads[envelope.tenant].sequence
        return Rejected(code=KEY_REUSED, facts={}, sequence=sequence)

    def _record_due(self, envelope: CommandEnvelope, reads: Reads) -> None:
        state = self._states[envelope.tenant]
        self._record(envelope, state, due_events(reads, state, self.now))

    def _decide(self, envelope: CommandEnvelope) -> CommandResult:
        state, command = self._states[envelope.tenant], envelope.command
        context = self._context(envelope.tenant, state)
        try:
            if envelope.pausable:
                check_not_paused(state)
            events = command.decide(state, context)
        except DomainError as error:
            return self._reject(envelope, state, context, error)
        return self._accept(envelope, state, context, events)

    def _repeat(
        self,
        envelope: CommandEnvelope,
        reads: Reads,
        scope: Scope,
        known: Remembered,
        granted: Any,  # noqa: ANN401 - what the command granted.
    ) -> CommandResult:
        """Judge a stored response at the present time; another decision takes its place."""
        state: TenantState = self._states[envelope.tenant]
        command: Any = envelope.command
        self._record_due(envelope, reads)
        context = self._context(envelope.tenant, state)
        try:
            events = command.repeat(granted, state, context)
            if events and envelope.pausable:
                check_not_paused(state)
        except DomainError as error:
            return replace(self._reject(envelope, state, context, error), replayed=True)
        if events is None:
            return replace(known.answer, replayed=True)
        result = self._accept(envelope, state, context, events)
        if not events or isinstance(result, Rejected):
            return replace(result, replayed=True)
        target = self.to_remember if scope in self.to_remember else self.to_replace
        self._remembered[scope] = target[scope] = replace(known, answer=result)
        return result

    def _accept(
        self,
        envelope: CommandEnvelope,
        state: TenantState,
        context: DecisionContext,
        events: Sequence[Event],
    ) -> CommandResult:
        """Record the events, unless a daily quota forbids that."""
        try:
            self._check_usage(envelope, state, context, events)
        except daily_quotas.DailyQuotaExceeded as error:
            return self._rejected(envelope, error)
        recorded = len(self.rows)
        self._record(envelope, state, _with_reactions(state, events))
        if events and (contents := contents_of(envelope.command)):
            self._keep(envelope.tenant, contents, self.rows[recorded:])
        result = envelope.command.result(state, events)
        return Accepted(
            body=envelope.render(result),
            sequence=self._heads[envelope.tenant].sequence,
            contents_id=handed_out(envelope.command, result),
        )

    def _reject(
        self,
        envelope: CommandEnvelope,
        state: TenantState,
        context: DecisionContext,
        error: DomainError,
    ) -> Rejected:
        """Record the rejection if it has events, unless a daily quota forbids that."""
        try:
            self._check_usage(envelope, state, context, error.recorded)
        except daily_quotas.DailyQuotaExceeded as exceeded:
            return self._rejected(envelope, exceeded)
        self._record(envelope, state, error.recorded)
        return self._rejected(envelope, error)

    def _rejected(self, envelope: CommandEnvelope, error: DomainError) -> Rejected:
        sequence = self._heads[envelope.tenant].sequence
        return Rejected(code=error.code, facts=public(error.details), sequence=sequence)

    @staticmethod
    def _check_usage(
        envelope: CommandEnvelope,
        state: TenantState,
        context: DecisionContext,
        events: Sequence[Event],
    ) -> None:
        if events and envelope.metered:
            daily_quotas.check(
                state.usage, envelope.actor, context.quotas, context.now, urgent=envelope.urgent
            )

    def _context(self, tenant: str, state: TenantState) -> DecisionContext:
        sequence = self._heads[tenant].sequence + 1
        own = state.limits
        quotas = self._quotas if own is None else with_limits(self._quotas, own)
        return DecisionContext(now=self.now, sequence=sequence, window=self._window, quotas=quotas)

    def _record(
        self, envelope: CommandEnvelope, state: TenantState, events: Iterable[Event]
    ) -> None:
        for event in events:
            row = self._row(envelope, event)
            self._position = row.position
            self._heads[envelope.tenant] = StreamHead(sequence=row.sequence, hash=row.hash)
            self.rows.append(row)
            state.apply(event, self.now)
            if (erases := SCHEMA.erases.get(type(event))) is not None:
                self.erased.append((envelope.tenant, erases(event)))
            state.usage.add(row.actor, len(row.data), self.now)
            if row.type in NOTIFYING_EVENTS:
                recipients = recipients_of(row.type, orjson.loads(row.data))
                state.note_notified(recipients, row.sequence)

    def _keep(
        self, tenant: str, contents: Sequence[Content], rows: Sequence[RecordedEvent]
    ) -> None:
        """Keep the contents of a command; one without an event could never be verified."""
        ids = {content_id_of(row.stream) for row in rows}
        for content in contents:
            assert content.id in ids, f"no recorded event is of {content.id}"
            assert len(content.data) <= CONTENT_BYTES_MAX, f"{content.part} is too large"
            self.contents.append((tenant, content))

    def _row(self, envelope: CommandEnvelope, event: Event) -> RecordedEvent:
        head = self._heads[envelope.tenant]
        sequence = head.sequence + 1
        if (check := SCHEMA.checks.get(type(event))) is not None:
            check(event, sequence)
        type_ = type(event).__name__
        event_id, stream, data = self._new_id(self.now), stream_of(event), encode(event)
        body = event_body(
            sequence,
            event_id,
            stream,
            type_,
            VERSIONS[type_],
            self.now,
            envelope.actor,
            envelope.command_id,
            data,
        )
        return RecordedEvent(
            position=self._position + 1,
            tenant=envelope.tenant,
            sequence=sequence,
            id=event_id,
            stream=stream,
            type=type_,
            version=VERSIONS[type_],
            at=self.now,
            actor=envelope.actor,
            command_id=envelope.command_id,
            data=data,
            hash=link(head.hash, body),
        )


def grant_of(envelope: CommandEnvelope, known: Remembered | None) -> Any:  # noqa: ANN401
    """Return what the stored response to this request grants; None if it needs no judgement."""
    if known is None or envelope.grant_in is None or isinstance(known.answer, Rejected):
        return None
    return envelope.grant_in(known.answer.body)


def reads_of_repeat(envelope: CommandEnvelope, remembered: Mapping[Scope, Remembered]) -> Reads:
    """Return what the repetition of a command reads in addition."""
    if envelope.idempotency is None or not hasattr(envelope.command, "reads_of_repeat"):
        return ()
    granted = grant_of(envelope, remembered.get(scope_of(envelope.tenant, envelope.idempotency)))
    return () if granted is None else envelope.command.reads_of_repeat(granted)


def _with_reactions(state: TenantState, events: Iterable[Event]) -> Iterable[Event]:
    """Each event, and the events that other aggregates declare to follow from it."""
    for event in events:
        yield event
        yield from state.reactions_to(event)
