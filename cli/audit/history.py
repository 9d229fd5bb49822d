"""Replay an exported log into the state of its tenant, with the rules of the domain."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from quorate.cli.output.errors import Failure
from quorate.domain.coordination.leases import LEASES
from quorate.domain.registry import new_state
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp, instant

EVENTS_BETWEEN_PROGRESS = 1_000
EVENTS_BETWEEN_CLEANUPS = 50_000


class Until(NamedTuple):
    """The last event to apply, or the time to stop at; the default is the end of the file."""

    sequence: int | None = None
    at: Timestamp | None = None

    def covers(self, sequence: int, at: Timestamp) -> bool:
        if self.sequence is not None:
            return sequence <= self.sequence
        return self.at is None or at <= self.at


class History(NamedTuple):
    """State of a tenant after event ``sequence``, evaluated at the time ``at``."""

    tenant_state: TenantState
    sequence: int
    at: Timestamp


def parse_until(text: str) -> Until:
    """Parse a sequence number or a time with UTC offset; raises ValueError."""
    if text.isascii() and text.isdigit():
        return Until(sequence=int(text))
    return Until(at=instant(text))


def replay_events(
    events: Iterable[dict[str, Any]],
    until: Until,
    progress: Callable[[int], None] = lambda _: None,
) -> History:
    """Return the state after the last event that ``until`` covers; reads all events."""
    tenant_state = new_state()
    sequence, at = 0, until.at
    for count, event in enumerate(events, start=1):
        if count % EVENTS_BETWEEN_PROGRESS == 0:
            progress(count)
        recorded_at = _parse_time(event)
        if until.covers(event["sequence"], recorded_at):
            _apply(event, recorded_at, tenant_state)
            sequence = event["sequence"]
            at = recorded_at if until.at is None else until.at
        if count % EVENTS_BETWEEN_CLEANUPS == 0:
            _remove_ended_leases(tenant_state)
    if until.sequence is not None and sequence != until.sequence:
        raise Failure(f"Event {until.sequence} not found: the file ends with event {sequence}")
    if at is None:
        raise Failure("The file contains no events")
    return History(tenant_state=tenant_state, sequence=sequence, at=at)


def _parse_time(event: dict[str, Any]) -> Timestamp:
    try:
        return instant(event["at"])
    except ValueError as error:
        raise Failure(f"Event {event['sequence']} has no valid time") from error


def _apply(event: dict[str, Any], at: Timestamp, tenant_state: TenantState) -> None:
    from quorate.eventlog.serialization import UnknownEvent, read

    try:
        tenant_state.apply(read(event["type"], event["version"], event["data"]), at)
    except UnknownEvent as error:
        raise Failure(f"Event {event['sequence']}: {error}") from error
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        label = f"Event {event['sequence']}, {event['type']},"
        raise Failure(f"{label} is inconsistent with the events before it") from error


def _remove_ended_leases(tenant_state: TenantState) -> None:
    """Remove ended leases: no later event changes them, and no output shows them."""
    leases = tenant_state[LEASES]
    for lease_id in list(leases.changed):
        if leases[lease_id].status != "active":
            leases.forget(lease_id)
    tenant_state.clear_changes()
