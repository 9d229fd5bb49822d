"""A command's response goes to the sender's inbox only, and no command is lost silently."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection
from pathlib import Path

import pytest
from faststream.message import StreamMessage
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout

from quorate.bus import command_tasks
from quorate.bus.command_tasks import (
    IN_FLIGHT_MAX,
    IN_FLIGHT_PER_AGENT_MAX,
    CommandRequest,
    CommandResponse,
)
from quorate.bus.embedded.configuration import service_keys
from quorate.bus.embedded.server import EmbeddedServer
from quorate.bus.flood_guard import REJECTIONS_BURST
from quorate.bus.service import FOLDER
from tests.integration.bus.served_stage import (
    BUSY,
    DECLARED,
    FAILED,
    URGENT,
    Asker,
    ServedStage,
)
from tests.integration.bus.stage import (
    ANN,
    BOB,
    EVE,
    OTHER_TENANT,
    TENANT,
    until,
)

MANY = 2_000
BURST = IN_FLIGHT_PER_AGENT_MAX + REJECTIONS_BURST  # Each command of it gets a response.
SOON_SECONDS = 0.1


@pytest.fixture(params=[(), DECLARED], ids=["faststream", "fast_lane"])
def fast_lane(request: pytest.FixtureRequest) -> Collection[str]:
    """The operations that are served without FastStream: none or all."""
    names: Collection[str] = request.param
    return names


@pytest.fixture
async def stage(tmp_path: Path, fast_lane: Collection[str]) -> AsyncIterator[ServedStage]:
    stage = ServedStage(tmp_path, fast_lane=fast_lane)
    await stage.nats_service.start()
    try:
        yield stage
    finally:
        stage.desk.free.set()
        await stage.close()


# -- Requests and responses --------------------------------------------------


async def test_sender_is_taken_from_the_subject(stage: ServedStage) -> None:
    for tenant, agent in ((TENANT, ANN), (TENANT, BOB), (OTHER_TENANT, EVE)):
        asker = await stage.asker(agent, tenant)

        response = await asker.ask(b"{}", "heartbeat", Agent="agent_of_somebody_else")

        assert (response.data, response.headers) == (
            b"{}",
            {"Operation": "heartbeat", "Agent": agent},
        )
        assert (stage.desk.requests[-1].sender.tenant, stage.desk.requests[-1].sender.agent_id) == (
            tenant,
            agent,
        )


async def test_operation_is_the_rest_of_the_subject(stage: ServedStage) -> None:
    ann = await stage.asker()

    for operation in ("a", "a.b", "a.b.c", "*", ">", "ü"):
        assert (await ann.ask(b"", operation)).data == b""
        assert stage.desk.requests[-1].sender.operation == operation


async def test_commands_are_concurrent(stage: ServedStage) -> None:
    ann, bob = await stage.asker(ANN), await stage.asker(BOB)
    stage.desk.free.clear()
    waiting = [asyncio.create_task(one.ask(b"1")) for one in (ann, bob, ann)]
    await until(lambda: len(stage.desk.requests) == len(waiting))

    stage.desk.free.set()

    assert [response.data for response in await asyncio.gather(*waiting)] == [b"1"] * 3


@pytest.mark.parametrize(
    "reply",
    [
        "",
        f"quorate.{TENANT}.agent.{BOB}.lease_conflict",
        f"quorate.{TENANT}.all.agent_lapsed",
        f"_INBOX_{TENANT}_{BOB}.x",
        f"_INBOX_{OTHER_TENANT}_{EVE}.x",
        "$JS.API.STREAM.DELETE.QUORATE_LOG",
        "$SYS.REQ.SERVER.PING",
        "quorate.*.cmd.*.repeat",
    ],
)
async def test_response_goes_to_the_senders_inbox_only(stage: ServedStage, reply: str) -> None:
    service = await stage.service()
    received: list[Msg] = []

    async def on_message(message: Msg) -> None:
        received.append(message)

    await service.client.subscribe(">", cb=on_message)
    await service.flush()
    ann = await stage.asker()

    await ann.say(b"spoofed", reply)

    assert (await ann.ask(b"honest")).data == b"honest"
    assert [requests.body for requests in stage.desk.requests] == [b"honest"]
    await service.flush()
    assert [m for m in received if m.data == b"spoofed" and ".cmd." not in m.subject] == []


# -- Limits and bad input ----------------------------------------------------


async def test_command_above_the_agents_limit_is_rejected_and_others_are_served(
    stage: ServedStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_tasks, "IN_FLIGHT_PER_AGENT_MAX", 3)
    ann, bob = await stage.asker(ANN), await stage.asker(BOB)
    stage.desk.free.clear()
    taken = [asyncio.create_task(ann.ask(b"taken")) for _ in range(3)]
    await until(lambda: len(stage.desk.requests) == 3)

    assert (await ann.ask(b"one too many")).data == BUSY
    of_bob = asyncio.create_task(bob.ask(b"taken"))
    await until(lambda: len(stage.desk.requests) == 4)

    stage.desk.free.set()
    assert {response.data for response in await asyncio.gather(*taken, of_bob)} == {b"taken"}
    assert (await ann.ask(b"again")).data == b"again"


async def test_urgent_command_uses_a_reserved_slot(
    stage: ServedStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_tasks, "IN_FLIGHT_PER_AGENT_MAX", 4)
    monkeypatch.setattr(command_tasks, "URGENT_SHARE", 2)
    ann = await stage.asker(ANN)
    stage.desk.free.clear()
    taken = [asyncio.create_task(ann.ask(b"taken")) for _ in range(2)]
    await until(lambda: len(stage.desk.requests) == 2)

    assert (await ann.ask(b"one too many")).data == BUSY
    urgent = [asyncio.create_task(ann.ask(b"taken", operation=URGENT)) for _ in range(2)]
    await until(lambda: len(stage.desk.requests) == 4)
    assert (await ann.ask(b"even so", operation=URGENT)).data == BUSY

    stage.desk.free.set()
    assert {response.data for response in await asyncio.gather(*taken, *urgent)} == {b"taken"}


async def test_commands_of_all_agents_are_limited(
    stage: ServedStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_tasks, "IN_FLIGHT_MAX", 2)
    ann, bob = await stage.asker(ANN), await stage.asker(BOB)
    stage.desk.free.clear()
    taken = [asyncio.create_task(one.ask(b"taken")) for one in (ann, bob)]
    await until(lambda: len(stage.desk.requests) == 2)

    assert (await ann.ask(b"one too many")).data == BUSY

    stage.desk.free.set()
    assert {response.data for response in await asyncio.gather(*taken)} == {b"taken"}
    assert IN_FLIGHT_MAX > IN_FLIGHT_PER_AGENT_MAX


async def test_every_command_of_a_burst_gets_a_response(stage: ServedStage) -> None:
    ann, bob = await stage.asker(ANN), await stage.asker(BOB)
    inbox = ann.client.new_inbox()
    await ann.listener.subscribe(inbox)

    for number in range(BURST):
        await ann.say(b"%d" % number, inbox)
        if number % 100 == 0:
            assert (await bob.ask(b"between")).data == b"between"

    await until(lambda: len(ann.listener.received) == BURST)
    numbers = {m.data for m in ann.listener.received} - {BUSY}
    assert numbers <= {b"%d" % number for number in range(BURST)}
    assert len(numbers) + sum(m.data == BUSY for m in ann.listener.received) == BURST


@pytest.mark.parametrize(
    "sent",
    [
        b"PUB %b\xff\xfe %b 2\r\n{}\r\n",
        b"PUB %brepeat %b\xff 2\r\n{}\r\n",
        b"PUB %ba\x0bb\x0cc\rd %b 2\r\n{}\r\n",
        b"PUB %brepeat %b\x0bb\x0cc\rd 2\r\n{}\r\n",
        b"HPUB %brepeat %b\x0b1 10 12\r\nNATS/1.0\r\n{}\r\n",
        b"HPUB %brepeat %b 13 15\r\nNATS/1.0 \xff\xfe\r\n{}\r\n",
        b"HPUB %brepeat %b 10 12\r\nNATS/1.0\r\n{}\r\n",
        b"HPUB %brepeat %b 8 10\r\nNATS/1.0{}\r\n",
        b"HPUB %brepeat %b 18 20\r\nNATS/1.0\r\n\xff: \xff\r\n\r\n{}\r\n",
        b"HPUB %brepeat %b 14 16\r\nNATS/1.0\r\n::\r\n{}\r\n",
    ],
)
async def test_undecodable_message_does_not_affect_others(stage: ServedStage, sent: bytes) -> None:
    """The server validates neither subjects nor headers; it forwards any bytes."""
    ann, bob = await stage.asker(ANN), await stage.asker(BOB)
    before = stage.connection()
    own = f"quorate.{TENANT}.cmd.{ANN}.".encode()

    await ann.client._send_command(sent % (own, ann.client.new_inbox().encode()))
    await ann.client.flush()

    assert (await bob.ask(b"as ever")).data == b"as ever"
    assert stage.connection() is before


# -- Order and errors --------------------------------------------------------


async def test_commands_start_in_the_order_of_arrival(tmp_path: Path) -> None:
    """Also when FastStream serves one of them, and the fast lane or no operation the next one."""
    stage = ServedStage(tmp_path, fast_lane=["heartbeat"])
    await stage.nats_service.start()
    try:
        ann = await stage.asker()
        inbox = ann.client.new_inbox()
        await ann.listener.subscribe(inbox)
        operations = ("repeat", "heartbeat", URGENT, "unknown")

        for number in range(MANY // 10):
            subject = f"quorate.{TENANT}.cmd.{ANN}.{operations[number % 4]}"
            await ann.client.publish(subject, b"%d" % number, reply=inbox)

        await until(lambda: len(ann.listener.received) == MANY // 10)
        assert [int(one.body) for one in stage.desk.requests] == list(range(MANY // 10))
    finally:
        await stage.close()


async def test_task_does_not_keep_the_message(stage: ServedStage) -> None:
    ann = await stage.asker()

    assert (await ann.ask(b"1")).data == b"1"

    kept = [one for one in stage.desk.context.values() if isinstance(one, Msg | StreamMessage)]
    assert kept == []


async def test_error_before_the_task_becomes_a_response(
    stage: ServedStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handle(_request: CommandRequest) -> Awaitable[CommandResponse]:
        raise ZeroDivisionError("secret")

    ann = await stage.asker()
    with monkeypatch.context() as patched:
        patched.setattr(stage.desk, "handle", handle)
        assert (await ann.ask(b"1")).data == FAILED

    assert (await ann.ask(b"2")).data == b"2"
    assert stage.nats_service._commands is not None
    assert not stage.nats_service._commands._tasks._in_flight_of


# -- Start and stop ----------------------------------------------------------


async def test_commands_are_served_after_the_server_was_killed(stage: ServedStage) -> None:
    ann = await stage.asker()
    assert (await ann.ask(b"before")).data == b"before"
    before = stage.connection()

    stage.kill_server()

    await until(lambda: stage.connection() not in (None, before) and ann.client.is_connected)
    assert (await ann.ask(b"after")).data == b"after"


async def test_broker_is_replaced_after_a_protocol_error(stage: ServedStage) -> None:
    """The server sends -ERR and closes; nats-py then stays closed."""
    ann = await stage.asker()
    assert (await ann.ask(b"before")).data == b"before"
    commands = stage.nats_service._commands
    assert commands is not None
    for _ in range(3):
        connection, broker = commands.connection, commands.broker
        assert connection is not None
        await connection.client._send_command(b"BROKEN\r\n")

        await until(lambda: commands.broker not in (None, broker) and commands.ready.is_set())  # noqa: B023 - awaited here.

        assert connection.client.is_closed
        assert (await ann.ask(b"after")).data == b"after"


async def test_drain_responds_to_accepted_commands(
    tmp_path: Path, fast_lane: Collection[str]
) -> None:
    """On a separate server, which then reports that there are no responders."""
    keys = service_keys(tmp_path / "service" / FOLDER)
    server = EmbeddedServer(tmp_path / "server", keys)
    await server.start()
    stage = ServedStage(tmp_path / "service", server=server, fast_lane=fast_lane)
    await stage.nats_service.start()
    try:
        ann = await stage.asker()
        stage.desk.free.clear()
        taken = [asyncio.create_task(ann.ask(b"taken")) for _ in range(10)]
        await until(lambda: len(stage.desk.requests) == 10)

        stopping = asyncio.create_task(stage.nats_service.stop())
        await until(lambda: no_responders(ann))
        stage.desk.free.set()

        assert [response.data for response in await asyncio.gather(*taken)] == [b"taken"] * 10
        await stopping
        assert await no_responders(ann)
    finally:
        await stage.close()


async def no_responders(asker: Asker) -> bool:
    try:
        await asker.ask(b"late", seconds=SOON_SECONDS)
    except NoRespondersError:
        return True
    except NatsTimeout:  # It was accepted and waits like the others.
        return False
    return False


async def test_revocation_does_not_wait_for_the_relay_backlog(tmp_path: Path) -> None:
    """The relay may have an hour of backlog; the permission to command must end at once."""
    stage = ServedStage(tmp_path)
    stage.nats_service.relay.ready.set()
    stage.nats_service.relay.run = asyncio.Event().wait  # type: ignore[assignment, method-assign]
    await stage.nats_service.start()
    try:
        ann = await stage.asker()
        (key_id,) = stage.keys.principals
        del stage.keys.principals[key_id]

        stage.nats_service.wake([stage.log.append("KeyRevoked", {"keyId": key_id})])

        await until(lambda: ann.listener.losses > 0, seconds=1)
    finally:
        await stage.close()
