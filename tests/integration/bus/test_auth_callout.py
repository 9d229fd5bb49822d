"""An API key is a NATS token that gives access to its own subjects only."""

import asyncio
import time

import pytest
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from quorate.bus import subjects
from quorate.bus.auth import connections
from quorate.bus.auth.callout import RESPONSE_SECONDS_MAX
from quorate.bus.embedded.configuration import SUBSCRIPTIONS_MAX
from quorate.bus.outbox.jetstream_stream import STREAM
from quorate.domain.identity.principals import Principal
from tests.integration.bus.stage import ANN, BOB, EVE, OTHER_TENANT, TENANT, Stage, until
from tests.unit.bus.test_subjects import is_meant_for, subject_for

REFUSED_SECONDS_MAX = 1.0  # Usually milliseconds; the machine may be busy.
FORBIDDEN = [">", "*", "quorate.>", "quorate.*.log.>", "_INBOX.>", "$JS.>", "$SYS.>", "$KV.>"]


def everyone(stage: Stage) -> list[Principal]:
    return [
        stage.keys.issue("agent", TENANT, ANN),
        stage.keys.issue("agent", TENANT, BOB),
        stage.keys.issue("agent", OTHER_TENANT, EVE),
        stage.keys.issue("tenant", TENANT),
        stage.keys.issue("tenant", OTHER_TENANT),
        stage.keys.issue("auditor", TENANT),
        stage.keys.issue("auditor", OTHER_TENANT),
    ]


async def test_key_receives_exactly_its_subjects(stage: Stage) -> None:
    principals = everyone(stage)
    texts = {
        (family, owner.key_id): subject_for(family, owner)
        for family in subjects.FAMILIES
        for owner in principals
    }
    wanted = sorted({*texts.values(), *FORBIDDEN})
    listeners = [await stage.listener(principal, *wanted) for principal in principals]
    service = await stage.service()
    for subject in sorted(set(texts.values())):
        await service.client.publish(subject, b"said")
    await service.flush()
    for listener in listeners:
        await listener.client.flush()  # Earlier messages arrive before the response.

    for reader, listener in zip(principals, listeners, strict=True):
        meant = {
            texts[family, owner.key_id]
            for family in subjects.FAMILIES
            for owner in principals
            if is_meant_for(family, owner, reader)
        }
        await until(lambda: {m.subject for m in listener.received} >= meant)  # noqa: B023 - awaited.
        assert {message.subject for message in listener.received} == meant
        assert len(listener.errors) >= len(FORBIDDEN)


async def test_wildcards_match_own_subjects_only(stage: Stage) -> None:
    reader = stage.keys.issue("agent", TENANT, ANN)
    tempting = [
        f"quorate.{TENANT}.>",
        f"quorate.{TENANT}.agent.>",
        f"quorate.{TENANT}.agent.*.>",
        f"quorate.{TENANT}.log.>",
        f"quorate.*.agent.{ANN}.>",
        "quorate.*.all.>",
        f"quorate.{TENANT}.*.agent_lapsed",
    ]

    listener = await stage.listener(reader, *tempting)

    await until(lambda: len(listener.errors) == len(tempting))
    service = await stage.service()
    await service.client.publish(f"quorate.{TENANT}.all.agent_lapsed", b"said")
    await service.flush()
    await listener.client.flush()
    assert listener.received == []


async def test_only_agents_can_publish_and_only_their_own_commands(stage: Stage) -> None:
    principals = everyone(stage)
    service = await stage.service()
    texts: list[str] = []

    async def on_said(message: Msg) -> None:
        texts.append(message.subject)

    await service.client.subscribe("quorate.>", cb=on_said)
    await service.flush()
    for principal in principals:
        listener = await stage.listener(principal)
        forged = {subject_for(family, one) for family in subjects.FAMILIES for one in principals}
        forged |= {f"$JS.API.STREAM.DELETE.{STREAM}", f"$JS.API.STREAM.INFO.{STREAM}"}
        forged |= {"$SYS.REQ.USER.AUTH", "$SYS.REQ.SERVER.PING.CONNZ", "anything"}
        own = {subject_for(subjects.COMMANDS, principal)} if principal.role == "agent" else set()
        texts.clear()

        for subject in forged:
            await listener.client.publish(subject, b"forged", reply=f"quorate.{TENANT}.all.x")
        await listener.client.flush()

        await until(lambda: len(listener.errors) == len(forged - own))  # noqa: B023 - awaited.
        assert all("permissions violation for publish" in error for error in listener.errors)
        await service.flush()
        assert set(texts) == own


async def test_subscriptions_per_connection_are_limited(stage: Stage) -> None:
    principal = stage.keys.issue("agent", TENANT, ANN)
    listener = await stage.listener(principal)
    inbox = subjects.inbox_prefix(principal)

    for number in range(SUBSCRIPTIONS_MAX + 1):
        await listener.client.subscribe(f"{inbox}.{number}")

    await until(lambda: listener.client.is_closed)
    assert "maximum subscriptions exceeded" in str(listener.client.last_error)


async def test_stream_is_not_readable_past_the_subjects(stage: Stage) -> None:
    auditor = stage.keys.issue("auditor", TENANT)
    prefix = subjects.inbox_prefix(auditor)
    listener = await stage.new_listener().connect(
        stage.nats_service.url, auditor.key_id, inbox_prefix=prefix
    )

    for verb in ("INFO", "MSG.GET", "PURGE", "DELETE"):
        with pytest.raises(NatsError):
            await listener.client.request(f"$JS.API.STREAM.{verb}.{STREAM}", b"{}", timeout=0.2)

    assert all("permissions violation for publish" in error for error in listener.errors)


@pytest.mark.parametrize("token", ["unknown", "x" * 3_000, "qk_'; --", "\u2028"])
async def test_unknown_key_is_rejected_at_once(stage: Stage, token: str) -> None:
    began = time.monotonic()

    with pytest.raises(NatsError, match="Authorization Violation"):
        await stage.new_listener().connect(stage.nats_service.url, token)

    assert time.monotonic() - began < REFUSED_SECONDS_MAX


async def test_admin_key_is_rejected(stage: Stage) -> None:
    admin = stage.keys.issue("admin", "_operators")

    with pytest.raises(NatsError, match="Authorization Violation"):
        await stage.new_listener().connect(stage.nats_service.url, admin.key_id)


async def test_slow_lookup_rejects_the_login(stage: Stage) -> None:
    slow = stage.keys.issue("auditor")
    stage.keys.pause_seconds = 2 * RESPONSE_SECONDS_MAX

    with pytest.raises(NatsError, match="Authorization Violation"):
        await stage.new_listener().connect(
            stage.nats_service.url, slow.key_id, connect_timeout_seconds=10
        )


async def test_logins_are_concurrent(stage: Stage) -> None:
    principals = [stage.keys.issue("auditor") for _ in range(40)]
    stage.keys.pause_seconds = 0.1
    began = time.monotonic()

    await asyncio.gather(*(stage.listener(principal) for principal in principals))

    assert time.monotonic() - began < len(principals) * stage.keys.pause_seconds


async def test_revoked_key_is_disconnected_and_cannot_reconnect(stage: Stage) -> None:
    leaver, stayer = stage.keys.issue("agent", TENANT, ANN), stage.keys.issue("agent", TENANT, BOB)
    leaving = [await stage.listener(leaver) for _ in range(3)]
    staying = await stage.listener(stayer)

    del stage.keys.principals[leaver.key_id]
    await stage.nats_service.disconnect(leaver.key_id)

    await until(lambda: all(listener.losses for listener in leaving), seconds=1)
    assert staying.client.is_connected
    with pytest.raises(NatsError, match="Authorization Violation"):
        await stage.listener(leaver)


async def test_login_in_progress_is_disconnected_when_its_key_is_revoked(stage: Stage) -> None:
    leaver = stage.keys.issue("agent", TENANT, ANN)

    await stage.nats_service.disconnect(
        leaver.key_id
    )  # The key store still accepts the key, like a late response.

    late = stage.new_listener()
    await late.connect(stage.nats_service.url, leaver.key_id)
    await until(lambda: late.losses > 0, seconds=1)


async def test_revocation_in_the_log_disconnects(stage: Stage) -> None:
    leaver = await stage.listener(stage.keys.issue("agent", TENANT, ANN))
    (key_id,) = stage.keys.principals

    stage.log.append("KeyRevoked", {"keyId": key_id})
    stage.nats_service.wake()

    await until(lambda: leaver.losses > 0, seconds=1)


async def test_missed_revocation_is_detected_later(apart: Stage) -> None:
    """On a separate server connections outlive the service, which may crash first."""
    await apart.nats_service.start()
    leaver = await apart.listener(apart.keys.issue("agent", TENANT, ANN))
    stayer = await apart.listener(apart.keys.issue("agent", TENANT, BOB))
    await apart.nats_service.stop()
    assert leaver.losses == 0
    del apart.keys.principals[min(apart.keys.principals)]  # Without a row in the log.

    apart.nats_service = apart.create_nats_service()
    await apart.nats_service.start()

    await until(lambda: leaver.losses > 0)
    assert stayer.client.is_connected


async def test_connected_keys_are_tracked(stage: Stage) -> None:
    ann = await stage.agent(ANN)
    bob = await stage.agent(BOB)
    await until(lambda: len(stage.nats_service.connections.keys) == 2)

    await bob.client.close()

    await until(lambda: len(stage.nats_service.connections.keys) == 1)
    assert ann.client.is_connected


async def test_agents_reconnect_after_the_server_was_killed(stage: Stage) -> None:
    ann = await stage.agent(ANN)

    stage.kill_server()

    await until(lambda: ann.losses > 0 and ann.client.is_connected)
    assert await stage.nats_service.connections.wait_until_reconnected(
        connections.FIRST_RESPONSE_SECONDS_MAX * 5
    )
    stage.log.append_revocation(ANN)
    stage.nats_service.wake()
    await until(lambda: len(ann.received) == 1)


async def test_tokens_are_never_logged(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    good = stage.keys.issue("auditor")
    stage.keys.principals["canary-good-token"] = good
    listener = stage.new_listener()
    await listener.connect(stage.nats_service.url, "canary-good-token")
    with pytest.raises(NatsError):
        await stage.new_listener().connect(stage.nats_service.url, "canary-bad-token")
    await listener.client.close()
    await stage.nats_service.stop()

    written = capsys.readouterr().out.encode()
    for path in stage.folder.rglob("*"):
        if path.is_file():
            written += path.read_bytes()
    assert b"rejected" in written
    assert b"canary" not in written
