"""`quorate demo`: it shows contention, a vote, tasks and crashes, and cleans up."""

import json
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from quorate.cli.demo import sample_fleet
from quorate.cli.demo.script import CONTACTS, CRASHING_AGENT, CRASHING_WORKER, NAMES, WORKER
from quorate.cli.demo.temporary_service import temporary_service
from quorate.eventlog.hash_chain import GENESIS, verify_exported_event
from tests.e2e.cli.cli_process import Tenant, find_processes, run_cli, start_cli, wait_until
from tests.e2e.cli.terminal import new_tenant_name, run_in_terminal
from tests.e2e.service.service_process import ServiceProcess, environment

SHORT = ("demo", "--seconds", "5")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Directory for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def tenant(real: ServiceProcess) -> Iterator[Tenant]:
    tenant = Tenant(real, new_tenant_name())
    yield tenant
    tenant.close()


# -- On a temporary service ------------------------------------------------------


def test_demo_shows_conflict_vote_and_crashes(place: Path) -> None:
    outcome = run_cli(*SHORT, TMPDIR=str(place))

    *events, summary = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert outcome.code == 0, outcome.stderr
    assert summary["type"] == "demo.summary"
    assert summary["grants"] > len(CONTACTS)
    assert summary["conflicts"] > 0
    assert summary["holds"] > len(CONTACTS)
    assert summary["overlappingHolds"] == 0
    assert summary["vote"]["status"] == "approved"
    assert summary["mail"]["blocked"] == 1
    assert summary["mail"]["taskSeconds"] > 0
    assert summary["lapse"]["agentName"] == CRASHING_AGENT
    assert summary["lapse"]["heir"] in set(NAMES) - {CRASHING_AGENT}
    assert summary["task"]["status"] == "completed"
    assert summary["task"]["attempts"] >= 2  # More only if the machine hardly runs.
    assert summary["task"]["completions"] == 1
    assert summary["task"]["crashedWorker"] == CRASHING_WORKER
    assert summary["task"]["worker"] == WORKER
    assert summary["events"] == len(events)
    types = {event["type"] for event in events}
    assert {"LeaseConflicted", "ConsensusDecided", "AgentLapsed", "LeaseRevoked"} <= types
    assert_task_is_completed_by_second_worker(events)
    mail = [event["data"] for event in events if event["type"] == "MessageSent"]
    assert [one.get("kind") for one in mail] == ["TASK", None, "RESULT"]
    assert mail[0]["threadId"] == mail[2]["threadId"]
    head = GENESIS
    for event in events:
        head = verify_exported_event(event, head)


def assert_task_is_completed_by_second_worker(events: list[dict[str, Any]]) -> None:
    types = ("TaskSubmitted", "TaskClaimed", "TaskClaimEnded", "TaskOffered", "TaskCompleted")
    task = [event for event in events if event["type"] in types]
    order = [event["type"] for event in task]
    submitted, *attempts, last_claim, completed = task
    assert order[:4] == ["TaskSubmitted", "TaskClaimed", "TaskClaimEnded", "TaskOffered"]
    assert order[-2:] == ["TaskClaimed", "TaskCompleted"]
    assert order.count("TaskCompleted") == 1
    assert {event["data"]["taskId"] for event in task} == {submitted["data"]["taskId"]}
    workers = [event["data"]["workerId"] for event in (attempts[0], last_claim, completed)]
    assert workers[0] != workers[1] == workers[2]
    assert {"PresetApplied", "PresetRemoved"} <= {event["type"] for event in events}


def test_demo_removes_its_files_and_processes(place: Path) -> None:
    run_cli(*SHORT, TMPDIR=str(place))

    assert list(place.iterdir()) == []
    assert find_processes(str(place)) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_demo_removes_its_files_and_processes(
    place: Path, number: signal.Signals
) -> None:
    with start_cli("demo", "--seconds", "60", TMPDIR=str(place)) as command:
        while "LeaseConflicted" not in command.read_line():
            pass
        command.send_signal(number)
        outcome = command.wait()

    assert outcome.code == 128 + number
    assert list(place.iterdir()) == []
    assert find_processes(str(place)) == []


def test_killed_demo_terminates_its_service(place: Path) -> None:
    with start_cli("demo", "--seconds", "60", TMPDIR=str(place)) as command:
        while "LeaseAcquired" not in command.read_line():
            pass
        assert find_processes(str(place))

        command.send_signal(signal.SIGKILL)

        wait_until(lambda: not find_processes(str(place)))


async def test_temporary_service_ends_with_its_block(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(place))

    async with temporary_service(window_seconds=2.0) as service:
        assert httpx2.get(f"{service.url}/readyz").json()["status"] == "ready"

    assert find_processes(str(place)) == []
    assert list(place.iterdir()) == []


def test_demo_prints_text_without_a_terminal(place: Path) -> None:
    outcome = run_cli(*SHORT, "--no-json", TMPDIR=str(place))

    output = outcome.stdout
    assert outcome.code == 0
    assert re.search(
        r"^ +\d+\.\d\d s  demo-\w+ holds \w+@demo\.example until", output, re.MULTILINE
    )
    assert f"{CRASHING_AGENT} is killed" in output
    assert re.search(r"^overlapping leases +0 of \d+", output, re.MULTILINE)
    assert re.search(r"mail of demo-ben to \w+@demo\.example was blocked: demo-ada holds", output)
    assert "a task and its result in" in output
    assert f"{CRASHING_WORKER} is killed while it works on a task" in output
    assert re.search(rf"^task +completed once, by {WORKER} in attempt \d", output, re.MULTILINE)
    assert "sent a heartbeat" not in output


def test_demo_draws_a_live_display_at_a_terminal(place: Path) -> None:
    variables = environment(TMPDIR=str(place))

    code, sent = run_in_terminal(SHORT, variables, columns=100)

    assert code == 0
    for words in ("quorate demo", "held by", "waiting", "approved, 3 to", "=> completed"):
        assert words in sent
    assert "overlapping leases" in sent


def test_demo_names_the_missing_server_package(place: Path, tmp_path: Path) -> None:
    missing = tmp_path / "uvicorn"
    missing.mkdir()
    code = 'raise ModuleNotFoundError("No module named \'uvicorn\'", name="uvicorn")\n'
    (missing / "__init__.py").write_text(code)
    path = os.pathsep.join((str(tmp_path), environment()["PYTHONPATH"]))

    outcome = run_cli(*SHORT, TMPDIR=str(place), PYTHONPATH=path)

    assert outcome.code == 1
    assert "pip install 'quorate[server]'" in outcome.stderr
    assert list(place.iterdir()) == []


# -- On a running service --------------------------------------------------------


def test_demo_does_not_write_to_the_configured_service_by_default(
    tenant: Tenant, place: Path
) -> None:
    head = tenant.head

    run_cli(*SHORT, **tenant.variables, TMPDIR=str(place))

    assert tenant.head == head


def test_demo_runs_on_the_running_service(tenant: Tenant) -> None:
    outcome = run_cli(*SHORT, "--no-json", "--running", **tenant.variables)

    assert outcome.code == 0, outcome.stderr
    assert re.search(r"^overlapping leases +0 of \d+", outcome.stdout, re.MULTILINE)
    assert "not shown: the heartbeat window is 300 s" in outcome.stdout
    assert re.search(r"^task +completed once, by ", outcome.stdout, re.MULTILINE)
    assert len(tenant.events("PresetRemoved")) == 1
    assert len(tenant.events("LeaseAcquired")) > len(CONTACTS)
    assert tenant.leases() == []


def test_fleet_is_created_on_the_running_service(tenant: Tenant) -> None:
    outcome = run_cli("demo", "--fleet", "--json", **tenant.variables)

    assert outcome.code == 0, outcome.stderr
    made = json.loads(outcome.stdout)
    assert made["agents"] == len(sample_fleet.AGENTS)
    assert made["leases"] == len(sample_fleet.PEOPLE)
    assert made["conflicts"] > 0
    votes = tenant.request("GET", "/v1/agent/coordination/consensus")
    tasks = {
        state: len(tenant.request("GET", f"/v1/tasks?state={state}"))
        for state in ("submitted", "working", "input_required", "dead", "ended")
    }
    assert {one["status"] for one in votes} == {"pending", "approved", "rejected"}
    assert all(tasks.values()), tasks
    again = run_cli("demo", "--fleet", "--no-json", **tenant.variables)
    assert (again.code, "Created a fleet." in again.stdout) == (0, True), again.stderr


def test_fleet_needs_a_running_service() -> None:
    outcome = run_cli("demo", "--fleet", "--temporary")

    assert outcome.code == 2
    assert "--fleet needs a running service" in outcome.stderr


def test_demo_does_not_affect_other_agents(tenant: Tenant) -> None:
    tenant.register("bystander")
    lease = tenant.lease("bystander", "user@example.com")

    outcome = run_cli(*SHORT, "--no-json", "--url", tenant.service.url, **tenant.variables)

    assert outcome.code == 0, outcome.stderr
    assert "bystander" not in outcome.stdout
    assert [one["id"] for one in tenant.leases()] == [lease["id"]]
