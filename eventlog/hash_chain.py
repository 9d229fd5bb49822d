"""Hash chain: each event's hash covers the event and, through its predecessor, all earlier ones.

* ``hash = SHA-256(previous hash of the same tenant || canonical JSON of the event without
  "hash")``; the first event follows 32 zero bytes.
* An exported file can be verified without any other data.
* A truncated or rewritten log is detected with the hash of one event that was stored elsewhere.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import orjson

from quorate.domain.shared.timestamps import Timestamp, iso
from quorate.eventlog.recorded_event import RecordedEvent, StreamHead
from quorate.eventlog.serialization import canonical

GENESIS = StreamHead(sequence=0, hash=bytes(hashlib.sha256().digest_size))
EVENT_FIELDS = frozenset(
    {"sequence", "id", "stream", "type", "version", "at", "actor", "commandId", "data", "hash"}
)


@dataclass(eq=False)
class ChainBroken(Exception):
    """The first event, by sequence, at which the chain is corrupted."""

    sequence: int
    reason: str

    def __str__(self) -> str:
        return f"event {self.sequence}: {self.reason}"


def link(previous: bytes, body: Mapping[str, Any]) -> bytes:
    """Return the hash of an event whose public form, without its hash, is ``body``."""
    return hashlib.sha256(previous + canonical(body)).digest()


def event_body(  # noqa: PLR0917 - the fields of an event in their order.
    sequence: int,
    event_id: str,
    stream: str,
    type_: str,
    version: int,
    at: Timestamp,
    actor: str,
    command_id: str,
    data: bytes,
) -> dict[str, Any]:
    """Return the part of an event that its hash covers, with public field names."""
    return {
        "sequence": sequence,
        "id": event_id,
        "stream": stream,
        "type": type_,
        "version": version,
        "at": iso(at),
        "actor": actor,
        "commandId": command_id,
        "data": orjson.Fragment(data),
    }


_HASHED = attrgetter(
    "sequence", "id", "stream", "type", "version", "at", "actor", "command_id", "data"
)


def public_event(event: RecordedEvent) -> dict[str, Any]:
    """Return an event as it appears over HTTP and in exports."""
    return event_body(*_HASHED(event)) | {"hash": event.hash.hex()}


def verify_chain(events: Iterable[RecordedEvent], after: StreamHead = GENESIS) -> StreamHead:
    """Verify one tenant's events from ``after`` on and return their head; raises ChainBroken."""
    head = after
    for event in events:
        if event.sequence != head.sequence + 1:
            raise ChainBroken(event.sequence, f"follows event {head.sequence}: events are missing")
        if not hmac.compare_digest(link(head.hash, event_body(*_HASHED(event))), event.hash):
            raise ChainBroken(event.sequence, "its content or its predecessor was changed")
        head = StreamHead(sequence=event.sequence, hash=event.hash)
    return head


def verify_exported_event(event: dict[str, Any], after: StreamHead) -> StreamHead:
    """Verify one exported event against its predecessor; raises ChainBroken."""
    sequence = event.get("sequence")
    if type(sequence) is not int or sequence != after.sequence + 1:
        raise ChainBroken(after.sequence + 1, f"is missing: found {sequence!r} in its place")
    if set(event) != EVENT_FIELDS:
        raise ChainBroken(sequence, "has missing or additional fields")
    expected = link(after.hash, {name: event[name] for name in event if name != "hash"})
    if event["hash"] != expected.hex():
        raise ChainBroken(sequence, "its content or its predecessor was changed")
    return StreamHead(sequence=sequence, hash=expected)
