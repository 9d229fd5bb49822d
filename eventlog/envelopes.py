"""A command on its way into the log, and the answer that comes back.

Both are the same whatever brought the command here: HTTP today, NATS next.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from quorate.domain.commands import Command
from quorate.domain.shared.records import record


@record
class Idempotency:
    """The caller's promise that the same key means the same request."""

    caller: str
    command: str
    key: str
    fingerprint: bytes  # SHA-256 of what was asked.


@record
class CommandEnvelope:
    """``render`` makes the public answer from the command's outcome; it must not fail.

    ``urgent`` orders may overtake others; an actor's orders that are to be carried out ``in_turn``
    don't overtake one another.
    """

    tenant: str
    actor: str
    command_id: str
    command: Command
    render: Callable[[Any], bytes]
    idempotency: Idempotency | None = None
    urgent: bool = False
    in_turn: bool = False
    trace: Any = None  # Whatever the one who asked wants to find again in the batch.


@record
class Accepted:
    """The command was carried out; ``sequence`` is the tenant's head at that moment.

    ``replayed``: this is the answer that was given before, under the same idempotency key.
    """

    body: bytes
    sequence: int
    replayed: bool = False


@record
class Rejected:
    """The command was refused, for a reason with a stable ``code``."""

    code: str
    facts: Mapping[str, Any]
    sequence: int
    replayed: bool = False


CommandResult: TypeAlias = Accepted | Rejected
KEY_REUSED = "idempotency_key_reused"


class Unavailable(Exception):
    """The log cannot take commands now. Whether this one was taken is unknown: ask again."""


class CommandFailed(Exception):
    """Our own code failed on this command; nothing of it was recorded."""
