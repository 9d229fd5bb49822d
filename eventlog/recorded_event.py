"""An event as the log holds it: the fact, and when, where, by whom and in which order."""

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp


@record
class RecordedEvent:
    """``position`` is global and stays inside; a tenant sees its own ``sequence``."""

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


@record
class StreamHead:
    """Where a tenant's log ends: the next event follows this sequence and this hash."""

    sequence: int
    hash: bytes
