"""An exported log folded into one tenant's situation, with the domain's own rules and no others."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from quorate.cli.output.errors import Failure
from quorate.domain.shared.timestamps import Timestamp, instant
from quorate.domain.tenant_state import TenantState, Touched

EVENTS_BETWEEN_PROGRESS = 1_000
EVENTS_BETWEEN_CLEARINGS = 50_000


class Until(NamedTuple):
    """The last event to look at, or the time to stop at; neither is the end of the file."""

    sequence: int | None = None
    at: Timestamp | None = None

    def covers(self, sequence: int, at: Timestamp) -> bool:
        if self.sequence is not None:
            return sequence <= self.sequence
        return self.at is None or at <= self.at


class History(NamedTuple):
    """One tenant as its log tells it up to ``sequence``, to be judged at ``at``."""

    tenant_state: TenantState
    sequence: int
    at: Timestamp


def until(text: str) -> Until:
    """A sequence, or a time with its offset; raises ValueError for anything else."""
    if text.isascii() and text.isdigit():
        return Until(sequence=int(text))
    return Until(at=instant(text))


def fold(
    events: Iterable[dict[str, Any]],
    until: Until,
    progress: Callable[[int], None] = lambda _: None,
) -> History:
    """The situation after the last event that ``until`` covers; reads, and so checks, all."""
    tenant_state = TenantState()
    sequence, at = 0, until.at
    for count, event in enumerate(events, start=1):
        if count % EVENTS_BETWEEN_PROGRESS == 0:
            progress(count)
        recorded_at = _time(event)
        if until.covers(event["sequence"], recorded_at):
            _apply(event, recorded_at, tenant_state)
            sequence = event["sequence"]
            at = recorded_at if until.at is None else until.at
        if count % EVENTS_BETWEEN_CLEARINGS == 0:
            _forget_ended(tenant_state)
    if until.sequence is not None and sequence != until.sequence:
        raise Failure(f"There is no event {until.sequence}: the file ends with event {sequence}")
    if at is None:
        raise Failure("The file holds no events")
    return History(tenant_state=tenant_state, sequence=sequence, at=at)


def _time(event: dict[str, Any]) -> Timestamp:
    try:
        return instant(event["at"])
    except ValueError as error:
        raise Failure(f"Event {event['sequence']} bears no time that can be read") from error


def _apply(event: dict[str, Any], at: Timestamp, tenant_state: TenantState) -> None:
    from quorate.eventlog.serialization import UnknownEvent, read

    try:
        tenant_state.apply(read(event["type"], event["version"], event["data"]), at)
    except UnknownEvent as error:
        raise Failure(f"Event {event['sequence']}: {error}") from error
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"Event {event['sequence']}, {event['type']},"
        raise Failure(f"{what} does not follow from the events before it") from error


def _forget_ended(tenant_state: TenantState) -> None:
    """No later event can change an ended lease, and nobody asks for it here."""
    for lease_id in tenant_state.touched.leases:
        if tenant_state.leases[lease_id].status != "active":
            del tenant_state.leases[lease_id]
    tenant_state.touched = Touched()
