"""Tests of the auditor example: it follows the event log and detects corruption."""

from tests.e2e.examples.programs import run_example
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.service_process import ServiceProcess

SERVE = ()
AUDITOR = "auditor.py"


async def test_auditor_verifies_existing_and_new_events(
    service: ServiceProcess, tenant: Tenant
) -> None:
    ann = await tenant.create_agent("ann")
    key = await tenant.issue("auditor")

    async with run_example(AUDITOR, service, key) as auditor:
        await auditor.wait_for_line("AgentRegistered")
        await ann.lease(ann.id, "user@example.com")
        await auditor.wait_for_line("LeaseAcquired")
        assert await auditor.interrupt() == 0, auditor.lines

    last = (await tenant.events())[-1]
    assert auditor.lines[-1] == f"Verified up to {last['sequence']}:{last['hash']}"


async def test_auditor_continues_from_stored_head(service: ServiceProcess, tenant: Tenant) -> None:
    await tenant.create_agent("ann")
    kept = (await tenant.events())[-1]
    key = await tenant.issue("auditor")
    head = f"{kept['sequence']}:{kept['hash']}"

    async with run_example(AUDITOR, service, key, "--head", head) as auditor:
        await auditor.wait_for_line("KeyIssued")
        assert await auditor.interrupt() == 0, auditor.lines

    assert auditor.lines[0].split()[0] == str(kept["sequence"] + 1)


async def test_auditor_rejects_log_that_differs_from_stored_head(
    service: ServiceProcess, tenant: Tenant
) -> None:
    await tenant.create_agent("ann")
    kept = (await tenant.events())[-1]
    key = await tenant.issue("auditor")
    other = f"{kept['sequence']}:{kept['hash'][::-1]}"

    async with run_example(AUDITOR, service, key, "--head", other) as auditor:
        assert await auditor.wait() == 1

    assert auditor.lines[-1].startswith("The log is corrupted: ")


async def test_auditor_reconnects_after_service_restart(
    service: ServiceProcess, tenant: Tenant
) -> None:
    key = await tenant.issue("auditor")

    async with run_example(AUDITOR, service, key) as auditor:
        await auditor.wait_for_line("KeyIssued")
        port = service.url.rpartition(":")[2]
        service.stop()
        await auditor.wait_for_line("failed and will be retried")
        service.options = (*service.options, "--port", port)
        service.start()
        await tenant.connection.reconnect()
        await tenant.create_agent("bob")
        await auditor.wait_for_line("AgentRegistered")
        assert await auditor.interrupt() == 0, auditor.lines
