"""With --workers on SQLite, one process writes, and nothing is lost when any of them is killed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats.errors import Error as NatsError

from tests.e2e.service.http_clients import Operator, Tenant, client, connect_operator
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import (
    FREE_PORTS,
    Json,
    ServiceProcess,
    run_service,
    run_until_exit,
)

WORKERS = 2
PROCESSES = {"writer": 1, "nats": 1, "http": WORKERS}  # That have started; one writer waits.
COMMANDS = 40
CONTACT = "user@example.com"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("workers")
    with run_service(folder / "data", "--workers", str(WORKERS)) as running:
        yield running


@pytest.fixture
async def operator(service: ServiceProcess) -> AsyncIterator[Operator]:
    async with connect_operator(service) as operator:
        yield operator


def pids(service: ServiceProcess, role: str) -> list[int]:
    """Return the processes of this role that have started and live, oldest first."""
    started = [one for one in service.log_entries("worker.started") if one["role"] == role]
    return [one["pid"] for one in started if is_running(one["pid"])]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def standby(service: ServiceProcess) -> int:
    """Return the writer that waits: it has not started to serve yet."""
    known = {one["pid"] for one in service.log_entries("worker.started")}
    (waiting,) = set(service.workers()) - known
    return waiting


async def kill(service: ServiceProcess, role: str) -> None:
    """Kill a process, and wait until another one of its role has started."""
    before = pids(service, role)
    os.kill(before[0], signal.SIGKILL)
    await wait_until(lambda: not set(before) & set(pids(service, role)[-1:]))
    await wait_until(lambda: len(pids(service, role)) == len(before))


async def register_many(tenant: Tenant, names: list[str]) -> list[Json]:
    """Register agents at once, each with a key, so that every command is completed."""

    async def one(name: str) -> Json:
        response = await tenant.request(
            "POST",
            "/v1/agent/register",
            {"agentName": name, "agentRole": "worker"},
            headers={"Idempotency-Key": name},
        )
        assert response.status_code == 200, response.text
        answer: Json = response.json()
        return answer

    return await asyncio.gather(*map(one, names))


def test_each_role_has_its_processes(service: ServiceProcess) -> None:
    found = [one["role"] for one in service.log_entries("worker.started")]

    assert {role: found.count(role) for role in PROCESSES} == PROCESSES
    assert is_running(standby(service))


async def test_contact_is_granted_once_whichever_worker_is_asked(operator: Operator) -> None:
    tenant = await operator.create_tenant()
    agents = [await tenant.register(f"agent-{number}") for number in range(8)]
    answers = await asyncio.gather(
        *(tenant.acquire(agent["id"], CONTACT) for agent in agents for _ in range(5))
    )

    granted = {one.json()["id"] for one in answers if one.status_code == 200}
    assert len(granted) == 1
    assert [lease["id"] for lease in await tenant.leases()] == list(granted)


async def test_every_worker_shows_what_was_acknowledged(operator: Operator) -> None:
    tenant = await operator.create_tenant()

    async def register_and_read(number: int) -> None:
        agent = await tenant.register(f"agent-{number}")
        assert (await tenant.agent(agent["id"]))["agentName"] == f"agent-{number}"

    await asyncio.gather(*(register_and_read(number) for number in range(COMMANDS)))


async def test_commands_and_notifications_over_nats(operator: Operator) -> None:
    tenant = await operator.create_tenant()
    ann, bob = await tenant.create_agents("ann", "bob")
    nats_agent, listener = await NatsAgent.of(ann), await bob.subscribe_to_all()
    await nats_agent.request_ok("acquireLease", contactEmail=CONTACT)
    refused = await bob.acquire(bob.id, CONTACT)
    conflict = await listener.notification("lease_conflict")

    assert refused.status_code == 409
    assert conflict["data"]["contactEmail"] == CONTACT


async def test_revoked_key_is_refused_by_every_process_at_once(operator: Operator) -> None:
    tenant = await operator.create_tenant()
    (ann,) = await tenant.create_agents("ann")
    listener = await ann.listen()
    await tenant.request_ok("DELETE", f"/v1/keys/{ann.issued.id}")
    await wait_until(listener.lost.is_set)

    with pytest.raises(NatsError, match="Authorization Violation"):
        await ann.listen()


async def test_console_sessions_are_written_for_all_workers(service: ServiceProcess) -> None:
    cookies = []
    for _ in range(4):  # Each connection is of any worker.
        async with client(service.url) as browser:
            answer = await browser.post(
                "/console/login", data={"key": service.api_key}, headers={"Origin": service.url}
            )
        cookies.append(answer.headers["set-cookie"].partition(";")[0])
    for cookie in cookies:
        async with client(service.url) as browser:
            page = await browser.get("/console/", headers={"Cookie": cookie})
        assert page.status_code == 200


async def test_metrics_are_those_of_all_processes(
    service: ServiceProcess, operator: Operator
) -> None:
    await register_many(await operator.create_tenant(), ["ann"])

    async def shows_the_writer() -> bool:
        page = (await operator.http.get("/metrics")).text
        return "quorate_leader 1.0" in page and "quorate_nats_connected 1.0" in page

    await wait_until(shows_the_writer)
    assert (await operator.http.get("/readyz")).json()["status"] == "ready"
    assert service.is_running()


@pytest.mark.parametrize("role", list(PROCESSES))
async def test_commands_are_completed_once_when_a_process_is_killed(
    service: ServiceProcess, role: str
) -> None:
    async with connect_operator(service) as operator:
        names = [f"{role}-{number}" for number in range(COMMANDS)]
        tenant = await operator.create_tenant()
        working = asyncio.create_task(register_many(tenant, names))
        if role == "http":  # Only its connections are lost.
            await working
            await kill(service, role)
            await register_many(tenant, names)
            return
        await kill(service, role)
        agents = await working

        assert len({one["id"] for one in agents}) == COMMANDS
        assert (await operator.http.get("/readyz")).json()["status"] == "ready"


async def test_agents_are_served_again_when_the_process_for_nats_was_killed(
    service: ServiceProcess,
) -> None:
    async with connect_operator(service) as operator:
        tenant = await operator.create_tenant()
        ann, bob = await tenant.create_agents("ann", "bob")
        nats_agent, listener = await NatsAgent.of(ann), await bob.subscribe_to_all()
        await nats_agent.request_ok("acquireLease", contactEmail=CONTACT)
        os.kill(pids(service, "nats")[0], signal.SIGKILL)
        refused = await bob.acquire(bob.id, CONTACT)
        conflict = await listener.notification("lease_conflict")

        assert refused.status_code == 409
        assert conflict["data"]["contactEmail"] == CONTACT
        await nats_agent.request_ok("heartbeat")


async def test_third_writer_takes_over_when_both_are_killed(service: ServiceProcess) -> None:
    async with connect_operator(service) as operator:
        writer = pids(service, "writer")[-1]
        for pid in (standby(service), writer):
            os.kill(pid, signal.SIGKILL)
        await wait_until(lambda: pids(service, "writer")[-1:] not in ([], [writer]))
        tenant = await operator.create_tenant()

        assert (await tenant.register("ann"))["agentName"] == "ann"


async def test_end_of_the_supervisor_ends_all_processes(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data", "--workers", str(WORKERS)).start()
    workers = service.workers()
    assert len(workers) == sum(PROCESSES.values()) + 1
    os.kill(service.pid, signal.SIGKILL)
    await wait_until(lambda: not any(map(is_running, workers)))
    service.kill()


def test_database_of_another_service_is_refused(service: ServiceProcess, tmp_path: Path) -> None:
    url = f"sqlite:///{service.database}"
    ended = run_until_exit(
        tmp_path / "other", *FREE_PORTS, "--workers", str(WORKERS), "--database-url", url
    )

    assert ended.returncode == 1
    assert str(service.database) in ended.stderr
    assert "Traceback" not in ended.stderr
