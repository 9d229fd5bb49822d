"""What is said on NATS: CloudEvents 1.0 in structured JSON.

The body of an event is the same bytes however often it is said, so a duplicate can be told by its
id (``Nats-Msg-Id``) or by its bytes. Text that a user wrote stands in ``data`` and nowhere else.
"""

import orjson

from quorate.domain.instants import iso
from quorate.domain.notices import Notice
from quorate.eventlog.chain import public_event
from quorate.eventlog.recorded import Recorded

OMITTED = {"omitted": True}


def log_entry(row: Recorded) -> bytes:
    """An event of the log as a tenant sees it."""
    return _body(row, row.id, row.type, public_event(row))


def log_entry_omitted(row: Recorded) -> bytes:
    """Stands in the place of an event that NATS does not take; the log has it."""
    return _body(row, row.id, row.type, OMITTED)


def notice_said(row: Recorded, id_: str, notice: Notice) -> bytes:
    return _body(row, id_, notice.name, notice.facts)


def notice_omitted(row: Recorded, id_: str, notice: Notice) -> bytes:
    return _body(row, id_, notice.name, OMITTED)


def _body(row: Recorded, id_: str, type_: str, data: object) -> bytes:
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
