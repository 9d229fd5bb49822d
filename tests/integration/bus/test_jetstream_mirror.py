"""Message N of the stream is the event at position N, whatever happens to the stream."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from quorate.bus.connection import Connection, RequestTimeout
from quorate.bus.outbox import jetstream_mirror, jetstream_stream
from quorate.bus.outbox.jetstream_mirror import FOLLOWING, STOPPED, UNAVAILABLE
from quorate.bus.outbox.jetstream_stream import STREAM, Entry
from quorate.bus.outbox.log_tail import ROWS_MAX
from quorate.bus.outbox.relay import Relay
from quorate.eventlog.recorded_event import RecordedEvent
from tests.integration.bus.stage import ANN, OTHER_TENANT, TENANT, Stage, id_of, ids, until

CHECK_SECONDS = 0.2


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    assert jetstream_mirror.CHECK_SECONDS < 5
    monkeypatch.setattr(jetstream_mirror, "CHECK_SECONDS", CHECK_SECONDS)


@pytest.fixture
async def filled(stage: Stage) -> Stage:
    """A stage with a mirrored log."""
    for number in range(ROWS_MAX + 50):
        stage.log.append_revocation(ANN, tenant=(TENANT, OTHER_TENANT)[number % 2])
    stage.nats_service.wake()
    assert await stage.nats_service.relay.drain(10)
    return stage


async def test_positions_are_stream_sequences(filled: Stage) -> None:
    assert await filled.stream_holds(filled.log.rows)
    assert await filled.nats_service.relay.lag() == 0
    assert filled.nats_service.status()["mirror"] == FOLLOWING


async def test_one_acknowledgement_confirms_a_batch(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = []
    append = jetstream_stream.LogStream.append

    async def counting(self: jetstream_stream.LogStream, entries: Sequence[Entry]) -> None:
        replies.append(len(entries))
        await append(self, entries)

    monkeypatch.setattr(jetstream_stream.LogStream, "append", counting)
    for _ in range(4 * ROWS_MAX):
        stage.log.append_grant()
    stage.nats_service.wake()
    assert await stage.nats_service.relay.drain(10)

    assert replies == [ROWS_MAX] * 4
    assert await stage.stream_holds(stage.log.rows)


# -- Backfill ----------------------------------------------------------------


async def test_deleted_stream_is_backfilled_under_load(stage: Stage) -> None:
    ann = await stage.agent(ANN)
    jetstream = await stage.jetstream()
    async with stage.load():
        await stage.grown(100)
        await jetstream.delete_stream(STREAM)
        await stage.grown(200)

    await until(lambda: stage.stream_holds(stage.log.rows))
    assert [id_of(m) for m in ann.received] == ids(stage.log.rows), "no notification is said twice"


async def test_purged_stream_is_backfilled_under_load(stage: Stage) -> None:
    jetstream = await stage.jetstream()
    async with stage.load():
        await stage.grown(100)
        await jetstream.purge_stream(STREAM)
        await stage.grown(200)

    await until(lambda: stage.stream_holds(stage.log.rows))


async def test_deleted_stream_is_detected_while_idle(filled: Stage) -> None:
    jetstream = await filled.jetstream()

    await jetstream.delete_stream(STREAM)

    await until(lambda: filled.stream_holds(filled.log.rows))


async def test_gap_in_the_stream_is_backfilled(filled: Stage) -> None:
    jetstream = await filled.jetstream()

    await jetstream.delete_msg(STREAM, 7)

    await until(lambda: filled.stream_holds(filled.log.rows))


async def test_empty_stream_of_the_same_name_is_reused(filled: Stage) -> None:
    jetstream = await filled.jetstream()

    await jetstream.delete_stream(STREAM)
    await jetstream.add_stream(name=STREAM, subjects=["something.else"])

    await until(lambda: filled.stream_holds(filled.log.rows))


@pytest.fixture
async def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """A stage whose stream keeps 100 events, with a log of 250; not yet started."""
    for module in (jetstream_stream, jetstream_mirror):
        monkeypatch.setattr(module, "MIRROR_EVENTS_MAX", 100)
    stage = Stage(tmp_path)
    for _ in range(250):
        stage.log.append_grant()
    try:
        yield stage
    finally:
        await stage.close()


async def test_stream_keeps_the_newest_events_only(small: Stage) -> None:
    await small.nats_service.start()
    await until(lambda: small.stream_holds(small.log.rows[150:]))

    async with small.load():
        await small.grown(300)

    await until(lambda: small.stream_holds(small.log.rows[-100:]))
    await small.restart()
    await until(lambda: small.nats_service.status()["mirror"] == FOLLOWING)
    assert await small.stream_holds(small.log.rows[-100:])


# -- Foreign streams --------------------------------------------------------


async def test_stream_ahead_of_the_log_is_not_changed(filled: Stage) -> None:
    before = list(filled.log.rows)
    await filled.nats_service.stop()
    del filled.log.rows[10:]  # An older log was restored.
    await filled.restart()
    ann = await filled.agent(ANN)

    row = filled.log.append_revocation(ANN)
    filled.nats_service.wake()

    await until(lambda: row.id in [id_of(message) for message in ann.received])
    assert filled.nats_service.status()["mirror"] == STOPPED
    assert await filled.stream_holds(before)


async def test_stream_that_ends_before_archived_events_is_not_changed(filled: Stage) -> None:
    """NATS was down for so long that the next events were archived."""
    before = list(filled.log.rows)
    await filled.nats_service.stop()
    for _ in range(20):
        filled.log.append_grant()
    filled.log.archived_until = len(before) + 1

    await filled.restart()

    await until(lambda: filled.nats_service.status()["mirror"] == STOPPED)
    assert await filled.stream_holds(before)
    jetstream = await filled.jetstream()
    await jetstream.delete_stream(STREAM)
    await until(lambda: filled.stream_holds(filled.log.rows[filled.log.archived_until :]))


async def test_stream_with_all_archived_events_is_continued(filled: Stage) -> None:
    await filled.nats_service.stop()
    filled.log.archived_until = len(filled.log.rows)
    for _ in range(20):
        filled.log.append_grant()

    await filled.restart()

    await until(lambda: filled.stream_holds(filled.log.rows))


async def test_stream_of_another_log_is_not_changed_until_deleted(filled: Stage) -> None:
    before = list(filled.log.rows)
    await filled.nats_service.stop()
    filled.log.rows.clear()
    for _ in range(len(before) + 10):
        filled.log.append_grant()

    await filled.restart()

    await until(lambda: filled.nats_service.status()["mirror"] == STOPPED)
    assert await filled.stream_holds(before)
    jetstream = await filled.jetstream()
    await jetstream.delete_stream(STREAM)
    await until(lambda: filled.stream_holds(filled.log.rows))


async def test_two_relays_do_not_interleave(filled: Stage) -> None:
    second = Relay(filled.connector("second"), filled.log, filled.nats_service.connections)
    work = asyncio.create_task(second.run())
    try:
        async with filled.load():
            for _ in range(20):
                await filled.grown(20)
                second.wake()
        assert await second.drain(10)
        assert await filled.nats_service.relay.drain(10)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    assert await filled.stream_holds(filled.log.rows)


# -- Rejected events --------------------------------------------------------


async def test_too_large_row_leaves_a_placeholder(filled: Stage) -> None:
    row = filled.log.append("LeaseRevoked", {"agentId": ANN, "reason": "x" * 9_000_000})
    filled.log.append_grant()
    filled.nats_service.wake()
    assert await filled.nats_service.relay.drain(10)

    assert await filled.stream_holds(filled.log.rows)
    assert await data_of(filled, row) == {"omitted": True}


async def test_rejected_row_leaves_a_placeholder(filled: Stage) -> None:
    await limit_messages(filled, bytes_max=2_000)
    row = filled.log.append("LeaseAcquired", {"agentId": ANN, "intent": "x" * 5_000})
    for _ in range(100):
        filled.log.append_grant()
    filled.nats_service.wake()
    assert await filled.nats_service.relay.drain(5), "it must not hold up the others for longer"

    assert await filled.stream_holds(filled.log.rows)
    assert await data_of(filled, row) == {"omitted": True}


async def test_server_that_rejects_everything_omits_no_row(filled: Stage) -> None:
    await limit_messages(filled, bytes_max=10)
    row = filled.log.append_grant()
    filled.nats_service.wake()
    await until(lambda: filled.nats_service.status()["mirror"] == UNAVAILABLE)

    await limit_messages(filled, bytes_max=-1)

    await until(lambda: filled.stream_holds(filled.log.rows))
    texts = await data_of(filled, row)
    assert texts["id"] == row.id


def test_lost_connection_counts_as_failure_only_if_the_server_survives() -> None:
    entry = Entry(position=7, subject="s", id="i", body=b"")
    for survives in (True, False):
        poison = jetstream_mirror._PoisonDetector()
        poison.resume("server 0")
        for number in range(jetstream_mirror.ATTEMPTS_MAX):
            poison.record_attempt([entry])  # Then the connection is lost.
            poison.resume("server 0" if survives else f"server {number + 1}")
        assert poison.omitted == (7 if survives else None)


def test_events_are_sent_one_by_one_after_a_failure() -> None:
    entries = [Entry(position=n, subject="s", id="i", body=b"") for n in (7, 8)]
    poison = jetstream_mirror._PoisonDetector()
    assert poison.limit_batch(9) == 9

    poison.record_attempt(entries)
    assert poison.limit_batch(9) == 1

    poison.record_success()
    assert poison.limit_batch(9) == 9


async def limit_messages(stage: Stage, *, bytes_max: int) -> None:
    jetstream = await stage.jetstream()
    config = (await jetstream.stream_info(STREAM)).config
    await jetstream.update_stream(replace(config, max_msg_size=bytes_max))


async def data_of(stage: Stage, row: RecordedEvent) -> dict[str, object]:
    jetstream = await stage.jetstream()
    found = await jetstream.get_msg(STREAM, row.position)
    assert found.data is not None
    data: dict[str, object] = orjson.loads(found.data)["data"]
    return data


async def test_request_on_a_closed_connection_raises(stage: Stage) -> None:
    service: Connection = await stage.service()
    await service.client.close()

    with pytest.raises(RequestTimeout):
        await jetstream_stream.LogStream(service).state()
