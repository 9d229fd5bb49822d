"""A client above its limits is disconnected and refused for a while; others are served."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from structlog.testing import capture_logs

from quorate.application.rate_limiter import Rates
from quorate.bus.auth import connections
from quorate.bus.auth.connections import CONNECTIONS_PER_KEY_MAX, LARGE_MESSAGES_MAX
from quorate.bus.auth.subscription_check import EQUAL_SUBSCRIPTIONS_MAX
from quorate.bus.command_parser import TOO_LARGE
from quorate.bus.embedded.configuration import MESSAGE_KILOBYTES_MAX
from quorate.bus.flood_guard import BURST_MIN
from quorate.contracts.operations import BODY_BYTES_MAX
from quorate.domain.identity.principals import Principal
from tests.integration.bus.served_stage import ServedStage
from tests.integration.bus.stage import ANN, BOB, TENANT, Listener, until

FLOOD = 10 * int(BURST_MIN)
RATES = Rates(per_key=100, burst_per_key=100, per_tenant=10_000, burst_per_tenant=20_000)
CHECK_SECONDS = 0.1
REFUSED = "Authorization Violation"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ServedStage]:
    stage = ServedStage(tmp_path, fast_lane={"repeat"}, rates=RATES)
    await stage.nats_service.start()
    try:
        yield stage
    finally:
        await stage.close()


def find(logs: list[Any], event: str) -> list[dict[str, Any]]:
    return [one for one in logs if one["event"] == event]


async def connect(stage: ServedStage, key: Principal) -> Listener:
    return await stage.new_listener().connect(stage.nats_service.url, key.key_id)


async def test_flooding_agent_is_disconnected_and_refused_and_others_are_served(
    stage: ServedStage,
) -> None:
    ann_key = stage.keys.issue("agent", TENANT, ANN)
    ann, bob = await connect(stage, ann_key), await stage.asker(BOB)

    with capture_logs() as logs:
        subject = f"quorate.{TENANT}.cmd.{ANN}.repeat"
        for number in range(FLOOD):
            if not ann.client.is_connected:
                break
            await ann.client.publish(subject, b"%d" % number)
            if number % 1_000 == 0:
                await asyncio.sleep(0)
        asked = asyncio.create_task(bob.ask(b"meanwhile"))
        await until(lambda: ann.client.is_closed)
        assert (await asked).data == b"meanwhile"
        with pytest.raises(NatsError, match=REFUSED):
            await connect(stage, ann_key)

    (blocked,) = find(logs, "nats.agent_blocked")
    (disconnected,) = find(logs, "nats.client_disconnected")
    assert (blocked["tenant"], blocked["agent_id"], blocked["reason"]) == (TENANT, ANN, "flood")
    assert disconnected["key_id"] == ann_key.key_id
    assert (await bob.ask(b"afterwards")).data == b"afterwards"
    assert len(stage.desk.requests) < FLOOD / 2


async def test_connections_whose_login_another_process_accepted_are_closed(
    stage: ServedStage,
) -> None:
    key = stage.keys.issue("agent", TENANT, ANN)
    ann = await connect(stage, key)
    limits = stage.nats_service._limits
    limits._keys.clear()

    limits.disconnect_agent(TENANT, ANN, 30)

    await until(lambda: ann.client.is_closed)


async def test_login_whose_connect_event_arrives_after_the_refusal_is_closed(
    stage: ServedStage,
) -> None:
    key = stage.keys.issue("agent", TENANT, ANN)
    connections = stage.nats_service.connections
    on_connected, arrived = connections._on_connected, []

    async def hold(message: Any) -> None:  # noqa: ANN401 - a message of nats-py.
        arrived.append(message)

    held = stage.nats_service.connections._connection
    assert held is not None
    events = next(one for one in held.client._subs.values() if one.subject.endswith(".CONNECT"))
    events._cb = hold
    ann = await connect(stage, key)
    await until(lambda: bool(arrived))

    stage.nats_service._limits.disconnect_agent(TENANT, ANN, 30)
    await until(lambda: connections.is_refused(key.key_id))
    assert ann.client.is_connected
    await on_connected(arrived[0])

    await until(lambda: ann.client.is_closed)


async def test_refusal_ends(stage: ServedStage) -> None:
    key = stage.keys.issue("agent", TENANT, ANN)
    limits = stage.nats_service._limits
    limits.disconnect_agent(TENANT, ANN, 30)
    with pytest.raises(NatsError, match=REFUSED):
        await connect(stage, key)

    limits.disconnect_agent(TENANT, ANN, 0)

    assert (await connect(stage, key)).client.is_connected


async def test_connections_of_one_key_are_limited(stage: ServedStage) -> None:
    key = stage.keys.issue("tenant", TENANT)
    listeners = [await connect(stage, key) for _ in range(CONNECTIONS_PER_KEY_MAX)]
    await until(lambda: stage.nats_service.connections.count(key.key_id) == len(listeners))

    with pytest.raises(NatsError, match=REFUSED):
        await connect(stage, key)
    assert (await connect(stage, stage.keys.issue("tenant", TENANT))).client.is_connected

    await listeners[0].client.close()
    await until(lambda: stage.nats_service.connections.count(key.key_id) < len(listeners))
    assert (await connect(stage, key)).client.is_connected
    assert all(one.client.is_connected for one in listeners[1:])


async def test_newest_connection_beyond_the_limit_is_closed(
    stage: ServedStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logins at the same time, or in several processes, can exceed the limit of connections."""
    monkeypatch.setattr(stage.nats_service.callout, "_on_login", lambda _principal: None)
    monkeypatch.setattr(connections, "CONNECTIONS_PER_KEY_MAX", 2)
    key = stage.keys.issue("tenant", TENANT)

    with capture_logs() as logs:
        listeners = [await connect(stage, key) for _ in range(3)]
        await until(lambda: listeners[-1].client.is_closed)

    assert [one.client.is_connected for one in listeners] == [True, True, False]
    (disconnected,) = find(logs, "nats.client_disconnected")
    assert (disconnected["reason"], disconnected["key_id"]) == ("connections", key.key_id)


async def test_connections_beyond_the_limit_are_found_at_the_start(
    stage: ServedStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = stage.keys.issue("tenant", TENANT)
    listeners = [await connect(stage, key) for _ in range(3)]
    await until(lambda: stage.nats_service.connections.count(key.key_id) == 3)
    monkeypatch.setattr(connections, "CONNECTIONS_PER_KEY_MAX", 2)

    lost = stage.nats_service.connections._connection
    assert lost is not None
    await lost.client.close()

    await until(lambda: sum(one.client.is_connected for one in listeners) == 2)


async def test_client_with_equal_subscriptions_is_disconnected_and_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CHECK_SECONDS", CHECK_SECONDS)
    stage = ServedStage(tmp_path)
    await stage.nats_service.start()
    try:
        key, other = (stage.keys.issue("agent", TENANT, agent) for agent in (ANN, BOB))
        subject = f"quorate.{TENANT}.all"
        permitted = [f"{subject}.>"] * EQUAL_SUBSCRIPTIONS_MAX
        bob = await stage.listener(other, *permitted, *(f"{subject}.n{n}" for n in range(10)))

        with capture_logs() as logs:
            ann = await stage.listener(key, *permitted, f"{subject}.>")
            await until(lambda: ann.client.is_closed)
            with pytest.raises(NatsError, match=REFUSED):
                await connect(stage, key)

        (disconnected,) = find(logs, "nats.client_disconnected")
        assert (disconnected["reason"], disconnected["agent_id"]) == ("subscriptions", ANN)
        assert bob.client.is_connected
    finally:
        await stage.close()


async def test_command_that_is_too_large_reaches_its_operation_without_its_body(
    stage: ServedStage,
) -> None:
    ann, bob = await stage.asker(ANN), await stage.asker(BOB)

    response = await ann.ask(b"x" * (BODY_BYTES_MAX + 1))

    assert response.data == TOO_LARGE
    assert stage.desk.requests[-1].body is TOO_LARGE
    assert (await bob.ask(b"x" * BODY_BYTES_MAX)).data == b"x" * BODY_BYTES_MAX


async def test_message_size_is_limited_for_clients(stage: ServedStage) -> None:
    ann = await stage.asker(ANN)

    assert ann.client.max_payload == MESSAGE_KILOBYTES_MAX * 1_024
    with pytest.raises(MaxPayloadError):
        await ann.say(b"x" * (ann.client.max_payload + 1))


async def test_key_that_sends_messages_above_the_limit_again_and_again_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CHECK_SECONDS", 1_000.0)  # A check ends the count.
    size = MESSAGE_KILOBYTES_MAX * 1_024 + 1
    stage = ServedStage(tmp_path)
    await stage.nats_service.start()
    try:
        key = stage.keys.issue("agent", TENANT, ANN)
        with capture_logs() as logs:
            for _ in range(LARGE_MESSAGES_MAX):
                listener = await connect(stage, key)
                listener.client._max_payload = size  # Else nats-py does not send it.
                await listener.client.publish(f"quorate.{TENANT}.cmd.{ANN}.repeat", b"x" * size)
                await until(lambda one=listener: one.client.is_closed)  # type: ignore[misc]
            await until(lambda: bool(find(logs, "nats.client_disconnected")))
            with pytest.raises(NatsError, match=REFUSED):
                await connect(stage, key)

        (disconnected,) = find(logs, "nats.client_disconnected")
        assert (disconnected["reason"], disconnected["agent_id"]) == ("payload", ANN)
    finally:
        await stage.close()


async def test_revoked_key_that_stayed_connected_is_disconnected_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy server may not respond in time when the key is revoked."""
    monkeypatch.setattr(connections, "CHECK_SECONDS", CHECK_SECONDS)
    stage = ServedStage(tmp_path)
    await stage.nats_service.start()
    try:
        key = stage.keys.issue("agent", TENANT, ANN)
        ann = await connect(stage, key)
        watcher = stage.nats_service.connections
        await until(lambda: watcher.count(key.key_id) == 1)

        watcher._remember_revoked(key.key_id)

        await until(lambda: ann.client.is_closed)
    finally:
        await stage.close()
