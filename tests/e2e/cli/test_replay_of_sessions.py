"""`quorate replay` prints presets, sessions, tasks, lists and schedules as the HTTP API does."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from quorate.application.sessions.session_rendering import render_session
from quorate.application.sessions.task_texts import render_task
from quorate.cli.audit.history import History, Until, replay_events
from quorate.cli.output.tenant_snapshot import take_snapshot
from quorate.contracts.sessions.presets import PresetInfo
from quorate.contracts.sessions.schedules import ScheduleInfo
from quorate.contracts.sessions.task_lists import ListTask
from quorate.domain.sessions.sessions import SESSIONS
from quorate.domain.sessions.tasks import TASKS
from tests.e2e.cli.conftest import RecordedLog, Run
from tests.support.paths import GOLDEN_EVENTS

LOG = GOLDEN_EVENTS / "log.3.jsonl"  # It has every type of event.
# Texts, which are not in the log; and what depends on the time of the request.
NOT_OF_TASKS = {"task", "context", "text", "inputs", "artifacts", "elapsed_secs"}


@pytest.fixture(scope="module")
def history() -> History:
    """The state after the golden log."""
    return replay_events(map(orjson.loads, LOG.read_bytes().splitlines()), Until())


@pytest.fixture(scope="module")
def found(history: History) -> dict[str, Any]:
    return take_snapshot(history)


def test_sessions_are_those_of_the_api(history: History, found: dict[str, Any]) -> None:
    rendered = [
        orjson.loads(orjson.dumps(render_session(one)))
        for one in history.tenant_state[SESSIONS].values()
        if one.deleted_at is None
    ]

    assert sorted(found["sessions"], key=orjson.dumps) == sorted(rendered, key=orjson.dumps)
    assert rendered


def test_tasks_are_those_of_the_api_without_texts(history: History, found: dict[str, Any]) -> None:
    rendered = [
        render_task(one, {}, history.at, has_result=False)
        for one in sorted(history.tenant_state[TASKS].values(), key=lambda one: one.sequence)
        if not one.is_erased
    ]

    assert found["tasks"] == [
        {name: value for name, value in one.items() if name not in NOT_OF_TASKS} for one in rendered
    ]
    assert rendered


def test_presets_items_and_schedules_have_the_fields_of_the_api(
    found: dict[str, Any], recorded_log: RecordedLog
) -> None:
    recorded = take_snapshot(replay_events(recorded_log.events, Until()))
    items = [item for one in recorded["taskLists"] for item in one["tasks"]]
    expected = (
        (found["presets"], set(PresetInfo.model_fields) - {"hints"}),
        (items, set(ListTask.model_fields)),
        (recorded["schedules"], set(ScheduleInfo.model_fields) - {"payload"}),
    )

    for printed, names in expected:
        assert printed
        assert {frozenset(one) for one in printed} == {frozenset(names)}


def test_removed_ones_are_not_printed(found: dict[str, Any]) -> None:
    assert "old" not in [one["name"] for one in found["presets"]]
    assert found["taskLists"] == found["schedules"] == []  # The log ends with their deletion.


def test_tables_name_each_of_them(run: Run, log: Path) -> None:
    golden, recorded = run("replay", LOG), run("replay", log)

    assert golden.exit_code == recorded.exit_code == 0
    for result, titles in (
        (golden, ("Presets", "Sessions", "Tasks")),
        (recorded, ("Task lists", "Schedules")),
    ):
        lines = result.stdout.splitlines()
        for title in titles:
            assert any(line.strip().startswith(title) for line in lines)
            assert f"{title}: none" not in lines
