"""Encode events and notifications as CloudEvents 1.0 in structured JSON, for NATS and for HTTP.

* The body of an event is the same bytes each time it is published or read. A receiver recognizes a
  duplicate by its id (``Nats-Msg-Id``) or by its bytes.
* The body of a message is part of its notification for as long as it exists: ``body_text`` of mail,
  ``content`` of sessions.
* Text that a user wrote appears in ``data`` only.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from quorate.domain.mail.notifications import BODY_EVENT
from quorate.domain.registry import notifications_of
from quorate.domain.sessions.notifications import SESSION_BODY_EVENT
from quorate.domain.sessions.session_messages import TEXT_PART
from quorate.domain.shared.notifications import Data, Notification
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import iso
from quorate.eventlog.hash_chain import public_event
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.serialization import upcast_data

OMITTED = {"omitted": True}


def log_entry(row: RecordedEvent) -> bytes:
    """Return the message for an event of a tenant's log."""
    return _body(row, row.id, row.type, public_event(row))


def log_entry_omitted(row: RecordedEvent) -> bytes:
    """Return the placeholder for an event that NATS does not accept; the log contains the event."""
    return _body(row, row.id, row.type, OMITTED)


@record
class NotificationMessage:
    """A notification and its body.

    The id is the event's id. It is unique among the notifications of this name and audience.
    """

    notification: Notification
    id: str
    body: bytes


def notification_messages(row: RecordedEvent) -> Sequence[NotificationMessage]:
    """Return the notifications of an event, in the order in which they are published."""
    messages: list[NotificationMessage] = []
    for notification in notifications_of(row.type, upcast_data(row.type, row.version, row.data)):
        same = sum(_is_same_kind(notification, earlier.notification) for earlier in messages)
        id_ = f"{row.id}.{same}" if same else row.id
        messages.append(
            NotificationMessage(
                notification=notification,
                id=id_,
                body=_body(row, id_, notification.name, _data(row, notification)),
            )
        )
    return messages


def _data(row: RecordedEvent, notification: Notification) -> Data:
    if row.type == BODY_EVENT:
        return {**notification.data, "body_text": row.body_text}
    if row.type == SESSION_BODY_EVENT:
        return {**notification.data, "content": _content(row)}
    return notification.data


def _content(row: RecordedEvent) -> Any:  # noqa: ANN401 - a text, or the value of a JSON body.
    if row.body_text is None:
        return None
    (ref,) = orjson.loads(row.data)["contents"]
    return row.body_text if ref["part"] == TEXT_PART else orjson.loads(row.body_text)


def _is_same_kind(one: Notification, other: Notification) -> bool:
    return (one.audience, one.name) == (other.audience, other.name)


def notification_omitted(row: RecordedEvent, message: NotificationMessage) -> bytes:
    """Return the placeholder for a notification that NATS does not accept."""
    return _body(row, message.id, message.notification.name, OMITTED)


def _body(row: RecordedEvent, id_: str, type_: str, data: object) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": id_,
            "source": f"quorate/{row.tenant}",
            "type": f"quorate.{type_}",
            "time": iso(row.at),
            "datacontenttype": "application/json",
            "sequence": row.sequence,
            "data": data,
        }
    )
