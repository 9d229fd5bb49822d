"""Tests of the mail examples: each program runs its agents, ends, and prints what they did."""

from pathlib import Path

import pytest

from tests.e2e.examples.programs import EXAMPLES, Program, run_example
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.service_process import ServiceProcess

PERSON = "oncall@example.com"
POLLING_CALLS = ("sleep", "wait_seconds", ".inbox(")


async def run(
    name: str, service: ServiceProcess, tenant: Tenant, *arguments: str, over_nats: bool = False
) -> Program:
    program = run_example(f"mail/{name}", service, tenant.issued, *arguments, over_nats=over_nats)
    async with program as running:
        assert await running.wait() == 0, running.lines
    assert "Traceback" not in "\n".join(running.lines)
    return running


@pytest.mark.parametrize("over_nats", [False, True], ids=["over HTTP", "over NATS"])
async def test_hub_gets_a_result_of_each_specialist(
    service: ServiceProcess, tenant: Tenant, over_nats: bool
) -> None:
    program = await run("hub_and_spoke.py", service, tenant, "trees", over_nats=over_nats)

    domain = f"{tenant.id}.agents.localhost"
    assert program.lines == [
        f"searcher@{domain}: Search the web for trees: done",
        f"analyst@{domain}: Analyze existing data on trees: done",
        f"librarian@{domain}: Find authoritative sources for trees: done",
    ]


async def test_pipeline_stays_in_one_thread(service: ServiceProcess, tenant: Tenant) -> None:
    program = await run("pipeline.py", service, tenant, " Is  it? ")

    assert program.lines[0] == ('result: {"text": "Is it?", "words": 2, "is_question": true}')
    hops = [
        line.split(":")[0].replace(f"@{tenant.id}.agents.localhost", "") for line in program.lines
    ]
    assert hops[1:] == [
        "source -> trimmer",
        "trimmer -> counter",
        "counter -> classifier",
        "classifier -> source",
    ]


async def test_all_experts_contribute_to_the_thread(
    service: ServiceProcess, tenant: Tenant
) -> None:
    program = await run("shared_thread.py", service, tenant, "A topic")

    assert program.lines[0] == "[COLLAB] A topic: 4 participants"
    assert [line.partition("@")[0] for line in program.lines[1:]] == [
        "finance",
        "legal",
        "moderator",
        "sales",
    ]


@pytest.mark.parametrize(
    ("severity", "last"),
    [
        ("1", "supervisor resolved it at level 1"),
        ("2", "lead resolved it at level 2"),
        ("3", f"mail to {PERSON} is held: no_relay"),
    ],
)
async def test_error_is_escalated_to_the_level_that_resolves_it(
    service: ServiceProcess, tenant: Tenant, severity: str, last: str
) -> None:
    program = await run("escalation.py", service, tenant, "--severity", severity)

    assert program.lines[-1] == last


async def test_escalation_does_not_reach_a_person_whom_another_agent_contacts(
    service: ServiceProcess, tenant: Tenant
) -> None:
    colleague = await tenant.create_agent("colleague")
    await colleague.lease(colleague.id, PERSON)

    program = await run("escalation.py", service, tenant)

    assert program.lines[-1] == f"mail to {PERSON} is blocked: lease_conflict"


async def test_result_reaches_the_callback_after_the_requester_has_left(
    service: ServiceProcess, tenant: Tenant
) -> None:
    result = "Market analysis: 3 competitors, 2 trends"

    program = await run("callbacks.py", service, tenant, "--working", "0.1")

    assert program.lines == [
        "requester: disconnected",
        f"reporter: {result} (from worker@{tenant.id}.agents.localhost)",
    ]


@pytest.mark.parametrize(
    "program", sorted((EXAMPLES / "mail").glob("*.py")), ids=lambda path: path.name
)
def test_example_does_not_poll(program: Path) -> None:
    source = program.read_text().replace("await asyncio.sleep(seconds)  # Represents", "")

    assert [call for call in POLLING_CALLS if call in source] == []
