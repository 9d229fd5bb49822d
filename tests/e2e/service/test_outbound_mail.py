"""Mail to people survives the crash of the process that sends it."""

import asyncio
import email
from pathlib import Path

from tests.e2e.service.http_clients import Operator, Tenant
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.replicas import Replicas, upgrade_schema
from tests.e2e.service.service_process import Json, ServiceProcess, run_until_exit
from tests.integration.server.smtp_server import Misbehaviour, SmtpServer, Step
from tests.support.postgres import PostgresServer

KIM = "kim@example.com"
LETTER = {"to": [KIM], "subject": "Hello", "body_text": "Hi Kim.", "agent_name": "ann"}


async def send(tenant: Tenant) -> Json:
    await tenant.create_agent("ann")
    return await tenant.request_ok("POST", "/email/send", LETTER)


async def test_held_message_is_sent_after_a_restart_with_a_relay_and_a_crash(
    tmp_path: Path,
) -> None:
    service = ServiceProcess(tmp_path / "data")
    await asyncio.to_thread(service.start)
    async with SmtpServer() as smtp:
        try:
            operator = Operator(service)
            tenant = await operator.create_tenant()
            sent = await send(tenant)
            assert sent["status"] == "held"
            await operator.close()
            await asyncio.to_thread(service.stop)

            smtp.script[Step.END] = Misbehaviour.HANG
            service.options = ("--smtp-url", smtp.url)
            await asyncio.to_thread(service.start)
            await smtp.command("DATA")
            await asyncio.to_thread(service.kill)
            assert smtp.messages == []
            smtp.script.clear()
            await asyncio.to_thread(service.start)

            (accepted,) = await smtp.received(1)
            message = email.message_from_bytes(accepted.data)
            local, _, domain = str(message["Message-ID"]).strip("<>").partition("@")
            assert (accepted.recipients, local) == ((KIM,), sent["message_id"])
            assert accepted.sender == f"ann@{domain}"
        finally:
            await asyncio.to_thread(service.end)


async def test_another_replica_continues_when_the_leader_dies(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.empty_url()
    await asyncio.to_thread(upgrade_schema, url)
    async with SmtpServer() as smtp:
        replicas = Replicas(tmp_path, url, 2, "--smtp-url", smtp.url)
        try:
            await asyncio.to_thread(replicas.start)
            await wait_until(lambda: replicas.find_leader() is not None)
            leader = replicas.find_leader()
            assert leader is not None
            (survivor,) = set(replicas.all) - {leader}
            operator = Operator(survivor)
            smtp.script[Step.END] = Misbehaviour.HANG
            tenant = await operator.create_tenant()
            sent = await send(tenant)
            await smtp.command("DATA")
            await asyncio.to_thread(leader.kill)
            smtp.script.clear()

            (accepted,) = await smtp.received(1)

            message = email.message_from_bytes(accepted.data)
            assert str(message["Message-ID"]).startswith(f"<{sent['message_id']}@")
            await operator.close()
        finally:
            await asyncio.to_thread(replicas.end)


def test_start_names_a_ca_file_that_cannot_be_read(tmp_path: Path) -> None:
    options = ("--smtp-url", "smtp://relay.example", "--smtp-ca-file", str(tmp_path / "none"))

    ended = run_until_exit(tmp_path / "data", *options)

    assert ended.returncode == 1
    assert "Error: Cannot read the CA file" in ended.stderr
    assert "Traceback" not in ended.stderr
