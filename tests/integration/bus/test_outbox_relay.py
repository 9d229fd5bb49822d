"""Committed events are published to their audience in order, also after an outage."""

import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from quorate.bus.outbox import jetstream_stream, log_tail, notification_publisher, relay
from quorate.bus.outbox.jetstream_mirror import FOLLOWING
from quorate.domain.shared.timestamps import iso
from quorate.eventlog.hash_chain import public_event
from quorate.eventlog.transactions import DatabaseUnavailable
from tests.integration.bus.stage import (
    ANN,
    BOB,
    OTHER_TENANT,
    REVOKED,
    TENANT,
    WAIT_SECONDS_MAX,
    Stage,
    id_of,
    ids,
    until,
)

# -- Delivery ----------------------------------------------------------------


async def test_agent_receives_its_notifications_in_order(stage: Stage) -> None:
    ann, bob = await stage.agent(ANN), await stage.agent(BOB)
    for number in range(300):
        stage.log.append_revocation((ANN, BOB)[number % 2])
        stage.nats_service.wake()

    await until(lambda: len(ann.received) + len(bob.received) == 300)

    assert [id_of(message) for message in ann.received] == ids(stage.log.rows[0::2])
    assert [id_of(message) for message in bob.received] == ids(stage.log.rows[1::2])


async def test_notification_is_a_cloudevent(stage: Stage) -> None:
    ann = await stage.agent(ANN)
    row = stage.log.append_revocation(ANN)
    stage.nats_service.wake()
    await until(lambda: len(ann.received) == 1)

    assert ann.received[0].subject == REVOKED
    assert ann.received[0].headers == {"Nats-Msg-Id": row.id}
    assert orjson.loads(ann.received[0].data) == {
        "specversion": "1.0",
        "id": row.id,
        "source": f"quorate/{TENANT}",
        "type": "quorate.lease_revoked",
        "time": iso(row.at),
        "datacontenttype": "application/json",
        "sequence": row.sequence,
        "data": {"agentId": ANN, "reason": "agent_inactive"},
    }


async def test_auditor_receives_the_log_of_its_tenant(stage: Stage) -> None:
    auditor = await stage.listener(stage.keys.issue("auditor"), f"quorate.{TENANT}.log.>")
    stage.log.append_revocation(ANN, tenant=OTHER_TENANT)
    row = stage.log.append_grant()
    stage.nats_service.wake()
    await until(lambda: len(auditor.received) == 1)

    texts = orjson.loads(auditor.received[0].data)
    assert auditor.received[0].subject == f"quorate.{TENANT}.log.LeaseAcquired"
    assert texts["data"] == orjson.loads(orjson.dumps(public_event(row)))
    assert texts["sequence"] == row.sequence == 1


async def test_both_agents_of_a_conflict_are_notified(stage: Stage) -> None:
    listeners = {ANN: await stage.agent(ANN), BOB: await stage.agent(BOB)}
    row = stage.log.append("LeaseConflicted", conflict(agentId=ANN, holderId=BOB))
    stage.nats_service.wake()

    await until(lambda: all(listener.received for listener in listeners.values()))

    for agent, listener in listeners.items():
        assert listener.received[0].subject == f"quorate.{TENANT}.agent.{agent}.lease_conflict"
        assert id_of(listener.received[0]) == row.id


async def test_agent_on_both_sides_of_a_conflict_is_notified_once(stage: Stage) -> None:
    ann = await stage.agent(ANN)
    row = stage.log.append("LeaseConflicted", conflict(agentId=ANN, holderId=ANN))
    stage.nats_service.wake()

    later = stage.log.append("LeaseConflicted", conflict(agentId=BOB, holderId=ANN))
    stage.nats_service.wake()
    await until(lambda: len(ann.received) == 2)

    assert [id_of(message) for message in ann.received] == [row.id, later.id]


async def test_user_text_is_in_the_body_only(stage: Stage) -> None:
    ann = await stage.agent(ANN)
    text = "x\r\nNats-Msg-Id: forged\r\n\r\nPUB quorate.acme.all.forged 0\r\n\r\n"
    row = stage.log.append("LeaseRevoked", {"agentId": ANN, "reason": text})
    stage.nats_service.wake()
    await until(lambda: len(ann.received) == 1)

    assert ann.received[0].headers == {"Nats-Msg-Id": row.id}
    assert orjson.loads(ann.received[0].data)["data"]["reason"] == text


@pytest.mark.parametrize("facts", [{}, {"agentId": "*"}, {"agentId": ">"}, {"agentId": 1}])
async def test_unrenderable_row_does_not_block_the_next(
    stage: Stage, facts: dict[str, Any]
) -> None:
    ann = await stage.agent(ANN)
    stage.log.append("LeaseRevoked", facts)
    row = stage.log.append_revocation(ANN)
    stage.nats_service.wake()

    await until(lambda: [id_of(message) for message in ann.received] == [row.id])


async def test_too_large_notification_is_published_without_data(stage: Stage) -> None:
    ann = await stage.agent(ANN)
    row = stage.log.append("LeaseRevoked", {"agentId": ANN, "reason": "x" * 9_000_000})
    stage.nats_service.wake()
    await until(lambda: len(ann.received) == 1)

    assert id_of(ann.received[0]) == row.id
    assert orjson.loads(ann.received[0].data)["data"] == {"omitted": True}


async def test_notification_arrives_within_milliseconds(stage: Stage) -> None:
    ann = await stage.agent(ANN)
    waits = []
    for number in range(1, 51):
        began = time.perf_counter()
        stage.nats_service.wake([stage.log.append_revocation(ANN)])
        await until(lambda: len(ann.received) == number, seconds=5)  # noqa: B023 - awaited.
        waits.append(time.perf_counter() - began)

    assert statistics.median(waits) < 0.05, "it takes about 1 ms; the machine may be busy"


async def test_passed_rows_are_not_read_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tail, "POLL_SECONDS", WAIT_SECONDS_MAX)  # No follower polls.
    stage.nats_service.wake([stage.log.append_grant()])
    assert await stage.nats_service.relay.drain(5)
    before = stage.log.reads

    stage.nats_service.wake([stage.log.append_grant() for _ in range(100)])
    assert await stage.nats_service.relay.drain(5)

    assert stage.log.reads == before


async def test_rows_of_another_process_are_found_by_polling(stage: Stage) -> None:
    ann = await stage.agent(ANN)
    stage.nats_service.wake([stage.log.append_revocation(ANN)])
    await until(lambda: len(ann.received) == 1)

    stage.log.append_revocation(ANN)

    await until(lambda: len(ann.received) == 2, seconds=log_tail.POLL_SECONDS * 5)


# -- Server failures ---------------------------------------------------------


async def test_every_notification_arrives_when_the_server_is_killed_under_load(
    stage: Stage,
) -> None:
    ann = await stage.agent(ANN)
    async with stage.load():
        for _ in range(3):
            await stage.grown(200)
            stage.kill_server()
        await stage.grown(200)

    await until(lambda: ann.ids(REVOKED) == ids(stage.log.rows))
    assert await stage.nats_service.relay.drain(10)
    assert await stage.stream_holds(stage.log.rows)


async def test_slowly_reconnecting_agent_misses_nothing(stage: Stage) -> None:
    slow = await stage.agent(ANN, wait_seconds=2)  # As nats-py does by default.
    quick = await stage.agent(BOB)
    async with stage.load():
        await stage.grown(100)
        stage.kill_server()
        await until(lambda: quick.losses > 0 and quick.client.is_connected)
        await stage.grown(100)

    await until(lambda: slow.ids(REVOKED) == ids(stage.log.rows))


async def test_duplicate_has_the_same_bytes(stage: Stage) -> None:
    ann = await stage.agent(ANN)
    for _ in range(50):
        stage.log.append_revocation(ANN)
    stage.nats_service.wake()
    await until(lambda: len(ann.received) == 50)

    stage.kill_server()

    await until(lambda: len(ann.received) == 100)
    assert [m.data for m in ann.received[:50]] == [m.data for m in ann.received[50:]]
    assert [m.headers for m in ann.received[:50]] == [m.headers for m in ann.received[50:]]


async def test_wait_for_reconnects_is_bounded(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        notification_publisher, "RECONNECT_GRACE_SECONDS", 4.0
    )  # For the client that reconnects.
    ann = await stage.agent(ANN)
    await stage.agent(BOB, reconnects=False)
    await until(lambda: len(stage.nats_service.connections.keys) == 2)

    stage.kill_server()
    stage.nats_service.wake([stage.log.append_revocation(ANN)])

    await until(lambda: len(ann.received) == 1)


async def test_wiped_store_is_backfilled_and_every_notification_arrives(stage: Stage) -> None:
    ann = await stage.agent(ANN)
    async with stage.load():
        await stage.grown(100)
        store = stage.running_server.folder / "jetstream"
        stage.kill_server()
        shutil.rmtree(store, ignore_errors=True)
        await stage.grown(200)

    await until(lambda: ann.ids(REVOKED) == ids(stage.log.rows))
    await until(lambda: stage.stream_holds(stage.log.rows))


async def test_outage_blocks_nothing_and_loses_nothing(apart: Stage) -> None:
    await apart.nats_service.start()
    ann = await apart.agent(ANN)
    assert apart.server is not None
    await apart.server.stop()
    await until(lambda: not apart.nats_service.status()["connected"])
    before = apart.log.reads
    async with apart.load():
        await apart.grown(500)
    assert apart.log.reads == before

    await apart.server.start()

    await until(lambda: ann.ids(REVOKED) == ids(apart.log.rows))
    await until(lambda: apart.stream_holds(apart.log.rows))


# -- Start of a new process --------------------------------------------------


async def test_new_process_publishes_events_committed_before_its_start(apart: Stage) -> None:
    await apart.nats_service.start()
    ann = await apart.agent(ANN)
    for _ in range(10):
        apart.log.append_revocation(ANN)
    apart.nats_service.wake()
    await until(lambda: len(ann.received) == 10)
    await apart.nats_service.stop()
    for _ in range(10):
        apart.log.append_revocation(ANN)

    apart.nats_service = apart.create_nats_service()
    await apart.nats_service.start()

    await until(lambda: ann.ids(REVOKED) == ids(apart.log.rows))
    assert len(ann.received) == 20, "what the stream holds was said before"


async def test_new_process_without_a_stream_does_not_repeat_history(apart: Stage) -> None:
    await apart.nats_service.start()
    ann = await apart.agent(ANN)
    await apart.nats_service.stop()
    for _ in range(20):
        apart.log.append_revocation(ANN, age_seconds=relay.NOTIFICATION_AGE_SECONDS_MAX + 60)
    recent = [apart.log.append_revocation(ANN, age_seconds=60) for _ in range(5)]
    jetstream = await apart.jetstream()
    await jetstream.delete_stream(jetstream_stream.STREAM)

    apart.nats_service = apart.create_nats_service()
    await apart.nats_service.start()

    await until(lambda: len(ann.received) == len(recent))
    await until(lambda: apart.stream_holds(apart.log.rows))
    assert [id_of(message) for message in ann.received] == ids(recent)


async def test_new_process_with_a_partial_stream_does_not_repeat_history(apart: Stage) -> None:
    for _ in range(20):
        apart.log.append_revocation(ANN, age_seconds=relay.NOTIFICATION_AGE_SECONDS_MAX + 60)
    recent = apart.log.append_revocation(ANN)
    service = await apart.service()
    half = jetstream_stream.LogStream(service)
    await half.create(first=1, filled_to=len(apart.log.rows))  # Then its process died.
    await apart.nats_service.start()
    ann = await apart.agent(ANN)
    latest = apart.log.append_revocation(ANN)
    apart.nats_service.wake()

    await until(lambda: latest.id in ann.ids(REVOKED))
    await until(lambda: apart.stream_holds(apart.log.rows))
    assert set(ann.ids(REVOKED)) <= {recent.id, latest.id}


async def test_service_starts_while_nats_is_down(apart: Stage) -> None:
    assert apart.server is not None
    await apart.server.stop()
    began = time.monotonic()

    await apart.nats_service.start()

    assert time.monotonic() - began < 5
    assert not apart.nats_service.status()["connected"]
    apart.log.append_grant()
    assert await apart.nats_service.relay.lag() == 1
    await apart.server.start()
    await until(lambda: apart.stream_holds(apart.log.rows))
    assert apart.nats_service.status()["mirror"] == FOLLOWING


def conflict(**who: str) -> dict[str, str]:
    return {
        "agentName": "ann",
        "contactEmail": "kim@example.com",
        "expiresAt": "2026-03-01T12:00:00.000Z",
        "holderName": "bob",
        **who,
    }


async def test_drain_ends_when_the_log_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is unavailable, so the position to wait for is unknown."""
    stage = Stage(tmp_path)

    async def fail() -> int:
        raise DatabaseUnavailable("planted")

    monkeypatch.setattr(stage.log, "committed_head", fail)

    assert not await stage.nats_service.relay.drain(1.0)
