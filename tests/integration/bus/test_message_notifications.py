"""Notifications of messages are published with the bodies that exist at that moment."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from quorate.domain.mail.notifications import NOTIFIED_BODY_BYTES_MAX
from quorate.domain.shared.records import changed
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.transactions import DatabaseUnavailable
from tests.integration.bus.stage import ANN, BOB, TENANT, Listener, Stage, id_of, ids, until

RECEIVED = f"quorate.{TENANT}.agent.{ANN}.message_received"


class Bodies:
    """The stored bodies, by the id of their message; ``failures`` reads fail."""

    def __init__(self, failures: int = 0) -> None:
        self.texts: dict[str, str] = {}
        self.failures = failures

    async def add(self, rows: Sequence[RecordedEvent]) -> Sequence[RecordedEvent]:
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailable("planted")
        return [changed(row, body_text=self.texts.get(message_id(row))) for row in rows]


def message_id(row: RecordedEvent) -> str:
    return str(orjson.loads(row.data).get("messageId"))


def deliver(stage: Stage, message: str = "msg_1", agent: str = ANN) -> RecordedEvent:
    data = {"agentId": agent, "messageId": message, "subject": "Hello"}
    return stage.log.append("MessageDelivered", data)


def bodies_received(listener: Listener) -> list[Any]:
    return [orjson.loads(one.data)["data"]["body_text"] for one in listener.received]


async def test_message_is_published_to_its_recipient_with_its_body(stage: Stage) -> None:
    stored = Bodies()
    stored.texts["msg_1"] = "hello"
    stage.add_bodies = stored.add
    ann, bob = await stage.agent(ANN), await stage.agent(BOB)
    deliver(stage)
    deliver(stage, "msg_2")
    deliver(stage, "msg_1", BOB)
    stage.nats_service.wake(stage.log.rows)
    await until(lambda: len(ann.received) == 2 and len(bob.received) == 1)

    assert bodies_received(ann) == ["hello", None]
    assert bodies_received(bob) == ["hello"]
    assert {one.subject for one in ann.received} == {RECEIVED}


async def test_longest_body_is_never_too_large_for_nats(stage: Stage) -> None:
    """Each control character takes six bytes in JSON."""
    stored = Bodies()
    stored.texts["msg_1"] = "\x01" * NOTIFIED_BODY_BYTES_MAX
    stage.add_bodies = stored.add
    ann = await stage.agent(ANN)
    deliver(stage)
    stage.nats_service.wake(stage.log.rows)
    await until(lambda: len(ann.received) == 1)

    assert bodies_received(ann) == [stored.texts["msg_1"]]


async def test_message_that_was_erased_during_an_outage_is_published_without_its_body(
    stage: Stage,
) -> None:
    stored = Bodies()
    stage.add_bodies = stored.add
    ann = await stage.agent(ANN)
    stage.kill_server()
    await until(lambda: ann.losses > 0)
    stored.texts["msg_1"] = "hello"
    row = deliver(stage)
    stage.nats_service.wake([row])
    del stored.texts["msg_1"]
    await until(lambda: row.id in ann.ids(RECEIVED))

    assert set(bodies_received(ann)) == {None}


@pytest.mark.parametrize("failures", [1, 2])
async def test_bodies_that_cannot_be_read_are_read_again(stage: Stage, failures: int) -> None:
    stored = Bodies(failures)
    stored.texts["msg_1"] = "hello"
    stage.add_bodies = stored.add
    ann = await stage.agent(ANN)
    rows = [stage.log.append_revocation(), deliver(stage), stage.log.append_revocation()]
    stage.nats_service.wake(rows)
    await until(lambda: {id_of(one) for one in ann.received} == set(ids(rows)))

    assert list(dict.fromkeys(id_of(one) for one in ann.received)) == ids(rows)
    assert stored.failures == 0
