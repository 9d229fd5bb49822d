"""What the processes of one service send each other."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from quorate.domain.shared.records import record
from quorate.eventlog.chores import Chore
from quorate.eventlog.envelopes import CommandEnvelope
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.remote.functions import pack, unpack

PackedEnvelope: TypeAlias = tuple[Any, ...]
_PLAIN = ("tenant", "actor", "command_id", "command", "idempotency")
_FLAGS = ("urgent", "in_order", "metered", "pausable")
_FUNCTIONS = ("render", "grant_in")


def pack_envelope(envelope: CommandEnvelope) -> PackedEnvelope:
    """Return an envelope as pickle can send it, without its trace."""
    return (
        *(getattr(envelope, name) for name in (*_PLAIN, *_FLAGS)),
        *(pack(getattr(envelope, name)) for name in _FUNCTIONS),
    )


def unpack_envelope(packed: PackedEnvelope) -> CommandEnvelope:
    names = (*_PLAIN, *_FLAGS, *_FUNCTIONS)
    fields: dict[str, Any] = dict(zip(names, packed, strict=True))
    for name in _FUNCTIONS:
        fields[name] = unpack(fields[name])
    return CommandEnvelope(**fields)


@record
class CommandRequest:
    """Execute a command; the result has the same number."""

    number: int
    command: PackedEnvelope


@record
class ChoreRequest:
    number: int
    chore: Chore


@record
class Result:
    """What a request returned, or the error that it raised."""

    number: int
    value: Any = None
    error: Exception | None = None


@record
class Commit:
    """Events that were committed, to all processes."""

    rows: Sequence[RecordedEvent]


@record
class WriterState:
    damage: str | None
    failing: bool
