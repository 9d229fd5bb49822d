"""Notifications as the SDK gives them to an agent.

The results of all other operations are the response models of ``quorate.contracts``.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from quorate.contracts.event_log import EventInfo, EventsInfo
from quorate.domain.shared.records import record

if TYPE_CHECKING:  # The models of notifications are imported with the first notification.
    from quorate.contracts.notifications import NotificationData

Json: TypeAlias = Mapping[str, Any]
Config: TypeAlias = dict[str, bool | str]
GAP = "gap"
_RAW: Any = field(repr=False, compare=False)


def parse_time(text: str) -> datetime:
    """Return the timezone-aware datetime for a time in a response (RFC 3339)."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"The time has no UTC offset: {text}")
    return at


@record
class Notification:
    """A notification for one agent.

    * ``name``: the type without its prefix, such as ``lease_released``; docs/nats.md lists them.
    * ``sequence``: the position in the event log of the tenant; strictly increasing.
    * ``data``: the model of this notification, such as ``LeaseReleased``. Select with
      ``isinstance`` or ``match``. ``UnknownNotification`` keeps what this version does not know.
    * ``raw``: the JSON object as received; its member ``data`` has the JSON names.

    A notification whose data is a ``Gap`` reports a truncated range: those after ``data.after`` up
    to ``data.until`` are no longer kept. Query the present state then.
    """

    name: str
    sequence: int
    id: str | None  # None for a gap.
    time: datetime | None  # None for a gap.
    data: "NotificationData"
    raw: Json = _RAW

    @property
    def is_gap(self) -> bool:
        """Whether this is a truncated range instead of an event."""
        return self.name == GAP

    @classmethod
    def from_json(cls, json: Json) -> Self:
        from quorate.contracts.notifications import PREFIX, parse_notification  # noqa: PLC0415

        name = str(json["type"]).removeprefix(PREFIX)
        return cls(
            name=name,
            sequence=int(json["sequence"]),
            id=json["id"],
            time=parse_time(json["time"]),
            data=parse_notification(name, json["data"]),
            raw=json,
        )

    @classmethod
    def gap(cls, after: int, until: int) -> Self:
        """Make the notification of a truncated range; its ``raw`` has no id and no time."""
        from quorate.contracts.notifications import PREFIX, Gap  # noqa: PLC0415

        raw = {
            "type": PREFIX + GAP,
            "sequence": until,
            "data": {"after": after, "until": until},
        }
        data = Gap(after=after, until=until)
        return cls(name=GAP, sequence=until, id=None, time=None, data=data, raw=raw)


@record
class NotificationPage:
    """Notifications in ascending order; a gap is the first of them.

    ``next`` is the value of ``after`` for the next page. ``head`` is the last sequence of the log;
    the page is the last one when both are equal.
    """

    notifications: tuple[Notification, ...]
    next: int
    head: int
    log_id: str | None = None  # Of the log; None from a service that does not name it.
    raw: Json = _RAW

    @classmethod
    def from_json(cls, json: Json) -> Self:
        gap = json.get("gap")
        first = () if gap is None else (Notification.gap(gap["after"], gap["until"]),)
        return cls(
            notifications=(
                *first,
                *(Notification.from_json(each) for each in json["notifications"]),
            ),
            next=json["next"],
            head=json["head"],
            log_id=json.get("logId"),
            raw=json,
        )


def parse_events_page(json: Json) -> EventsInfo:
    """Parse a page of the event log; each event keeps its own JSON object as ``raw``.

    Raises ValueError if it is not from Quorate.
    """
    events = [EventInfo.from_json(event) for event in json["events"]]
    page = EventsInfo.from_json({**json, "events": []}).model_copy(update={"events": events})
    page._raw = json  # noqa: SLF001 - as ``from_json`` does.
    return page
