"""Make the Internet message that the relay gets from a stored message and its thread."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from quorate.application.mail.outgoing_message import (
    OutgoingMessage,
    build_message,
    rfc_message_id,
)
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND
from quorate.projections.mail.outgoing import EarlierMessage, Outgoing


class CannotBeSent(Exception):
    """No attempt could succeed: the body was lost, or a value fits no header."""


class BodyErased(Exception):
    """There is nothing left to send."""


def make_message(outgoing: Outgoing) -> bytes:
    """Return the message; raises CannotBeSent and BodyErased.

    The same message always has the same bytes.
    """
    message = outgoing.message
    if outgoing.text is None:
        if message.erased_at is None:
            raise CannotBeSent("The body is missing from the database")
        raise BodyErased
    earlier = dict(_rfc_ids(outgoing.earlier))
    replied = earlier.pop(message.in_reply_to, None) if message.in_reply_to else None
    try:
        return build_message(
            OutgoingMessage(
                message_id=rfc_message_id(message.id, domain_of(message.from_address)),
                from_address=message.from_address,
                to=message.to,
                cc=message.cc,
                subject=message.subject,
                date=datetime.fromtimestamp(message.created_at / MILLISECONDS_PER_SECOND, UTC),
                text=outgoing.text,
                html=outgoing.html,
                in_reply_to=replied,
                references=[*earlier.values(), *([replied] if replied else [])],
                importance=message.importance,
            )
        )
    except ValueError as error:
        raise CannotBeSent(f"The message cannot be written: {error}") from error


def envelope_address(address: str, contact_key: str) -> str:
    """Return a recipient as SMTP needs it: as it was written, its domain as A-labels."""
    return f"{address.rpartition('@')[0]}@{domain_of(contact_key)}"


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]


def _rfc_ids(messages: Sequence[EarlierMessage]) -> Iterator[tuple[str, str]]:
    """Yield the ids of messages and their Message-IDs; one from outside may have none.

    The domain of our own is that of their sender: it may have changed since.
    """
    for one in messages:
        if one.is_own:
            yield one.id, rfc_message_id(one.id, domain_of(one.from_address))
        elif one.rfc_message_id is not None:
            yield one.id, one.rfc_message_id
