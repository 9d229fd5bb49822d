"""The auditor follows the log as it grows, and finds what was changed."""

from tests.e2e.examples.programs import started
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.service_process import Running

SERVE = ()
AUDITOR = "auditor.py"


async def test_it_checks_what_is_there_and_what_comes(service: Running, tenant: Tenant) -> None:
    ann = await tenant.agent_of("ann")
    key = await tenant.issue("auditor")

    async with started(AUDITOR, service, key) as auditor:
        await auditor.says("AgentRegistered")
        await ann.lease(ann.id, "user@example.com")
        await auditor.says("LeaseAcquired")
        assert await auditor.interrupted() == 0, auditor.said

    last = (await tenant.events())[-1]
    assert auditor.said[-1] == f"The log holds up to {last['sequence']}:{last['hash']}"


async def test_it_goes_on_from_a_head_that_was_kept(service: Running, tenant: Tenant) -> None:
    await tenant.agent_of("ann")
    kept = (await tenant.events())[-1]
    key = await tenant.issue("auditor")
    head = f"{kept['sequence']}:{kept['hash']}"

    async with started(AUDITOR, service, key, "--head", head) as auditor:
        await auditor.says("KeyIssued")
        assert await auditor.interrupted() == 0, auditor.said

    assert auditor.said[0].split()[0] == str(kept["sequence"] + 1)


async def test_a_log_that_is_not_the_one_that_was_kept_is_found_out(
    service: Running, tenant: Tenant
) -> None:
    await tenant.agent_of("ann")
    kept = (await tenant.events())[-1]
    key = await tenant.issue("auditor")
    other = f"{kept['sequence']}:{kept['hash'][::-1]}"

    async with started(AUDITOR, service, key, "--head", other) as auditor:
        assert await auditor.ends() == 1

    assert auditor.said[-1].startswith("The log does not hold: event ")


async def test_it_is_there_again_when_the_service_is(service: Running, tenant: Tenant) -> None:
    key = await tenant.issue("auditor")

    async with started(AUDITOR, service, key) as auditor:
        await auditor.says("KeyIssued")
        port = service.url.rpartition(":")[2]
        service.stop()
        await auditor.says("not connected")
        service.options = (*service.options, "--port", port)
        service.start()
        await tenant.line.find_again()
        await tenant.agent_of("bob")
        await auditor.says("AgentRegistered")
        assert await auditor.interrupted() == 0, auditor.said
