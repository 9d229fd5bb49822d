"""Every notification has a model, and the models accept what a newer service adds."""

from dataclasses import fields
from typing import Any

import orjson
import pytest

from quorate.contracts.examples import NOTIFICATION_DATA, cloud_event
from quorate.contracts.notifications import (
    NOTIFICATION_TYPES,
    LeaseConflict,
    LeaseReleased,
    MailNotificationData,
    MessageReceived,
    NotificationEvent,
    Omitted,
    UnknownNotification,
    parse_notification,
)
from quorate.domain.registry import (
    EVENT_TYPES,
    NOTIFICATION_NAMES,
    NOTIFYING_EVENTS,
    notifications_of,
)
from quorate.domain.shared.notifications import Notification
from quorate.eventlog.serialization import VERSIONS
from tests.support.paths import GOLDEN_EVENTS


def stored_event(type_: str) -> dict[str, Any]:
    data: dict[str, Any] = orjson.loads(
        (GOLDEN_EVENTS / f"{type_}.v{VERSIONS[type_]}.json").read_bytes()
    )
    if "contenders" in {field.name for field in fields(EVENT_TYPES[type_])}:
        return data | {"contenders": ["agent_x"], "contactEmail": "user@example.com"}
    return data


def stored_notifications() -> list[Notification]:
    return [
        notification
        for type_ in sorted(NOTIFYING_EVENTS)
        for notification in notifications_of(type_, stored_event(type_))
    ]


def test_every_notification_has_a_model() -> None:
    assert set(NOTIFICATION_TYPES) == NOTIFICATION_NAMES
    assert {one.name for one in stored_notifications()} == NOTIFICATION_NAMES
    pascal = {name: name.title().replace("_", "") for name in NOTIFICATION_TYPES}
    assert {name: one.__name__ for name, one in NOTIFICATION_TYPES.items()} == pascal


@pytest.mark.parametrize("notification", stored_notifications(), ids=lambda one: one.name)
def test_model_has_exactly_the_published_fields(notification: Notification) -> None:
    parsed = parse_notification(notification.name, notification.data)

    assert type(parsed) is NOTIFICATION_TYPES[notification.name]
    dumped = parsed.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert dumped == dict(notification.data)


@pytest.mark.parametrize("name", NOTIFICATION_TYPES)
def test_model_accepts_the_example(name: str) -> None:
    parsed = parse_notification(name, NOTIFICATION_DATA[name])

    assert (
        parsed.model_dump(mode="json", by_alias=True, exclude_unset=True) == NOTIFICATION_DATA[name]
    )


def test_fields_have_python_names() -> None:
    parsed = parse_notification("lease_conflict", NOTIFICATION_DATA["lease_conflict"])

    assert isinstance(parsed, LeaseConflict)
    assert (
        parsed.lease_holder.agent_name
        == NOTIFICATION_DATA["lease_conflict"]["leaseHolder"]["agentName"]
    )


def test_unknown_field_is_ignored() -> None:
    data = NOTIFICATION_DATA["lease_released"] | {"addedLater": 1}

    assert isinstance(parse_notification("lease_released", data), LeaseReleased)


@pytest.mark.parametrize(
    ("name", "data"),
    [("added_later", {"a": 1}), ("send_blocked", {"reason": "added_later"})],
)
def test_unknown_notification_keeps_its_data(name: str, data: dict[str, Any]) -> None:
    assert parse_notification(name, data) == UnknownNotification(name=name, data=data)


def test_omitted_data_is_recognized() -> None:
    assert parse_notification("lease_conflict", {"omitted": True}) == Omitted(omitted=True)


def test_event_names_and_parses_its_data() -> None:
    event = NotificationEvent.model_validate(
        cloud_event("lease_conflict", NOTIFICATION_DATA["lease_conflict"])
    )

    assert event.name == "lease_conflict"
    assert isinstance(event.parse_data(), LeaseConflict)


def test_optional_fields_are_not_described_as_null() -> None:
    for model in NOTIFICATION_TYPES.values():
        if not issubclass(model, MailNotificationData):
            assert "null" not in str(model.model_json_schema())


def test_mail_has_snake_case_names_and_null_for_what_is_not_set() -> None:
    schema = MessageReceived.model_json_schema()["properties"]

    assert {"message_id", "body_text", "in_reply_to"} <= schema.keys()
    assert {"type": "null"} in schema["body_text"]["anyOf"]
