"""Tests of the FastStream example: it votes on proposals, also on those of while it was stopped."""

from pathlib import Path

from tests.e2e.examples.programs import run_example
from tests.e2e.examples.test_reviewer import propose, votes
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.service_process import ServiceProcess

PROGRAM = "faststream_agent.py"


async def test_agent_votes_on_new_and_on_missed_proposals(
    service: ServiceProcess, tenant: Tenant, tmp_path: Path
) -> None:
    proposer = await tenant.create_agent("proposer")
    key = await tenant.issue("agent", "reviewer")
    cursor = ("--cursor", str(tmp_path / "cursor"))
    async with run_example(PROGRAM, service, key, *cursor, over_nats=True) as agent:
        await agent.wait_for_line("waiting for notifications")
        await propose(proposer, "first")
        await agent.wait_for_line("approved 'first'")
        assert await agent.interrupt() == 0, agent.lines
    await propose(proposer, "second")

    async with run_example(PROGRAM, service, key, *cursor, over_nats=True) as agent:
        await agent.wait_for_line("approved 'second'")
        assert await agent.interrupt() == 0, agent.lines

    assert not any("first" in line for line in agent.lines), "it was handled before"
    assert "Traceback" not in "\n".join(agent.lines)
    assert len(await votes(tenant)) == 2
