"""Every change of stored events is detected."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest

from quorate.eventlog import event_store as log_module
from quorate.eventlog.event_store import LogCorrupted
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable
from tests.conformance.eventlog import golden_commands
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT, Stage, ValueRejected
from tests.unit.support.sample_commands import register

COLUMNS: Mapping[str, Callable[[RecordedEvent], Any]] = {
    "position": lambda event: event.position + 1_000,
    "tenant": lambda _: "mallory",
    "sequence": lambda event: event.sequence + 1_000,
    "id": lambda event: event.id.replace("8000", "8001"),
    "stream": lambda event: event.stream + "x",
    "type": lambda event: "HeartbeatReceived" if event.type != "HeartbeatReceived" else "VoteCast",
    "version": lambda event: event.version + 1,
    "at": lambda event: event.at + 1,
    "actor": lambda _: "mallory",
    "command_id": lambda event: event.command_id.replace("8000", "8001"),
    "data": lambda event: event.data.decode()[:-1] + ',"more":1}',
    "hash": lambda event: bytes([event.hash[0] ^ 1]) + event.hash[1:],
}
IMPOSSIBLE: Sequence[tuple[str, Any]] = [
    ("at", 2**62),
    ("at", -(2**62)),
    ("at", "yesterday"),
    ("data", b"\xff\x00"),
    ("data", "not JSON"),
    ("data", ""),
    ("hash", "text"),
    ("hash", b""),
    ("sequence", "one"),
    ("version", 1.5),
    ("version", 2**62),
    ("type", ""),
    ("actor", b"blob"),
]


CHANGED_EACH = 6  # Each column is changed in every sixth event; columns take turns.


async def record_events(stage: Stage) -> list[RecordedEvent]:
    await golden_commands.tell(stage)
    await stage.create_agents("ann", "bob", tenant=OTHER_TENANT)
    return await stage.events()


def last_of(tenant: str, events: Sequence[RecordedEvent]) -> int:
    """Return the last sequence of a tenant; that of the first tenant is its position too."""
    return max(event.sequence for event in events if event.tenant == tenant)


def _setting(column: str, key: str) -> str:
    return f"UPDATE events SET {column} = ? WHERE {key} = ?"  # noqa: S608 - names of columns.


async def verify(stage: Stage) -> None:
    await stage.log.verify_range(0, await stage.log.committed_head())


async def test_unchanged_log_verifies(stage: Stage) -> None:
    events = await record_events(stage)
    await verify(stage)
    await stage.log.verify_tail()
    for after in range(len(events)):
        await stage.log.verify_range(after, len(events))


@pytest.mark.parametrize("column", COLUMNS)
async def test_changed_cell_is_detected(stage: Stage, column: str) -> None:
    events = await record_events(stage)
    first = list(COLUMNS).index(column) % CHANGED_EACH
    for event in (events[0], *events[first + 1 : -1 : CHANGED_EACH], events[-1]):
        was = event.data.decode() if column == "data" else getattr(event, column)
        now = COLUMNS[column](event)
        assert was != now
        stage.platform.overwrite(_setting(column, "id"), now, event.id)
        with pytest.raises(LogCorrupted):
            await verify(stage)
        stage.platform.overwrite(_setting(column, "id"), was, event.id)
        if column == "id":
            stage.platform.overwrite("UPDATE events SET id = ? WHERE id = ?", was, now)
    await verify(stage)


@pytest.mark.parametrize(("column", "value"), IMPOSSIBLE)
async def test_invalid_value_is_detected(
    stage: Stage,
    column: str,
    value: Any,  # noqa: ANN401 - whatever the database takes.
) -> None:
    """Some values cannot be read; typed columns reject most of them."""
    await record_events(stage)
    with suppress(ValueRejected):
        stage.platform.overwrite(_setting(column, "position"), value, 20)
        with pytest.raises((LogCorrupted, DatabaseUnavailable)):
            await verify(stage)


@pytest.mark.parametrize("position", [1, 15, 31, 32])
async def test_missing_event_is_detected(stage: Stage, position: int) -> None:
    await record_events(stage)
    stage.platform.overwrite("DELETE FROM events WHERE position = ?", position)
    with pytest.raises(LogCorrupted, match=f"position {position} is missing"):
        await verify(stage)


async def test_missing_event_is_detected_when_positions_are_renumbered(stage: Stage) -> None:
    await record_events(stage)
    stage.platform.overwrite("DELETE FROM events WHERE position = 15")
    for position in range(16, 35):
        stage.platform.overwrite(
            "UPDATE events SET position = position - 1,"
            " sequence = sequence - CASE tenant WHEN 'acme' THEN 1 ELSE 0 END WHERE position = ?",
            position,
        )
    with pytest.raises(LogCorrupted, match="event 15"):
        await verify(stage)


async def test_swapped_events_are_detected(stage: Stage) -> None:
    await record_events(stage)
    for now, then in ((19, -1), (20, 19), (-1, 20)):
        stage.platform.overwrite(
            "UPDATE events SET position = ?, sequence = ? WHERE position = ?", then, then, now
        )
    with pytest.raises(LogCorrupted, match="event 19"):
        await verify(stage)


async def test_inserted_event_is_detected(stage: Stage) -> None:
    events = await record_events(stage)
    last = last_of(TENANT, events)
    stage.platform.overwrite(
        f"INSERT INTO events SELECT {len(events) + 1}, tenant, {last + 1}, 'forged', stream, type,"  # noqa: S608 - numbers.
        f" version, at, actor, command_id, data, hash FROM events WHERE position = {last}"
    )
    with pytest.raises(LogCorrupted, match=f"event {last + 1}"):
        await verify(stage)


async def test_missing_beginning_is_detected(stage: Stage) -> None:
    events = await record_events(stage)
    last = last_of(TENANT, events)
    stage.platform.overwrite("DELETE FROM events WHERE tenant = ?", TENANT)
    for position in range(last + 1, last + 4):
        stage.platform.overwrite(
            "UPDATE events SET position = ? WHERE position = ?", position - last, position
        )
    await verify(stage)  # One tenant's whole log is missing; only its stored head reveals that.
    stage.platform.overwrite("UPDATE events SET sequence = sequence + 1 WHERE position = 3")
    stage.platform.overwrite("DELETE FROM events WHERE position = 1")
    stage.platform.overwrite("UPDATE events SET position = position - 1 WHERE position = 2")
    stage.platform.overwrite("UPDATE events SET position = position - 1 WHERE position = 3")
    with pytest.raises(LogCorrupted):
        await verify(stage)


async def test_log_moved_to_another_tenant_is_detected(stage: Stage) -> None:
    await record_events(stage)
    stage.platform.overwrite("UPDATE events SET tenant = 'mallory' WHERE tenant = 'acme'")
    with pytest.raises(LogCorrupted, match="tenant-acme"):
        await verify(stage)


# -- Verification of the tail at each start --------------------------------


async def test_tail_verification_covers_the_tail_only(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "TAIL_EVENTS_VERIFIED", 10)
    events = await record_events(stage)
    stage.platform.overwrite("UPDATE events SET actor = 'mallory' WHERE position = 20")
    await stage.log.verify_tail()
    inside = last_of(TENANT, events)
    stage.platform.overwrite("UPDATE events SET actor = 'mallory' WHERE position = ?", inside)
    with pytest.raises(LogCorrupted, match=f"event {inside}"):
        await stage.log.verify_tail()

    assert len(events) - 10 < inside


async def test_empty_log_verifies(stage: Stage) -> None:
    await stage.log.verify_tail()
    await verify(stage)


async def test_verification_reports_progress_by_page(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "PAGE_EVENTS_MAX", 10)
    events = await record_events(stage)
    checked: list[int] = []
    await stage.log.verify_range(0, len(events), progress=checked.append, pause_seconds=0.0001)

    assert checked[:-1] == [10] * ((len(events) - 1) // 10)
    assert sum(checked) == len(events)


async def test_verification_does_not_block_commands(stage: Stage) -> None:
    events = await record_events(stage)
    checking = asyncio.create_task(stage.log.verify_range(0, len(events), pause_seconds=0.001))
    await stage.execute(register("dan"))
    await checking


async def test_range_beyond_the_end_is_corrupted(stage: Stage) -> None:
    """A caller that knows the former head learns that events are missing."""
    head = len(await record_events(stage))
    with pytest.raises(LogCorrupted, match=f"ends at position {head}"):
        await stage.log.verify_range(0, head + 8)
