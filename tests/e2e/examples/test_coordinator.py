"""The coordinator of the sessions example: three workers, one of which is killed."""

from tests.e2e.examples.programs import run_example
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.service_process import ServiceProcess


async def test_every_task_is_done_once_although_a_worker_is_killed(
    service: ServiceProcess, tenant: Tenant
) -> None:
    async with run_example("sessions/coordinator.py", service, tenant.issued) as program:
        killed = (await program.wait_for_line("killed")).split()[1]
        assert await program.wait() == 0
    results = [line for line in program.lines if line.startswith("part ")]
    assert [line.split(" by ")[0] for line in results] == [f"part {n}" for n in range(1, 7)]
    assert "attempt 2" in results[0]
    assert killed not in results[0]
    completed = await tenant.events("TaskCompleted")
    assert len({event["data"]["taskId"] for event in completed}) == len(completed) == 6
