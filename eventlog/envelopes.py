"""Command envelopes and results, independent of the transport (HTTP or NATS)."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from quorate.domain.shared.contents import Contents
from quorate.domain.shared.records import record
from quorate.domain.shared.state import Command


@record
class Idempotency:
    """An idempotency key and the fingerprint of its request.

    The same key with another fingerprint is rejected (KEY_REUSED), if both fingerprints are of one
    version: a retry after an upgrade gets its response.
    """

    caller: str
    command: str
    key: str
    fingerprint: bytes  # A version, and the SHA-256 of the request; no version in old rows.


@record
class CommandEnvelope:
    """A command with its context.

    ``render`` makes the public response from the command's outcome and must not raise. ``urgent``
    commands may overtake others. Commands of an actor that are ``in_order`` keep their order. The
    daily quotas of the tenant and the actor bind only ``metered`` commands. A tenant that is paused
    rejects ``pausable`` commands.

    ``grant_in`` returns what a stored response of this command grants, or None if it grants nothing
    that can end. With it, the command is a ``RepeatableCommand``.
    """

    tenant: str
    actor: str
    command_id: str
    command: Command
    render: Callable[[Any], bytes]
    grant_in: Callable[[bytes], Any] | None = None
    idempotency: Idempotency | None = None
    urgent: bool = False
    in_order: bool = False
    metered: bool = False
    pausable: bool = False
    trace: Any = None  # Returned unchanged to the batch listener, for tracing.


@record
class Accepted:
    """The command was executed; ``sequence`` is the tenant's head after it.

    ``replayed``: an earlier request with the same idempotency key executed the command. This is its
    stored response, or what is left of the right that it stated.

    ``contents``: what the command hands out under ``contents_id``. None if it hands out nothing, or
    if it was not read with the command: for a replayed response, and for large contents.
    """

    body: bytes
    sequence: int
    replayed: bool = False
    contents_id: str | None = None
    contents: Contents | None = None


@record
class Rejected:
    """The command was rejected by a domain rule, with a stable ``code``."""

    code: str
    facts: Mapping[str, Any]
    sequence: int
    replayed: bool = False


def is_same_request(one: bytes, other: bytes) -> bool:
    """Compare two fingerprints; those of different versions cannot be compared."""
    return one == other or _version(one) != _version(other)


def _version(fingerprint: bytes) -> bytes:
    return fingerprint[:-DIGEST_BYTES]


CommandResult: TypeAlias = Accepted | Rejected
DIGEST_BYTES = 32
KEY_REUSED = "idempotency_key_reused"


class Unavailable(Exception):
    """The log cannot accept commands now.

    The command may have been executed; retry it with the same idempotency key.
    """


class CommandFailed(Exception):
    """The handler of this command raised an exception; no event of it was recorded."""
