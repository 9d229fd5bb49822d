"""What is said, on NATS and to those who catch up: CloudEvents 1.0 in structured JSON.

The body of an event is the same bytes however often and wherever it is said, so a duplicate can be
told by its id (``Nats-Msg-Id``) or by its bytes. Text that a user wrote stands in ``data`` and
nowhere else.
"""

from collections.abc import Sequence

import orjson

from quorate.domain.notifications import Notification, notifications
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import iso
from quorate.eventlog.hash_chain import public_event
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.serialization import upcast_data

OMITTED = {"omitted": True}


def log_entry(row: RecordedEvent) -> bytes:
    """An event of the log as a tenant sees it."""
    return _body(row, row.id, row.type, public_event(row))


def log_entry_omitted(row: RecordedEvent) -> bytes:
    """Stands in the place of an event that NATS does not take; the log has it."""
    return _body(row, row.id, row.type, OMITTED)


@record
class NotificationMessage:
    """A notification; its id is the event's, and unique among what its audience hears by this name."""

    notification: Notification
    id: str
    body: bytes


def notification_messages(row: RecordedEvent) -> Sequence[NotificationMessage]:
    """The notifications of an event, in the order in which they are said."""
    said: list[NotificationMessage] = []
    for notification in notifications(row.type, upcast_data(row.type, row.version, row.data)):
        alike = sum(_alike(notification, before.notification) for before in said)
        id_ = f"{row.id}.{alike}" if alike else row.id
        said.append(
            NotificationMessage(
                notification=notification,
                id=id_,
                body=_body(row, id_, notification.name, notification.facts),
            )
        )
    return said


def _alike(one: Notification, other: Notification) -> bool:
    return (one.audience, one.name) == (other.audience, other.name)


def notification_omitted(row: RecordedEvent, said: NotificationMessage) -> bytes:
    """Stands in the place of a notification that NATS does not take."""
    return _body(row, said.id, said.notification.name, OMITTED)


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
