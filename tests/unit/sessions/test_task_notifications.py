"""Each event of tasks and lists notifies the agents that it concerns, and no other agent."""

import json
from typing import Any

import pytest

from quorate.domain.registry import notifications_of
from quorate.domain.sessions.list_items import ListItemDeleted
from quorate.domain.sessions.task_events import (
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TaskOffered,
    TaskProgressed,
)
from quorate.domain.shared.aggregates import Event
from quorate.domain.shared.notifications import ToAll
from quorate.eventlog.serialization import encode
from tests.unit.support.sample_commands import id_of

ANN, BOB, CID = id_of("ann"), id_of("bob"), id_of("cid")
TASK: dict[str, Any] = {"task_id": "task_1", "spawner_id": ANN}
CLAIM: dict[str, Any] = {**TASK, "worker_id": BOB, "fence": 7}
FINISHED, CANCELLED = (ANN, "task_finished"), (BOB, "task_cancelled")


def notified(event: Event) -> list[tuple[str, str]]:
    data = json.loads(encode(event))
    found = notifications_of(type(event).__name__, data)
    return [(one.recipient, one.name) for one in found]


def test_offer_is_for_all_agents_and_has_no_text() -> None:
    event = TaskOffered(task_id="task_1", preset="coder", attempts=1)
    [found] = notifications_of("TaskOffered", json.loads(encode(event)))

    assert found.audience == ToAll()
    assert found.data == {"task_id": "task_1", "preset": "coder"}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (TaskProgressed(**CLAIM, percent=40), [(ANN, "task_progress")]),
        (TaskCompleted(**CLAIM, content_id="result_1", contents=()), [FINISHED]),
        (TaskFailed(**CLAIM, reason="failed", error="no"), [FINISHED]),
        (TaskFailed(**CLAIM, reason="rejected", error="no"), [FINISHED]),
        (TaskFailed(**CLAIM, reason="timed_out", error="late"), [FINISHED, CANCELLED]),
        (TaskFailed(**TASK, reason="timed_out", error="late"), [FINISHED]),
        (TaskCanceled(**CLAIM), [FINISHED, CANCELLED]),
        (TaskCanceled(**TASK), [FINISHED]),
    ],
    ids=lambda one: type(one).__name__ if not isinstance(one, list) else str(len(one)),
)
def test_spawner_is_notified_and_a_worker_that_must_stop(
    event: Event, expected: list[tuple[str, str]]
) -> None:
    assert notified(event) == expected


def test_change_of_a_list_notifies_its_followers_only() -> None:
    event = ListItemDeleted(
        list_id="weekly",
        item_id="item_1",
        number=1,
        version=3,
        subject="Write",
        agent_id=ANN,
        notified=(BOB, CID),
    )

    assert notified(event) == [(BOB, "list_item_changed"), (CID, "list_item_changed")]
