"""Stored events: the event's data with its position, time, actor and hash."""

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp


@record
class RecordedEvent:
    """``position`` is global and internal; ``sequence`` is per tenant and public.

    ``body_text`` is not stored: the body of a message is added for its notification.
    """

    position: int
    tenant: str
    sequence: int
    id: str
    stream: str
    type: str
    version: int
    at: Timestamp
    actor: str
    command_id: str
    data: bytes  # Canonical JSON.
    hash: bytes
    body_text: str | None = None


@record
class StreamHead:
    """The head of a tenant's chain; the next event follows this sequence and hash."""

    sequence: int
    hash: bytes
